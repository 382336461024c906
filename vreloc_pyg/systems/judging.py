"""How answers are judged while a system trains; the same for every learned system."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.errors import TrainingError
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.network import Ranked, Ranker
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
    """The evaluation pairs of a split with their candidates, or ``size`` of them, spread evenly.

    Of the candidates of a pair it may hold only ``most`` too, spread as evenly.
    """

    def __init__(
        self,
        split: RelocalizationSplit,
        proposals: ProposalSource,
        size: int | None = None,
        most: int | None = None,
    ) -> None:
        self.split = split
        self.proposals = proposals
        self.most = most
        size = len(split) if size is None else min(size, len(split))
        self.chosen = [index * len(split) // size for index in range(size)]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> ValidationPair:
        query, reference = self.split[self.chosen[index]]
        truths = reference.segments_of(query.label) / reference.seconds_per_step
        windows = self.proposals.propose(reference)
        if self.most is not None and self.most < len(windows):
            windows = windows[torch.arange(self.most) * len(windows) // self.most]
        return ValidationPair(query.features, reference.features, windows, truths)


def judge(network: Ranker, pair: ValidationPair) -> dict[str, Tensor]:
    """tIoU of the best segment with the nearest answer, and whether it passes .5 and .7."""
    overlap = overlap_of_best(network.rank(pair.query, pair.reference, pair.windows), pair.truths)
    hits = {f"validation/R@1({threshold})": (overlap > threshold).float() for threshold in (0.5, 0.7)}
    return {**hits, MEAN_TIOU: overlap.float()}


def overlap_of_best(ranked: Ranked, truths: Tensor) -> Tensor:
    """tIoU of the best segment with the nearest of the answers ``[G, 2]`` in steps, a float64 scalar.

    Scores that are no numbers are a :class:`TrainingError`.
    """
    if torch.isnan(ranked.scores).any():
        raise TrainingError("Scores are no numbers: training has failed; lower the learning rate")
    # Not argmax: of equal scores the first must win, as in Segments.top.
    best = int((ranked.scores == ranked.scores.max()).nonzero()[0])
    return temporal_iou(ranked.segments[best : best + 1].double(), truths).max()
