"""The training-free rule for videos: where the reference is like the query for a while."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.settings import CheckedSettings, Share
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.spec import Rule

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SimilarityCurve(CheckedSettings):
    r"""Stretches in which the reference is more like the query than usual, however long they are.

    With every step's features divided by their norm, and :math:`\bar q` the mean of the query's, step t of
    the reference is as similar as

    .. math:: c_t = x_t \cdot \bar q / \lVert \bar q \rVert

    The usual similarity u is a low quantile of c (:attr:`usual`), the highest h the mean of its largest
    values, as many as half the query's steps. What exceeds the threshold :math:`\tau = u + f (h - u)` counts
    for a stretch and what falls short of it against it: the first answer is the interval of the greatest sum
    of :math:`c_t - \tau`, the next one that of the greatest sum in what is left, and so on. No length is
    preferred, and ends fall where the similarity does. A pause ends a stretch (:attr:`pause`), so that an
    action done twice is two answers. Order within the action is not looked at.

    The score of an answer is the cosine of its mean step and the query's, so that scores of different
    references compare.

    Maximal-sum intervals: Bentley, "Programming pearls: algorithm design techniques", CACM 27(9), 1984.

    Args:
        usual: share of the reference's steps that are below the usual similarity.
        threshold: f; of .4, .5 and .6 this did best on the real videos of ``docs/results/own_videos.md``.
        shortest: least length of an answer as a share of the query's.
        pause: length of a usual stretch that ends an answer, as a share of the query's; one that falls less
            short of the threshold has to be longer.
    """

    usual: Share = 0.2
    threshold: Share = 0.5
    shortest: Share = 0.25
    pause: Share = 0.1
    name: ClassVar[str] = "similarity curve (no training)"
    kin: ClassVar[Kin] = "rule"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The stretches by falling score."""
        check_top_n(top_n)
        curve = self.curve([query], reference)
        return self.stretches([query], reference, curve, top_n)

    def curve(self, queries: Sequence[Query], reference: Reference) -> Tensor:
        """Mean similarity of a reference's steps to clips of one action, ``[num_steps]`` float64 in [-1, 1].

        Raises:
            FeatureError: if features are not equally wide.
        """
        width = queries[0].features.size(1)
        check_features(reference.features, f"reference {reference.video_id!r}", width)
        for one in queries:
            check_features(one.features, f"query {one.video_id!r}", width)
        steps = _unit(reference.features)
        return torch.stack([steps @ _mean_step(one.features) for one in queries]).mean(0)

    def stretches(
        self, queries: Sequence[Query], reference: Reference, curve: Tensor, top_n: int = 1
    ) -> Segments:
        """The ``top_n`` best stretches of a curve, in seconds."""
        lengths = sorted(one.num_steps for one in queries)
        usual_length = lengths[len(lengths) // 2]
        values = curve.numpy()
        count = max(1, min(usual_length // 2, len(values) // 4))
        low, high = np.quantile(values, self.usual), np.sort(values)[-count:].mean()
        short = self.threshold * (high - low)  # of the threshold, where the similarity is the usual one
        above = values - (low + short)
        shortest = min(max(1, round(self.shortest * usual_length)), len(values))
        parts = between_pauses(above, self.pause * usual_length * short)
        longest = max(end - start for start, end in parts)
        steps = torch.tensor(maximal_intervals(above, parts, min(shortest, longest), top_n))
        score = _pooled_cosine(queries, reference, steps)
        return Segments(steps_to_seconds(steps, reference.seconds_per_step), score).top(top_n)


def between_pauses(values: Array, deficit: float) -> list[tuple[int, int]]:
    """The half-open intervals between runs of negative values whose sums are below ``-deficit``."""
    negative = np.concatenate([[False], values < 0, [False]])
    turns = np.flatnonzero(negative[1:] != negative[:-1]).reshape(-1, 2)
    pauses = [(start, end) for start, end in turns.tolist() if values[start:end].sum() < -deficit]
    ends = [start for start, _ in pauses] + [len(values)]
    starts = [0] + [end for _, end in pauses]
    found = [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
    return found or [(0, len(values))]


def maximal_intervals(
    values: Array, parts: Sequence[tuple[int, int]], shortest: int, count: int
) -> list[tuple[int, int]]:
    """Disjoint half-open intervals of greatest sum, one after the other, of at least ``shortest`` values.

    Each lies in one of ``parts``. There are at most ``count``; those after the first have positive sums.
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    waiting: list[tuple[float, int, int, int, int]] = []

    def look(low: int, high: int) -> None:
        """Put the best interval of ``[low, high)`` among those that wait."""
        if high - low < shortest:
            return
        starts = np.minimum.accumulate(sums[low : high + 1 - shortest])
        gain = sums[low + shortest : high + 1] - starts
        best = int(gain.argmax())
        start = low + int(sums[low : low + best + 1].argmin())
        heapq.heappush(waiting, (-float(gain[best]), start, low + shortest + best, low, high))

    found: list[tuple[int, int]] = []
    for low, high in parts:
        look(low, high)
    while waiting and len(found) < count:
        gain, start, end, low, high = heapq.heappop(waiting)
        if found and -gain <= 0:
            break
        found.append((start, end))
        look(low, start)
        look(end, high)
    return found


def _pooled_cosine(queries: Sequence[Query], reference: Reference, steps: Tensor) -> Tensor:
    """Cosine of the mean step of intervals and of queries, the mean over queries, ``[M]``."""
    means = torch.stack([_mean_step(reference.features[start:end]) for start, end in steps.tolist()])
    return torch.stack([means @ _mean_step(one.features) for one in queries]).mean(0)


def _mean_step(features: Tensor) -> Tensor:
    """Direction of the mean of normalised steps ``[T, F]``, ``[F]``."""
    return _unit(_unit(features).mean(0))


def _unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.detach().cpu().double(), dim=-1)


SIMILARITY_CURVE = Rule(
    name="similarity-curve",
    row=SimilarityCurve.name,
    in_readme=False,
    fit=lambda data: SimilarityCurve(),
)
