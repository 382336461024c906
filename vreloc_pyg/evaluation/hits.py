"""The metric: R@1 at strict tIoU thresholds, as functions of tensors.

An answer is right at threshold t if its tIoU with *any* true instance of the query's class is greater than
t. R@1 is the share of right answers over all queries, which the paper calls mAP@1 (section 5.2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.segments import temporal_iou

#: The thresholds of the paper's Table 1.
THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

#: Thresholds of a curve: from "touches it" to "all but exact".
CURVE = (0.1, 0.2, 0.3, 0.4, *THRESHOLDS)

#: The thresholds whose mean Feng et al. (ECCV 2018) report as "average".
AVERAGE_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)

# Segments in seconds are steps times a step duration, so a tIoU of exactly 1/2 in steps may come out a
# rounding error above 0.5. Overlaps of step intervals that truly differ are much further apart than this.
ROUNDING = 1e-9


def best_tiou(segments: Tensor, truths: Tensor) -> Tensor:
    """Largest tIoU of each segment ``[M, 2]`` with any true instance ``[G, 2]``, ``[M]`` float64.

    Without a true instance it is a :class:`DataError`.
    """
    if len(truths) == 0:
        raise DataError("Expected at least one true segment to compare with (got none)")
    return temporal_iou(segments.double(), truths.double()).amax(-1)


def passes(tiou: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """Whether overlaps ``[...]`` are strictly above each of K thresholds, ``[..., K]`` bool."""
    levels = torch.tensor(thresholds, dtype=torch.float64, device=tiou.device)
    return tiou.double().unsqueeze(-1) > levels + ROUNDING


def hits(segments: Tensor, truths: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """Whether segments ``[M, 2]`` are right answers, given all instances ``[G, 2]``; ``[M, K]`` bool."""
    return passes(best_tiou(segments, truths), thresholds)


def expected_hits(
    segments: Tensor, probabilities: Tensor, truths: Tensor, thresholds: Sequence[float] = THRESHOLDS
) -> Tensor:
    """Probability of a hit at each threshold, ``[K]`` float64, for one of P segments drawn at random."""
    return probabilities.double() @ hits(segments, truths, thresholds).double()


def single_run_std(probabilities: Tensor, weights: Tensor) -> Tensor:
    """Standard deviation of R@1 over runs that draw one answer per pair.

    .. math::
        \\sqrt{\\sum_i w_i^2\\, p_i (1 - p_i)}

    of the probabilities of a hit for N pairs and K columns, ``[N, K]``, and the share of every pair in R@1,
    ``[N]``: ``[K]`` float64. With shares of 1 / N the number of hits is Poisson-binomial.
    """
    p = probabilities.double()
    return (weights.double().square() @ (p * (1 - p))).sqrt()


def recall_column(threshold: float, n: int = 1) -> str:
    """Name of R@n at a threshold in tables and logs, for example ``"R@1(0.5)"``."""
    return f"R@{n}({threshold:g})"
