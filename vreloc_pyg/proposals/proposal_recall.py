"""How many instances a set of proposals finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.segments import temporal_iou

THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
#: A tIoU within this of a threshold counts as equal to it.
MARGIN = 1e-9


def proposal_recall(
    proposals: Mapping[str, Tensor],
    instances: Mapping[str, Tensor],
    thresholds: Sequence[float] = THRESHOLDS,
    num_empty: int = 0,
) -> pd.DataFrame:
    """Share of instances, and of videos, that some proposal finds with a tIoU above each threshold.

    Args:
        proposals: starts and ends of every video, ``[M, 2]``; a video may be missing.
        instances: annotated segments of every video in the same unit, ``[G, 2]``; videos without any do not
            count.
        thresholds: tIoU thresholds, strict.
        num_empty: further instances, of no length, which nothing can find: published counts hold them.

    Returns:
        A row per threshold with ``tiou``, ``per_instance`` and ``per_video`` (a video counts where any of
        its instances is found), both in percent.
    """
    best = {
        video: best_overlaps(proposals.get(video), found) for video, found in instances.items() if len(found)
    }
    every = np.concatenate([*best.values(), np.zeros(num_empty)])
    videos = np.array([one.max() for one in best.values()])
    rows = [
        {
            "tiou": threshold,
            "per_instance": percent(every > threshold + MARGIN),
            "per_video": percent(videos > threshold + MARGIN),
        }
        for threshold in thresholds
    ]
    return pd.DataFrame(rows)


def best_overlaps(proposals: Tensor | None, instances: Tensor) -> NDArray[np.float64]:
    """The best tIoU of each instance, ``[G]``; 0 without proposals."""
    if proposals is None or len(proposals) == 0:
        return np.zeros(len(instances))
    best: NDArray[np.float64] = temporal_iou(proposals.double(), instances.double()).amax(0).numpy()
    return best


def percent(found: NDArray[np.bool_]) -> float:
    """A share in percent; NaN of nothing."""
    return 100 * float(found.mean()) if len(found) else float("nan")
