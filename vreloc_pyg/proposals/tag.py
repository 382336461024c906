"""Temporal actionness grouping: from a curve of actionness to candidate segments.

Zhao et al., *Temporal Action Detection with Structured Segment Networks*, ICCV 2017
(https://arxiv.org/abs/1704.06228, section 4), and the authors' released code
(https://github.com/yjxiong/action-detection), which differs from the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.segments import Segments, temporal_nms
from vreloc_pyg.settings import CheckedSettings, Count, NotNegative, Share

GRID = tuple(round(0.05 * i, 2) for i in range(1, 20))
#: Shares are compared with this margin, so that 3 of 10 is not above .3 by a rounding error.
MARGIN = 1e-9
#: Largest standard deviation of the smoothing, in steps.
MOST_SMOOTHING = 10_000


@dataclass(frozen=True)
class TAGSettings(CheckedSettings):
    """How a curve of actionness is grouped. The defaults are the released code's, for steps of 16 frames.

    Steps whose actionness passes a threshold form runs. From every run a group grows over the runs that
    follow (and, in the released code, over those before) until too large a share of it is background.

    Args:
        variant: ``"released"``: a group takes in the next run while the background from the seed's start to
            that run's start is at most a tolerated share, and groups grow forwards and backwards;
            ``"paper"``: while background is at most a tolerated share of the group *including* the run, and
            groups grow forwards only.
        thresholds: a step is foreground if its actionness is above (``released``), or at least (``paper``,
            where :math:`1 - a \\le \\gamma`), one of these.
        tolerances: shares of background a group may hold; the paper's :math:`1 - \\tau`.
        smoothing: standard deviation in steps of a Gaussian that smooths the curve first; 0 for none. The
            released code smooths with 3 steps of 5 or 6 frames.
        nms_threshold: largest tIoU two groups may have.
        shortest: least length of a group in steps.
    """

    variant: Literal["released", "paper"] = "released"
    thresholds: tuple[Share, ...] = (0.01, 0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    tolerances: tuple[Share, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    smoothing: NotNegative = 1.0
    nms_threshold: Share = 0.9
    shortest: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.thresholds or not self.tolerances:
            raise SettingsError("Expected thresholds and tolerances, at least one of each")
        # Its window is eight times as wide.
        if self.smoothing and not 1e-3 <= self.smoothing <= MOST_SMOOTHING:
            raise SettingsError(
                f"Expected smoothing of 0 or 0.001 to {MOST_SMOOTHING} (got {self.smoothing})"
            )

    @classmethod
    def paper(cls) -> TAGSettings:
        """The text's variant: gamma and tau on a grid over (0, 1) in steps of .05, NMS at .95."""
        return cls("paper", GRID, GRID, smoothing=0.0, nms_threshold=0.95)


def temporal_actionness_grouping(
    actionness: ArrayLike | Tensor, settings: TAGSettings | None = None
) -> Segments:
    """Candidate segments of a video in steps with scores, best first; none if no step is ever foreground.

    The score of a group is the sum of its actionness, as in the released code, which sums logits: it ranks
    groups for non-maximum suppression and is no probability. Of equal scores the earlier group comes first,
    and of those the shorter.

    Args:
        actionness: probability that a step shows any action, ``[num_steps]`` in [0, 1], else a
            :class:`FeatureError`.
        settings: the variant; by default the released code's.
    """
    settings = TAGSettings() if settings is None else settings
    curve = check_actionness(actionness)
    smooth = curve
    if settings.smoothing > 0:
        from scipy.ndimage import gaussian_filter1d

        smooth = np.clip(gaussian_filter1d(curve, settings.smoothing), 0, 1)
    groups = []
    for threshold in settings.thresholds:
        paper = settings.variant == "paper"
        inside = 1 - smooth <= threshold + MARGIN if paper else smooth > threshold
        groups.append(grow(*runs(inside), settings))
    starts, ends = np.concatenate(groups).T
    codes = np.unique(starts * (len(curve) + 1) + ends)  # by start, then end; faster than by rows
    bounds = np.stack([codes // (len(curve) + 1), codes % (len(curve) + 1)], axis=1)  # [M, 2]
    bounds = bounds[bounds[:, 1] - bounds[:, 0] >= settings.shortest]
    total = np.concatenate([[0.0], np.cumsum(curve)])
    # Rounded, so that equal sums are equal whatever was summed before them.
    scores = torch.from_numpy(np.round(total[bounds[:, 1]] - total[bounds[:, 0]], 9))
    steps = torch.from_numpy(bounds).double()
    kept = temporal_nms(steps, scores, settings.nms_threshold)
    return Segments(steps[kept], scores[kept])


def check_actionness(actionness: ArrayLike | Tensor) -> NDArray[np.float64]:
    """The curve as float64, or :class:`FeatureError` saying what is wrong with it."""
    curve = torch.as_tensor(actionness).detach().cpu().double().numpy()
    if curve.ndim != 1 or len(curve) == 0:
        raise FeatureError(f"Expected actionness as [num_steps] with a step (got shape {curve.shape})")
    bad = ~((curve >= 0) & (curve <= 1))  # NaN is neither
    if bad.any():
        step = int(bad.argmax())
        raise FeatureError(f"Expected actionness in [0, 1] (got {curve[step]} at step {step})")
    return curve


def runs(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of the maximal runs of true steps, half-open, ``[R]`` each."""
    edges = np.diff(np.concatenate([[0], inside.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def grow(starts: NDArray[np.int64], ends: NDArray[np.int64], settings: TAGSettings) -> NDArray[np.int64]:
    """The groups that grow from every run at every tolerance, ``[G, 2]`` with repetitions."""
    if len(starts) == 0:
        return np.empty((0, 2), dtype=np.int64)
    tolerances = np.sort(np.array(settings.tolerances)) + MARGIN
    last = reach(starts, ends, tolerances, settings.variant)  # [R, tolerances]
    groups = [np.stack(np.broadcast_arrays(starts[:, None], ends[last]), axis=-1)]
    if settings.variant == "released":  # backwards is forwards of the video played backwards
        first = len(starts) - 1 - reach(-ends[::-1], -starts[::-1], tolerances, "released")[::-1]
        groups.append(np.stack(np.broadcast_arrays(starts[first], ends[:, None]), axis=-1))
    return np.concatenate(groups).reshape(-1, 2)


def reach(
    starts: NDArray[np.int64], ends: NDArray[np.int64], tolerances: NDArray[np.float64], variant: str
) -> NDArray[np.int64]:
    """Index of the last run that joins the group of each seed run, ``[R, len(tolerances)]``.

    The share of background between seed x and run y is a matrix ``[R, R]``; its running maximum over y
    counts, since a group stops growing at the first run that it cannot take in.
    """
    covered = np.cumsum(ends - starts)  # foreground up to the end of each run
    before = covered - (ends - starts)
    if variant == "released":
        span, inside = starts[None] - starts[:, None], before[None] - before[:, None]
    else:
        span, inside = ends[None] - starts[:, None], covered[None] - before[:, None]
    later = np.triu(np.ones(span.shape, dtype=bool), 1)
    share = np.where(later, 1 - inside / np.where(later, span, 1), 0.0)
    worst = np.maximum.accumulate(share, axis=1)  # [R, R]
    # worst is 0 up to the seed itself, so the count includes the runs before it.
    return (worst[:, :, None] <= tolerances).sum(axis=1) - 1
