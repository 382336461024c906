"""Chance: a random segment, and the exact probability of each."""

from __future__ import annotations

from typing import Literal, get_args
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.systems.protocol import Kin, answer_lengths, check_top_n, not_fitted
from vreloc_pyg.systems.spec import Rule

ChanceKind = Literal["train_length", "uniform_segment", "uniform_length", "query_length"]


class Chance:
    """A random segment: a length L is drawn from p(L), then a start uniformly among those that fit.

    .. math::
        P([s, s + L)) = \\frac{p(L)}{n - L + 1}, \\qquad 0 \\le s \\le n - L

    for a reference of n steps. Its recall needs no drawing: :meth:`placements` lists every segment
    with its probability, and :class:`vreloc_pyg.evaluation.Metric` sums over them.

    Args:
        kind: where the length comes from. ``"train_length"``: the lengths of the right answers of the
            training split, those longer than the reference drawn again; ``"uniform_segment"``: all
            segments of the reference are equally likely; ``"uniform_length"``: all lengths are;
            ``"query_length"``: always the query's duration.
        seed: decides the segments that :meth:`localize` draws.
        kin: what the row is, see :data:`.Kin`.

    Attributes:
        lengths_, weights_: distinct training lengths in steps, ``[D]`` int64, and how often each occurs,
            ``[D]`` float64 (after :meth:`fit`).
    """

    lengths_: Tensor
    weights_: Tensor

    def __init__(self, kind: ChanceKind = "train_length", seed: int = 0, kin: Kin = "rule") -> None:
        if kind not in get_args(ChanceKind):
            raise SettingsError(f"Expected 'kind' to be one of {get_args(ChanceKind)} (got {kind!r})")
        self.kind = kind
        self.seed = seed
        self.kin = kin

    @property
    def name(self) -> str:
        return f"chance ({self.kind.replace('_', ' ')})"

    def fit(self, split: RelocalizationSplit) -> Chance:
        """Learn the length distribution of a training split; only ``"train_length"`` needs it."""
        self.lengths_, counts = answer_lengths(split).unique(return_counts=True)
        self.weights_ = counts.double()
        return self

    def length_distribution(self, query: Query, reference: Reference) -> tuple[Tensor, Tensor]:
        """Lengths in steps that fit the reference, ``[D]`` int64, and their probabilities as float64."""
        num_steps = reference.num_steps
        if self.kind == "query_length":
            length = round(query.duration_s / reference.seconds_per_step)
            return torch.tensor([min(max(length, 1), num_steps)]), torch.ones(1, dtype=torch.float64)
        if self.kind == "train_length":
            if not hasattr(self, "lengths_"):
                raise not_fitted(self)
            fits = self.lengths_ <= num_steps
            if not fits.any():
                return torch.tensor([num_steps]), torch.ones(1, dtype=torch.float64)
            return self.lengths_[fits], self.weights_[fits] / self.weights_[fits].sum()
        lengths = torch.arange(1, num_steps + 1)
        if self.kind == "uniform_length":
            weights = torch.ones(num_steps, dtype=torch.float64)
        else:
            weights = (num_steps - lengths + 1).double()
        return lengths, weights / weights.sum()

    def placements(self, query: Query, reference: Reference) -> tuple[Tensor, Tensor]:
        """Every segment that can be drawn, in O(D n) for D lengths and n steps.

        Bounds in seconds, ``[P, 2]`` float64, and probabilities that sum to 1, ``[P]`` float64.
        """
        lengths, probabilities = self.length_distribution(query, reference)
        num_starts = reference.num_steps - lengths + 1
        starts = torch.arange(int(num_starts.max()))
        fits = starts < num_starts.unsqueeze(1)  # [D, S]
        row, start = fits.nonzero(as_tuple=True)
        bounds = torch.stack([start, start + lengths[row]], dim=1)
        return steps_to_seconds(bounds, reference.seconds_per_step), (probabilities / num_starts)[row]

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """``top_n`` different segments drawn at random; the same pair and seed give the same ones.

        Scores are 0: chance prefers none.
        """
        bounds, probabilities = self.placements(query, reference)
        pair = (self.seed, crc32(query.video_id.encode()), crc32(reference.video_id.encode()))
        count = min(check_top_n(top_n), len(bounds))
        drawn = np.random.default_rng(pair).choice(
            len(bounds), size=count, replace=False, p=probabilities.numpy()
        )
        return Segments(bounds[torch.from_numpy(drawn)], torch.zeros(count))


CHANCE = Rule(
    name="chance",
    row="chance (train length)",
    published="chance",
    fit=lambda data: Chance().fit(data.splits["train"]),
)
