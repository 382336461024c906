"""From a query and a reference, videos or their features, to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import FeatureError, SettingsError, VideoError
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.files import user_cache
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.localization.finders import (
    Finder,
    RankingFinder,
    at_hand,
    check_at_hand,
    shipped_model,
    unlike,
)
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.shipped import SHIPPED
from vreloc_pyg.localization.sources import Progress, Sources
from vreloc_pyg.moments import Moment, Verdict
from vreloc_pyg.segments import Segments, clip_segments
from vreloc_pyg.sequences.pose import PENN_SKELETON
from vreloc_pyg.systems.protocol import check_top_n
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.extractors import Device, load_extractor
from vreloc_pyg.video.feature_cache import FeatureCache, VideoFeatures
from vreloc_pyg.video.place import Place

#: Moments that are looked through when all of them are wanted.
ALL = 1000


@dataclass(frozen=True)
class SeenPoses:
    """The poses that were compared, for pictures.

    Args:
        joints: Penn Action's in every step, as shares of a picture's width and height, ``[N, 13, 2]``; NaN
            where nobody is seen.
        start_s: of the first step, in seconds of the video.
        seconds_per_step: duration of a step.
    """

    joints: Tensor
    start_s: float
    seconds_per_step: float


@dataclass(frozen=True)
class VideoAnswer:
    """The segments of a reference that show a query's action.

    Args:
        query, reference: the files, or names in a feature store.
        query_range: the part of the query that was looked for, in seconds.
        system: what answered.
        segments: in seconds of the reference, best first, with scores.
        calibration: how sure a score is; ``None`` where that is not known.
        curve: best score of the windows that cover each step of the reference, ``[num_steps]``.
        seconds_per_step: of the curve.
        duration_s: of the reference.
        settings: what decided the answer, as plain values.
        notes: what was wrong with the files, in words.
        proposals: the best candidate windows in seconds of the reference, best first, for pictures.
        query_poses, reference_poses: ``None`` where no poses were looked for in videos.
    """

    query: Path
    reference: Path
    query_range: tuple[float, float]
    system: str
    segments: Segments
    calibration: Calibration | None
    curve: Tensor
    seconds_per_step: float
    duration_s: float
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    proposals: Segments = field(default_factory=lambda: Segments(torch.empty(0, 2), torch.empty(0)))
    query_poses: SeenPoses | None = None
    reference_poses: SeenPoses | None = None

    @property
    def verdict(self) -> Verdict | None:
        """How sure the best segment is; ``None`` where that is not known."""
        if len(self.segments) == 0:
            return "not found"
        return self.moments[0].verdict

    @property
    def found(self) -> bool:
        """Whether there is a segment, and nothing says that the reference does not show the action."""
        return self.verdict != "not found"

    @property
    def moments(self) -> list[Moment]:
        """The segments with their scores and verdicts, best first."""
        assert self.segments.scores is not None
        judge = self.calibration
        return [
            Moment(str(self.reference), start, end, score, None if judge is None else judge.verdict(score))
            for (start, end), score in zip(self.segments, self.segments.scores.tolist(), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "query": str(self.query),
            "query_start_s": self.query_range[0],
            "query_end_s": self.query_range[1],
            "reference": str(self.reference),
            "reference_duration_s": self.duration_s,
            "system": self.system,
            "match": self.found,
            "verdict": self.verdict,
            "calibration_pairs": None if self.calibration is None else self.calibration.num_pairs,
            "segments": [
                {
                    "rank": rank,
                    "start_s": one.start_s,
                    "end_s": one.end_s,
                    "score": one.score,
                    "verdict": one.verdict,
                }
                for rank, one in enumerate(self.moments, start=1)
            ],
            "settings": self.settings,
            "notes": list(self.notes),
        }


def locate(
    query: str | Path,
    reference: str | Path,
    localizer: Localizer | None = None,
    *,
    system: str | None = None,
    also: Sequence[str | Path] = (),
    unlike_these: Sequence[str | Path] = (),
    store: FeatureStore | None = None,
    seconds_per_step: float | None = None,
    extractor: VideoExtractor | str | None = None,
    weights: str | Path | None = None,
    device: Device = "cpu",
    start_s: float = 0.0,
    end_s: float | None = None,
    person: Place | None = None,
    reference_person: Place | None = None,
    top_n: int = 5,
    every: bool = False,
    min_score: float | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> VideoAnswer:
    """Find the segments of a reference that show the action of a query.

    Args:
        query: what shows the action: a video, a ``.npy`` file ``[num_steps, F]``, or a name in ``store``.
        reference: what is searched, likewise.
        localizer: a model of one's own.
        system: without one, which of :data:`.finders.AT_HAND`.
        also: further clips of the same action.
        unlike_these: clips of what is *not* wanted: segments that answer them better are left out.
        store: features of videos by name.
        seconds_per_step: duration of a step of features that do not say so.
        extractor, weights, device: of features of videos, see :func:`choose_extractor`.
        start_s, end_s: the part of the query that shows the action, in seconds; by default all of it.
        person, reference_person: whom to follow in the query and in the reference, where features are
            poses; by default whoever moves most.
        top_n: number of segments at most.
        every: all segments that are not "not found" instead, however many.
        min_score: leave out segments with lower scores.
        cache: folder of features; by default in the user's cache.
        progress: called with the file, frames that were read since the last call, and how many there are.

    Raises:
        VideoError: if a file cannot be read, the range does not lie in the query, or the query is longer than
            the reference.
        DataError: if there is nothing of a name, or nobody says how long steps last.
        FeatureError: if features were made in another way than the model's, or than each other.
        SettingsError: for an unknown system, one beside a model, a person where features are of the whole
            picture, or ``every`` where nobody knows what is one.
        WeightsError: if the extractor's weights are missing.
    """
    check_top_n(top_n)
    if localizer is not None and system is not None:
        raise SettingsError(f"Give a trained model or the system {system!r}, not both")
    if system is not None:
        check_at_hand(system)  # before minutes are spent
    kept = FeatureCache(user_cache() / "features" if cache is None else Path(cache))

    def network() -> VideoExtractor:
        if isinstance(extractor, VideoExtractor):
            return extractor
        # What comes with the package reads any features; those it was trained on are its usual ones.
        shipped = localizer is None and extractor is None and system in SHIPPED
        model = shipped_model(str(system)) if shipped else localizer
        return choose_extractor(model, extractor, weights, device)

    trained_on = None if localizer is None else localizer.features
    sources = Sources(network, kept, trained_on, store, seconds_per_step, progress)
    searchable_s = sources.lasting(reference)  # before minutes are spent on features of the other files
    for source in (query, *also, *unlike_these):
        sources.lasting(source)
    sources.check_person(query, person)
    sources.check_person(reference, reference_person)
    made_with = sources.made_with(reference)
    finder: Finder = at_hand(system, made_with.extractor) if localizer is None else RankingFinder(localizer)
    if every and finder.calibration is None:
        raise SettingsError(
            f"Nobody knows which scores of {finder.name} on features of {made_with.extractor} are matches: "
            "give top_n or min_score in place of every"
        )
    clip = sources.read(query, start_s, end_s, person)
    if searchable_s is not None:
        _check_length(clip.duration_s, searchable_s, clip.seconds_per_step)
    video = sources.read(reference, person=reference_person)
    step = video.seconds_per_step
    _check_length(clip.duration_s, video.duration_s, step)
    clips = {query: clip, **{one: sources.read(one) for one in (*also, *unlike_these)}}
    for one, part in clips.items():
        if abs(part.seconds_per_step - step) > 0.01 * step:
            raise FeatureError(
                f"Steps last {part.seconds_per_step:g} s in {one} and {step:g} s in {reference}"
            )
    wanted = {one: Query(part.features, step, "", Path(one).stem) for one, part in clips.items()}
    searched = Reference(video.features, step, torch.empty(0, 2), (), Path(reference).stem)
    found = finder.find([wanted[one] for one in (query, *also)], searched, ALL if every else top_n)
    segments = found.segments
    if unlike_these:
        other = finder.find([wanted[one] for one in unlike_these], searched, top_n)
        segments = unlike(found, other, step)
    assert segments.scores is not None
    segments = Segments(_inside(segments, video), segments.scores)
    if min_score is not None:
        assert segments.scores is not None
        segments = segments[segments.scores >= min_score]
    answer = VideoAnswer(
        Path(query),
        Path(reference),
        (start_s, start_s + clip.duration_s),
        finder.name,
        segments,
        finder.calibration,
        found.curve,
        step,
        video.duration_s,
        {
            "extractor": made_with.to_dict(),
            "also": [str(one) for one in also],
            "unlike": [str(one) for one in unlike_these],
            "person": None if person is None else str(person),
            "reference_person": None if reference_person is None else str(reference_person),
            "top_n": "all" if every else top_n,
            "min_score": min_score,
        },
        (*dict.fromkeys(note for one in (*clips.values(), video) for note in one.problems), *kept.notes),
        Segments(_inside(found.candidates, video), found.candidates.scores),
        _seen(clip, start_s),
        _seen(video, 0.0),
    )
    if not every:
        return answer
    matches = torch.tensor([one.verdict != "not found" for one in answer.moments], dtype=torch.bool)
    return replace(answer, segments=answer.segments[matches])


def _seen(video: VideoFeatures, start_s: float) -> SeenPoses | None:
    return None if video.joints is None else SeenPoses(video.joints, start_s, video.seconds_per_step)


def _inside(segments: Segments, video: VideoFeatures) -> Tensor:
    """Bounds of segments within a video, at least a step long."""
    return clip_segments(segments.bounds, video.duration_s, min(video.seconds_per_step, video.duration_s))


def choose_extractor(
    localizer: Localizer | None,
    name: str | None = None,
    weights: str | Path | None = None,
    device: Device = "cpu",
) -> VideoExtractor:
    """The network that makes features for a model, or for the rule that needs no training.

    Args:
        localizer: the model, whose own extractor and frame rate are the default; without one it is I3D.
        name: of another extractor.
        weights: its weights, where they are not in their usual place.
        device: where it computes.

    Raises:
        FeatureError: if the features would not be as wide as those of the model.
    """
    trained_on = None if localizer is None else localizer.features
    usual = None if trained_on is None else trained_on.extractor
    wanted = None if localizer is None else localizer.num_features
    if usual is None and wanted == PENN_SKELETON.num_features:
        usual = "pose"  # as networks trained on Penn Action read them
    made = load_extractor(
        name or usual or "i3d", weights, None if trained_on is None else trained_on.frame_rate, device
    )
    if wanted not in (None, made.dim):
        raise FeatureError(
            f"The model was trained on {wanted} features a step and {made.name} gives {made.dim}: choose the "
            "extractor that its features were made with, or give features of that width"
        )
    return made


def _check_length(query_s: float, reference_s: float, slack_s: float) -> None:
    """Raise :class:`VideoError` if the query lasts longer than the reference by more than ``slack_s``."""
    if query_s > reference_s + slack_s:
        raise VideoError(
            f"The query lasts {query_s:.1f} s and the reference {reference_s:.1f} s: a query cannot be "
            "longer than what it is looked for in. Choose a part with --start and --end"
        )
