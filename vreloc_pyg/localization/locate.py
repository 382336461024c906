"""From a query and a reference, videos or their features, to an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import FeatureError, VideoError
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.files import user_cache
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.sources import Sources
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.segments import Segments, clip_segments
from vreloc_pyg.systems.protocol import check_top_n
from vreloc_pyg.video.extraction import FeatureCache
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.extractors import Device, load_extractor

#: Candidate windows that an answer keeps for pictures, and the largest tIoU two of them may have: with more
#: overlap they would be near-copies of the best.
KEPT_PROPOSALS, PROPOSALS_NMS = 100, 0.8


@dataclass(frozen=True)
class VideoAnswer:
    """The segments of a reference that show a query's action.

    Args:
        query, reference: the files, or names in a feature store.
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
    localizer: Localizer | None = None,
    *,
    store: FeatureStore | None = None,
    seconds_per_step: float | None = None,
    extractor: VideoExtractor | str | None = None,
    weights: str | Path | None = None,
    device: Device = "cpu",
    start_s: float = 0.0,
    end_s: float | None = None,
    top_n: int = 5,
    min_score: float | None = None,
    cache: str | Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> VideoAnswer:
    """Find the segments of a reference that show the action of a query.

    Args:
        query: what shows the action: a video, a ``.npy`` file ``[num_steps, F]``, or a name in ``store``.
        reference: what is searched, likewise.
        localizer: a trained model; by default :func:`training_free`.
        store: features of videos by name.
        seconds_per_step: duration of a step of features that do not say so.
        extractor, weights, device: of features of videos, see :func:`choose_extractor`.
        start_s, end_s: the part of the query that shows the action, in seconds; by default all of it.
        top_n: number of segments at most.
        min_score: leave out segments with lower scores.
        cache: folder of features; by default in the user's cache.
        progress: called with numbers of frames as they are read.

    Raises:
        VideoError: if a file cannot be read, the range does not lie in the query, or the query is longer than
            the reference.
        DataError: if there is nothing of a name, or nobody says how long steps last.
        FeatureError: if features were made in another way than the model's, or than each other.
        WeightsError: if the extractor's weights are missing.
    """
    check_top_n(top_n)
    trained_on = None if localizer is None else localizer.features
    kept = FeatureCache(user_cache() / "features" if cache is None else Path(cache))

    def network() -> VideoExtractor:
        if isinstance(extractor, VideoExtractor):
            return extractor
        return choose_extractor(localizer, extractor, weights, device)

    sources = Sources(network, kept, trained_on, store, seconds_per_step, progress)
    searchable_s = sources.lasting(reference)  # before minutes are spent on features of the other file
    sources.lasting(query)
    clip = sources.read(query, start_s, end_s)
    if searchable_s is not None:
        _check_length(clip.duration_s, searchable_s, clip.seconds_per_step)
    video = sources.read(reference)
    step = video.seconds_per_step
    if abs(clip.seconds_per_step - step) > 0.01 * step:
        raise FeatureError(
            f"Steps last {clip.seconds_per_step:g} s in the query and {step:g} s in the reference"
        )
    _check_length(clip.duration_s, video.duration_s, step)
    made_with = sources.made_with(reference)
    system = training_free(made_with.extractor) if localizer is None else localizer
    wanted = Query(clip.features, step, "", Path(query).stem)
    searched = Reference(video.features, step, torch.empty(0, 2), (), Path(reference).stem)
    ranking = system.rank(wanted, searched)
    best = system.best(ranking, wanted, searched, top_n)
    assert best.scores is not None
    calibration = system.calibration
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
            "extractor": made_with.to_dict(),
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
    """
    trained_on = None if localizer is None else localizer.features
    usual = None if trained_on is None else trained_on.extractor
    return load_extractor(
        name or usual or "i3d", weights, None if trained_on is None else trained_on.frame_rate, device
    )


def _check_length(query_s: float, reference_s: float, slack_s: float) -> None:
    """Raise :class:`VideoError` if the query lasts longer than the reference by more than ``slack_s``."""
    if query_s > reference_s + slack_s:
        raise VideoError(
            f"The query lasts {query_s:.1f} s and the reference {reference_s:.1f} s: a query cannot be "
            "longer than what it is looked for in. Choose a part with --start and --end"
        )
