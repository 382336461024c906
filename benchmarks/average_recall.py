"""Average recall over the number of proposals, AR@AN, as the ActivityNet challenge defines it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.proposals.proposal_recall import MARGIN
from vreloc_pyg.segments import temporal_iou

#: tIoU thresholds that average recall averages over.
AVERAGE_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


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
