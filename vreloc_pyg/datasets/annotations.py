"""From annotated videos and a feature store to queries, references and pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from vreloc_pyg.datasets.folds import SPLITS, ClassFold, class_split
from vreloc_pyg.datasets.reading import DURATION_TOLERANCE, SHOWN, Instance, Notes
from vreloc_pyg.datasets.splits import RelocalizationSplit, StoredQuery, StoredReference
from vreloc_pyg.datasets.stretches import Stretch, stretches_between
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.lazy import AbsentFeatures, LazyFeatures
from vreloc_pyg.features.store import FeatureSlice, FeatureStore

#: Duration of a step where there are no features to say, in seconds: 16 frames at 32 frames per second.
NOMINAL_STEP_S = 0.5


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video and its instances.

    Args:
        video_id: unique within the data set, and the features' key.
        duration_s: in seconds; ``None`` where only the features know it.
        instances: ``(start_s, end_s, label)`` of each.
        num_frames: where it is known; with the duration it gives the frame rate.
    """

    video_id: str
    duration_s: float | None
    instances: tuple[Instance, ...]
    num_frames: int | None = None

    @property
    def labels(self) -> set[str]:
        """Classes it shows."""
        return {label for _, _, label in self.instances}


class AnnotatedDataset:
    """Annotated videos, read without their features.

    Args:
        videos: those with instances.
        notes: what was left out or mended on reading.
        together: sets of classes that a class split must not part.
        sizes: numbers of training, validation and test classes; by default some 60, 20 and 20 %.
    """

    #: Of split names and messages.
    name = "dataset"

    def __init__(
        self,
        videos: Sequence[AnnotatedVideo],
        notes: Notes | None = None,
        together: Sequence[Sequence[str]] = (),
        sizes: tuple[int, int, int] | None = None,
    ) -> None:
        self.videos = list(videos)
        self._notes = Notes() if notes is None else notes
        self.together = together
        self.sizes = sizes
        if not self.videos:
            raise DataError(f"Found no annotated instance in {self.name}")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """All classes, sorted."""
        return tuple(sorted(set().union(*(video.labels for video in self.videos))))

    @property
    def notes(self) -> list[str]:
        """What was left out or mended so far."""
        return self._notes.lines()

    @property
    def durations_s(self) -> dict[str, float]:
        """Durations in seconds that the annotations know."""
        return {one.video_id: one.duration_s for one in self.videos if one.duration_s is not None}

    @property
    def frame_rates(self) -> dict[str, float]:
        """Frames per second that the annotations know."""
        return {
            one.video_id: one.num_frames / one.duration_s
            for one in self.videos
            if one.num_frames is not None and one.duration_s is not None
        }

    def class_split(self, seed: int = 0) -> ClassFold:
        """Disjoint training, validation and test classes; :class:`DataError` where there are too few."""
        return class_split(self.classes, self.sizes, seed, self.together)

    def splits(
        self,
        store: FeatureStore | None = None,
        classes: ClassFold | None = None,
        seed: int = 0,
        skip_missing: bool = False,
    ) -> dict[str, RelocalizationSplit]:
        """``train``, ``validation`` and ``test`` of disjoint classes.

        A query is an instance of one of the split's classes; its references are the other videos that show
        the class, one of them, by ``seed``, is its pair. References of validation and test are whole
        videos; those of training are the stretches of video that show no class of validation or test.

        Args:
            store: features; without any, queries and references know their lengths only.
            classes: by default :meth:`class_split`.
            seed: decides pairs, and classes where they are not given.
            skip_missing: leave out videos without usable features, and say so in ``notes``.

        Raises:
            DataError: if ``classes`` lack one that is shown, features are missing or of another length than
                their video, or a split has no pair.
        """
        chosen = self.class_split(seed) if classes is None else classes
        check_classes(chosen, self.videos)
        timings = self._timings(store, skip_missing)
        videos = [one for one in self.videos if one.video_id in timings]
        videos = [within(one, *timings[one.video_id], self._notes) for one in videos]
        videos.sort(key=lambda video: video.video_id)
        return {
            name: self._split(name, videos, set(getattr(chosen, name)), store, timings, seed)
            for name in SPLITS
        }

    def _timings(self, store: FeatureStore | None, skip_missing: bool) -> dict[str, tuple[int, float]]:
        """Steps and seconds per step of every video with usable features."""
        timings, missing, wrong = {}, [], []
        for video in self.videos:
            if store is not None and video.video_id not in store:
                missing.append(video.video_id)
                continue
            steps, step_s, problem = step_timing(video, store)
            if problem:
                wrong.append(f"{video.video_id} {problem}")
            else:
                timings[video.video_id] = (steps, step_s)
        for kind, where in (
            ("annotated videos without features", sorted(missing)),
            ("videos of unknown or contradictory duration", sorted(wrong)),
        ):
            if where and not skip_missing:
                shown = "; ".join(where[:SHOWN]) + (" …" if len(where) > SHOWN else "")
                place = "" if store is None else f" in {store.path}"
                raise DataError(f"{len(where)} {kind}{place}: {shown}. --skip-missing leaves them out")
            for one in where:
                self._notes.add(f"{kind}, left out", one)
        return timings

    def _split(
        self,
        name: str,
        videos: Sequence[AnnotatedVideo],
        classes: set[str],
        store: FeatureStore | None,
        timings: Mapping[str, tuple[int, float]],
        seed: int,
    ) -> RelocalizationSplit:
        queries: list[StoredQuery] = []
        references: list[StoredReference] = []
        for video in videos:
            steps, step_s = timings[video.video_id]
            labels = [label for _, _, label in video.instances]
            if not set(labels) & classes:
                continue
            spans = [one[:2] for one in video.instances]
            whole = Stretch(0, steps, list(range(len(spans))))
            parts = stretches_between(spans, labels, classes, step_s, steps) if name == "train" else [whole]
            for number, part in enumerate(parts):
                uncut = part == whole
                start_s, length_s = part.first * step_s, (part.last - part.first) * step_s
                bounds = torch.tensor([spans[i] for i in part.inside], dtype=torch.float64) - start_s
                reference = StoredReference(
                    features_of(store, video.video_id, part.first, part.last),
                    step_s,
                    bounds.clamp(min=0, max=length_s),
                    tuple(labels[i] for i in part.inside),
                    video.video_id if uncut else f"{video.video_id}/{number}",
                    () if uncut else (video.video_id,),
                    start_s,
                )
                references.append(reference)
                for label in sorted(classes & set(reference.labels)):
                    for start, stop in (reference.steps_of(label) + part.first).tolist():
                        clip = features_of(store, video.video_id, start, stop)
                        queries.append(StoredQuery(clip, step_s, label, video.video_id))
        pairs = draw_pairs(queries, references, seed)
        if not pairs:
            raise DataError(
                f"No class of the {name} split of {self.name} is shown by two videos: nothing to look for"
            )
        return RelocalizationSplit(f"{self.name}-{name}", queries, references, pairs)


def draw_pairs(
    queries: Sequence[StoredQuery], references: Sequence[StoredReference], seed: int
) -> list[tuple[int, int]]:
    """For each query one other video that shows its class, where there is one."""
    by_label: dict[str, list[int]] = {}
    for index, reference in enumerate(references):
        for label in sorted(set(reference.labels)):
            by_label.setdefault(label, []).append(index)
    rng = np.random.default_rng([seed, 1])
    pairs = []
    for index, query in enumerate(queries):
        others = [i for i in by_label[query.label] if not references[i].shares_source(query)]
        draw = rng.random()  # drawn for every query, so that one query's fate does not move the next one's
        if others:
            pairs.append((index, others[int(draw * len(others))]))
    return pairs


def within(video: AnnotatedVideo, steps: int, step_s: float, notes: Notes) -> AnnotatedVideo:
    """A video without the instances past its last feature step, and with ends moved to it."""
    kept = [(start, min(end, steps * step_s), label) for start, end, label in video.instances]
    for start, end, label in kept:
        if end - start <= 1e-6:
            notes.add("instances past the last feature, left out", f"{video.video_id} {label}")
    return replace(video, instances=tuple(one for one in kept if one[1] - one[0] > 1e-6))


def features_of(store: FeatureStore | None, video_id: str, start: int, stop: int) -> LazyFeatures:
    """Steps of a video in a store, or just their number."""
    return AbsentFeatures(stop - start) if store is None else FeatureSlice(store, video_id, start, stop)


def step_timing(video: AnnotatedVideo, store: FeatureStore | None) -> tuple[int, float, str]:
    """Steps, seconds per step, and what is wrong, of a video.

    A step lasts the store's frames per step at the video's frame rate, which the annotations or the store
    know; where neither does, the features are spread over the annotated duration.
    """
    if store is None:
        if video.duration_s is None:
            return 0, 0.0, "has neither features nor a duration: give a feature store"
        steps = max(1, round((video.num_frames or 0) / 16) or round(video.duration_s / NOMINAL_STEP_S))
        return steps, video.duration_s / steps, ""
    steps, frames = store.num_steps(video.video_id), store.metadata.frames_per_step
    rate = store.frame_rate(video.video_id)
    if video.num_frames is not None and video.duration_s is not None:
        rate = video.num_frames / video.duration_s
    if frames is None or rate is None:
        if video.duration_s is None:
            return 0, 0.0, "has no known duration: give the frame rate and frames per step of its features"
        return steps, video.duration_s / steps, ""
    step_s = frames / rate
    lasting, duration_s = steps * step_s, video.duration_s
    if duration_s is not None and abs(lasting - duration_s) > max(DURATION_TOLERANCE * duration_s, step_s):
        return 0, 0.0, f"lasts {lasting:.1f} s by its features and {duration_s:.1f} s by its annotations"
    return steps, step_s, ""


def check_classes(classes: ClassFold, videos: Sequence[AnnotatedVideo]) -> None:
    """Raise :class:`DataError` if a video shows a class that the class split does not know."""
    known = {*classes.train, *classes.validation, *classes.test}
    unknown = [(video.video_id, label) for video in videos for label in sorted(video.labels - known)]
    if unknown:
        video_id, label = unknown[0]
        number = len({label for _, label in unknown})
        raise DataError(
            f"The class split knows nothing of {number} classes, first {label!r} of video {video_id!r}; "
            "draw one for this data with `vreloc split`"
        )
