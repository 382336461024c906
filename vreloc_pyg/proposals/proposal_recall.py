"""How many instances a set of proposals finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.segments import temporal_iou

THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
#: tIoU thresholds that average recall averages over.
AVERAGE_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
#: A tIoU within this of a threshold counts as equal to it.
MARGIN = 1e-9


def proposal_recall(
    proposals: Mapping[str, Tensor],
    instances: Mapping[str, Tensor],
    thresholds: Sequence[float] = THRESHOLDS,
) -> pd.DataFrame:
    """Share of instances, and of videos, that some proposal finds with a tIoU above each threshold.

    Args:
        proposals: starts and ends of every video, ``[M, 2]``; a video may be missing.
        instances: annotated segments of every video in the same unit, ``[G, 2]``; videos without any do not
            count.
        thresholds: tIoU thresholds, strict.

    Returns:
        A row per threshold with ``tiou``, ``per_instance`` and ``per_video`` (a video counts where any of
        its instances is found), both in percent.
    """
    best = {
        video: best_overlaps(proposals.get(video), found) for video, found in instances.items() if len(found)
    }
    every = np.concatenate(list(best.values())) if best else np.empty(0)
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


@dataclass(frozen=True)
class AverageRecall:
    """Average recall over the number of proposals.

    Args:
        average_number: average number of proposals a video, ``[P]``.
        average_recall: mean recall over tIoU .5 to .95 in steps of .05 in percent, ``[P]``.
        area: area under the curve, as a share of the number axis, in percent.
    """

    average_number: NDArray[np.float64]
    average_recall: NDArray[np.float64]
    area: float


def average_recall(
    proposals: Mapping[str, Tensor],
    instances: Mapping[str, Tensor],
    max_average: float = 100.0,
    num_points: int = 100,
) -> AverageRecall:
    """AR@AN, as the ActivityNet challenge defines it.

    Every video keeps the same share of its proposals, best first, such that the average number a video is
    AN. A tIoU of exactly the threshold counts here, as in the challenge's code
    (https://github.com/activitynet/ActivityNet, ``Evaluation/eval_proposal.py``).

    Args:
        proposals: of every video, best first, ``[M, 2]``.
        instances: annotated segments of every video, ``[G, 2]``.
        max_average: the largest AN.
        num_points: AN is ``max_average`` times 1/P, 2/P, ..., 1.
    """
    videos = [video for video, found in instances.items() if len(found)]
    counts = np.array([len(proposals.get(video, ())) for video in videos])
    total = counts.sum()
    numbers = max_average * np.arange(1, num_points + 1) / num_points
    recalls = np.zeros(num_points)
    if total == 0:
        return AverageRecall(numbers, recalls, 0.0)
    # running[v][m, g]: best tIoU of instance g with the first m + 1 proposals of video v.
    running = [
        torch.cummax(temporal_iou(proposals[video].double(), instances[video].double()), dim=0).values.numpy()
        if count
        else None
        for video, count in zip(videos, counts, strict=True)
    ]
    levels = np.array(AVERAGE_THRESHOLDS) - MARGIN
    num_instances = sum(len(instances[video]) for video in videos)
    for point, number in enumerate(numbers):
        share = number * len(videos) / total
        hits = 0
        for overlaps, count in zip(running, counts, strict=True):
            kept = min(int(count * share), count)
            if overlaps is not None and kept:
                hits += (overlaps[kept - 1][:, None] >= levels).sum()
        recalls[point] = 100 * hits / (num_instances * len(levels))
    area = float(np.trapezoid(recalls, numbers) / numbers[-1])
    return AverageRecall(numbers, recalls, area)
