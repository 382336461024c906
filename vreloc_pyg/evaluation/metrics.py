"""R@1 as a metric that accumulates over batches and reduces over processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.evaluation.recall import THRESHOLDS, answer_tiou, passes, recall_column


class RelocalizationRecall(Metric):
    """R@1 at several strict tIoU thresholds, and mean tIoU (:mod:`vreloc_pyg.evaluation.recall`).

    Its states are sums, so processes that saw unequal numbers of queries still reduce to the exact result
    over all of them.

    Args:
        thresholds: tIoU thresholds.

    Raises:
        SettingsError: if a threshold is not in [0, 1), or none is given.
    """

    full_state_update = False
    higher_is_better = True

    hits: Tensor
    tiou: Tensor
    num_queries: Tensor

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS) -> None:
        super().__init__()
        if not thresholds or not all(0 <= threshold < 1 for threshold in thresholds):
            raise SettingsError(f"Expected thresholds in [0, 1) (got {list(thresholds)})")
        self.thresholds = tuple(thresholds)
        zeros = torch.zeros(len(self.thresholds), dtype=torch.long)
        self.add_state("hits", zeros, dist_reduce_fx="sum")
        self.add_state("tiou", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("num_queries", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, answers: Tensor, truths: Sequence[Tensor]) -> None:
        """Add queries.

        Args:
            answers: the best segment for each query, ``[N, 2]``.
            truths: for each, every instance of its class in the reference, N tensors ``[G_i, 2]`` in the
                same unit.
        """
        tiou = answer_tiou(answers, truths)
        self.hits += passes(tiou, self.thresholds).sum(0)
        self.tiou += tiou.sum()
        self.num_queries += len(tiou)

    def compute(self) -> dict[str, Tensor]:
        """R@1 under ``"R@1(threshold)"`` and ``"mean tIoU"``, in [0, 1]; NaN before the first query."""
        recall = self.hits.double() / self.num_queries
        result = {recall_column(t): recall[k] for k, t in enumerate(self.thresholds)}
        return {**result, "mean tIoU": self.tiou / self.num_queries}
