"""How answers are judged while a system trains; the same for every learned system."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.network import Ranker
from vreloc_pyg.training.recipe import MEAN_TIOU


class ValidationPair(NamedTuple):
    """A pair to be judged.

    Args:
        query, reference: features, ``[Tq, F]`` and ``[N, F]``.
        windows, truths: the candidates, ``[M, 2]`` int64, and the answers, ``[G, 2]``, in steps.
    """

    query: Tensor
    reference: Tensor
    windows: Tensor
    truths: Tensor


class PairDataset(Dataset[ValidationPair]):
    """The evaluation pairs of a split with their candidates, or ``size`` of them, spread evenly."""

    def __init__(
        self, split: RelocalizationSplit, proposals: ProposalSource, size: int | None = None
    ) -> None:
        self.split = split
        self.proposals = proposals
        size = len(split) if size is None else min(size, len(split))
        self.chosen = [index * len(split) // size for index in range(size)]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> ValidationPair:
        query, reference = self.split[self.chosen[index]]
        truths = reference.segments_of(query.label) / reference.seconds_per_step
        return ValidationPair(query.features, reference.features, self.proposals.propose(reference), truths)


def judge(network: Ranker, pair: ValidationPair) -> dict[str, Tensor]:
    """tIoU of the best segment with the nearest answer, and whether it passes .5 and .7."""
    ranked = network.rank(pair.query, pair.reference, pair.windows)
    # Not argmax: of equal scores the first must win, as in Segments.top.
    best = int((ranked.scores == ranked.scores.max()).nonzero()[0])
    overlap = temporal_iou(ranked.segments[best : best + 1].double(), pair.truths).max()
    hits = {f"validation/R@1({threshold})": (overlap > threshold).float() for threshold in (0.5, 0.7)}
    return {**hits, MEAN_TIOU: overlap.float()}
