"""From annotated videos and a feature store to queries, references and pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from vreloc_pyg.datasets.class_splits import class_splits
from vreloc_pyg.datasets.folds import ClassFold, class_split
from vreloc_pyg.datasets.reading import DURATION_TOLERANCE, SHOWN, Instance, Notes
from vreloc_pyg.datasets.splits import Reference, RelocalizationSplit, StoredReference
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.lazy import AbsentFeatures, LazyFeatures
from vreloc_pyg.features.store import FeatureSlice, FeatureStore

#: Duration of a step where there are no features to say, in seconds: 16 frames at 32 frames per second.
NOMINAL_STEP_S = 0.5
#: Frames per second that a video may have, where nobody says how many it has.
SLOWEST_RATE, FASTEST_RATE = 2.0, 300.0
#: More frames than a video has: a year of 100 a second.
MOST_FRAMES, MOST_SECONDS = 2**32, 2**32


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video and its instances.

    Args:
        video_id: unique within the data set, and the features' key.
        duration_s: in seconds; ``None`` where only the features know it.
        instances: ``(start_s, end_s, label)`` of each.
        num_frames: where it is known; with the duration it gives the frame rate.
        sources: people, scenes or longer videos that it shares with others.

    Raises:
        DataError: if its duration or its number of frames is impossible.
    """

    video_id: str
    duration_s: float | None
    instances: tuple[Instance, ...]
    num_frames: int | None = None
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.duration_s is not None and not 0 < self.duration_s < MOST_SECONDS:
            raise DataError(f"Expected a positive duration of {self.video_id!r} (got {self.duration_s})")
        frames = self.num_frames
        if frames is not None and not (isinstance(frames, int) and 0 < frames < MOST_FRAMES):
            raise DataError(f"Expected a positive number of frames of {self.video_id!r} (got {frames!r})")

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
        references = self.references(store, skip_missing)
        return class_splits(self.name, references, chosen, seed=seed)

    def references(self, store: FeatureStore | None = None, skip_missing: bool = False) -> list[Reference]:
        """Every video, whole, by id; arguments and errors as of :meth:`splits`."""
        timings = self._timings(store, skip_missing)
        found: list[Reference] = []
        for video in sorted(self.videos, key=lambda video: video.video_id):
            if video.video_id not in timings:
                continue
            steps, step_s = timings[video.video_id]
            kept = within(video, steps, step_s, self._notes)
            bounds = torch.tensor([one[:2] for one in kept.instances], dtype=torch.float64).reshape(-1, 2)
            labels = tuple(label for _, _, label in kept.instances)
            features = features_of(store, video.video_id, 0, steps)
            found.append(StoredReference(features, step_s, bounds, labels, video.video_id, video.sources))
        return found

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
        implied = None if frames is None else frames * steps / video.duration_s
        if implied is not None and not SLOWEST_RATE <= implied <= FASTEST_RATE:
            wrong = f"has {steps} steps of {frames:g} frames for {video.duration_s:.1f} s"
            rate_of = f"{implied:.2g} frames a second"
            return 0, 0.0, f"{wrong}, {rate_of}: features of a part of it? Else give their frame rate"
        return steps, video.duration_s / steps, ""
    step_s = frames / rate
    lasting, duration_s = steps * step_s, video.duration_s
    if not 0 < lasting < math.inf:
        return 0, 0.0, f"has steps of {step_s:g} seconds"
    if duration_s is not None and abs(lasting - duration_s) > max(DURATION_TOLERANCE * duration_s, step_s):
        return 0, 0.0, f"lasts {lasting:.1f} s by its features and {duration_s:.1f} s by its annotations"
    return steps, step_s, ""
