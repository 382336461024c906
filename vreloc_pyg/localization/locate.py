"""From two video files to an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import SettingsError, VideoError
from vreloc_pyg.features.metadata import check_metadata
from vreloc_pyg.files import user_cache
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import Segments, clip_segments
from vreloc_pyg.systems.rules.window_rule import WindowRule
from vreloc_pyg.video.decoding import probe
from vreloc_pyg.video.extract import FeatureCache, extract_video
from vreloc_pyg.video.extractor import VideoExtractor, load_extractor

if TYPE_CHECKING:
    from vreloc_pyg.localization.base import RankingLocalizer

#: Of the training-free system on I3D features: best scores of 16 queries whose reference shows their action
#: and 12 whose does not, joined from four clips, lie in [-.62, -.39] and [-1.05, -.81].
TRAINING_FREE = Calibration(slope=40.0, intercept=28.6, num_present=16, num_absent=12)


#: Candidate windows that an answer keeps for pictures, and the largest tIoU two of them may have: with more
#: overlap they would be near-copies of the best.
KEPT_PROPOSALS, PROPOSALS_NMS = 100, 0.8


def training_free() -> WindowRule:
    """The window rule on features of a network, used where there is no trained model."""
    windows = SlidingWindows(shortest=3, longest=400, ratio=1.2, overlap=0.8)
    return WindowRule(windows, 0.25, normalize=True, search_steps=4, name="window rule (no training)")


@dataclass(frozen=True)
class VideoAnswer:
    """The segments of a reference video that show a query's action.

    Args:
        query, reference: the files.
        query_range: the part of the query that was looked for, in seconds.
        system: what answered.
        segments: in seconds of the reference, best first, with scores.
        probability: that the reference shows the action at all; ``None`` where that was not calibrated.
        curve: best score of the windows that cover each step of the reference, ``[num_steps]``.
        seconds_per_step: of the curve.
        duration_s: of the reference.
        settings: what decided the answer, as plain values.
        notes: what was wrong with the files, in words.
        proposals: the best candidate windows in seconds of the reference, best first, for pictures.
    """

    query: Path
    reference: Path
    query_range: tuple[float, float]
    system: str
    segments: Segments
    probability: float | None
    curve: Tensor
    seconds_per_step: float
    duration_s: float
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    proposals: Segments = field(default_factory=lambda: Segments(torch.empty(0, 2), torch.empty(0)))

    @property
    def found(self) -> bool:
        """Whether there is a segment, and the reference shows the action more likely than not."""
        return len(self.segments) > 0 and (self.probability is None or self.probability >= 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        assert self.segments.scores is not None
        scored = zip(self.segments, self.segments.scores.tolist(), strict=True)
        return {
            "query": str(self.query),
            "query_start_s": self.query_range[0],
            "query_end_s": self.query_range[1],
            "reference": str(self.reference),
            "reference_duration_s": self.duration_s,
            "system": self.system,
            "match": self.found,
            "probability": self.probability,
            "segments": [
                {"rank": rank, "start_s": start, "end_s": end, "score": score}
                for rank, ((start, end), score) in enumerate(scored, start=1)
            ],
            "settings": self.settings,
            "notes": list(self.notes),
        }


def locate(
    query: str | Path,
    reference: str | Path,
    localizer: RankingLocalizer | None = None,
    *,
    extractor: VideoExtractor | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    top_n: int = 5,
    min_score: float | None = None,
    cache: str | Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> VideoAnswer:
    """Find the segments of a reference video that show the action of a query video.

    Args:
        query: the video of the action.
        reference: the video to search.
        localizer: a trained model; by default :func:`training_free`.
        extractor: by default the one the model was trained with, or I3D.
        start_s, end_s: the part of the query that shows the action, in seconds; by default all of it.
        top_n: number of segments at most.
        min_score: leave out segments with lower scores.
        cache: folder of features; by default in the user's cache.
        progress: called with numbers of frames as they are read.

    Raises:
        VideoError: if a file cannot be read, the range does not lie in the query, or the query is longer than
            the reference.
        FeatureError: if the model was trained on features made in another way.
        WeightsError: if the extractor's weights are missing.
    """
    if top_n < 1:
        raise SettingsError(f"Expected top_n >= 1 (got {top_n})")
    trained_on = None if localizer is None else localizer.features
    if extractor is None:
        name = "i3d" if trained_on is None else trained_on.extractor or "i3d"
        extractor = load_extractor(name, frame_rate=None if trained_on is None else trained_on.frame_rate)
    if trained_on is not None:
        check_metadata(trained_on, extractor.metadata, f"features of {extractor.name}")
    kept = FeatureCache(user_cache() / "features" if cache is None else Path(cache))
    searchable_s = probe(reference).duration_s  # before minutes are spent on features of the other file
    clip = extract_video(query, extractor, start_s, end_s, kept, progress=progress)
    if searchable_s is not None:
        _check_length(clip.duration_s, searchable_s, extractor.seconds_per_step)
    video = extract_video(reference, extractor, cache=kept, progress=progress)
    _check_length(clip.duration_s, video.duration_s, extractor.seconds_per_step)
    system = training_free() if localizer is None else localizer
    step = extractor.seconds_per_step
    wanted = Query(clip.features, step, "", Path(query).stem)
    searched = Reference(video.features, step, torch.empty(0, 2), (), Path(reference).stem)
    ranking = system.rank(wanted, searched)
    best = ranking.segments.top(top_n, system.nms_threshold)
    if isinstance(system, WindowRule):
        best = system.refined(wanted, searched, best)
    assert best.scores is not None
    calibration = localizer.calibration if localizer is not None else None
    if localizer is None and extractor.name == "i3d":
        calibration = TRAINING_FREE
    proposals = ranking.segments.top(KEPT_PROPOSALS, PROPOSALS_NMS)
    probability = None if calibration is None else calibration.probability(float(best.scores[0]))
    bounds = clip_segments(best.bounds, video.duration_s, min(step, video.duration_s))
    segments = Segments(bounds, best.scores)
    if min_score is not None:
        segments = segments[best.scores >= min_score]
    return VideoAnswer(
        Path(query),
        Path(reference),
        (start_s, start_s + clip.duration_s),
        system.name,
        segments,
        probability,
        ranking.curve(len(video.features)),
        step,
        video.duration_s,
        {
            "extractor": extractor.metadata.to_dict(),
            "top_n": top_n,
            "min_score": min_score,
            "candidates": len(ranking.windows),
            "nms_threshold": system.nms_threshold,
        },
        (*clip.problems, *video.problems, *kept.notes),
        Segments(
            clip_segments(proposals.bounds, video.duration_s, min(step, video.duration_s)), proposals.scores
        ),
    )


def _check_length(query_s: float, reference_s: float, slack_s: float) -> None:
    """Raise :class:`VideoError` if the query lasts longer than the reference by more than ``slack_s``."""
    if query_s > reference_s + slack_s:
        raise VideoError(
            f"The query lasts {query_s:.1f} s and the reference {reference_s:.1f} s: a query cannot be "
            "longer than what it is looked for in. Choose a part with --start and --end"
        )
