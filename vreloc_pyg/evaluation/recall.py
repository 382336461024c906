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

#: The thresholds whose mean Feng et al. (ECCV 2018) report as "average".
AVERAGE_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)

# Segments in seconds are steps times a step duration, so a tIoU of exactly 1/2 in steps may come out a
# rounding error above 0.5. Overlaps of step intervals that truly differ are much further apart than this.
ROUNDING = 1e-9


def best_tiou(segments: Tensor, truths: Tensor) -> Tensor:
    """Each segment's largest tIoU with any true instance, ``[M]`` float64.

    Args:
        segments: ``[M, 2]``.
        truths: ``[G, 2]`` in the same unit, at least one.

    Raises:
        DataError: if there is no true instance.
    """
    if len(truths) == 0:
        raise DataError("Expected at least one true segment to compare with (got none)")
    return temporal_iou(segments.double(), truths.double()).amax(-1)


def passes(tiou: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """Whether overlaps ``[...]`` are strictly above each of K thresholds, ``[..., K]`` bool."""
    levels = torch.tensor(thresholds, dtype=torch.float64, device=tiou.device)
    return tiou.double().unsqueeze(-1) > levels + ROUNDING


def hits(segments: Tensor, truths: Tensor, thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """Whether each segment is a right answer at each threshold.

    Args:
        segments: ``[M, 2]``.
        truths: every instance of the query's class in the reference, ``[G, 2]`` in the same unit.
        thresholds: K tIoU thresholds.

    Returns:
        ``[M, K]`` bool; a segment whose tIoU *equals* a threshold is not a hit.
    """
    return passes(best_tiou(segments, truths), thresholds)


def expected_hits(
    segments: Tensor, probabilities: Tensor, truths: Tensor, thresholds: Sequence[float] = THRESHOLDS
) -> Tensor:
    """Probability that a segment drawn at random is a hit, summed over all that can be drawn.

    Args:
        segments: what can be drawn, ``[P, 2]`` (:meth:`vreloc_pyg.systems.catalog.Chance.placements`).
        probabilities: of each, ``[P]``.
        truths: ``[G, 2]`` in the same unit.
        thresholds: K tIoU thresholds.

    Returns:
        ``[K]`` float64.
    """
    return probabilities.double() @ hits(segments, truths, thresholds).double()


def single_run_std(probabilities: Tensor) -> Tensor:
    """Standard deviation of R@1 over runs that draw one answer per query.

    .. math::
        \\sqrt{\\sum_i p_i (1 - p_i)} \\, / \\, N

    Args:
        probabilities: of a hit, for N queries and K thresholds, ``[N, K]``.

    Returns:
        ``[K]`` float64; the number of hits is Poisson-binomial.
    """
    p = probabilities.double()
    return (p * (1 - p)).sum(0).sqrt() / len(p)


def recall_at_1(
    answers: Tensor, truths: Sequence[Tensor], thresholds: Sequence[float] = THRESHOLDS
) -> Tensor:
    """R@1 of one answer per query.

    Args:
        answers: ``[N, 2]``.
        truths: N tensors ``[G_i, 2]`` in the same unit.
        thresholds: K tIoU thresholds.

    Returns:
        Shares in [0, 1], ``[K]`` float64.
    """
    return passes(answer_tiou(answers, truths), thresholds).double().mean(0)


def mean_tiou(answers: Tensor, truths: Sequence[Tensor]) -> Tensor:
    """Mean over queries of the answer's best tIoU, a float64 scalar."""
    return answer_tiou(answers, truths).mean()


def answer_tiou(answers: Tensor, truths: Sequence[Tensor]) -> Tensor:
    """Best tIoU of one answer per query, ``[N]`` float64.

    Raises:
        DataError: if there are no queries, or not one set of truths for each.
    """
    if len(answers) == 0 or len(answers) != len(truths):
        raise DataError(
            f"Expected one answer and one set of truths per query (got {len(answers)} and {len(truths)})"
        )
    return torch.cat([best_tiou(answers[i : i + 1], truths[i]) for i in range(len(answers))])


def recall_column(threshold: float) -> str:
    """Name of R@1 at a threshold in tables and logs, for example ``"R@1(0.5)"``."""
    return f"R@1({threshold:g})"
