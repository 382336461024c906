"""What every system is, from chance to the trained model: something that localizes."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.segments import Segments, steps_to_seconds


class LocalizerProtocol(Protocol):
    """A system that finds the query's action in a reference.

    It may look at features, step durations and identifiers. It never reads ``query.label``,
    ``reference.segments`` or ``reference.labels``: those are the answer.
    """

    @property
    def name(self) -> str:
        """The system's row in a table."""

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The ``top_n`` best segments of ``reference`` (fewer if there are no more), best first."""


def answer_steps(steps: Tensor, scores: Tensor, reference: Reference, top_n: int) -> Segments:
    """The ``top_n`` best of scored step intervals as segments in seconds.

    Args:
        steps: half-open step intervals of the reference, ``[M, 2]``.
        scores: one per interval, higher is better, ``[M]``; equal scores keep their order.
        reference: the video the intervals lie in.
        top_n: number of segments wanted, at least 1.

    Raises:
        SettingsError: if ``top_n`` is below 1.
    """
    return Segments(steps_to_seconds(steps, reference.seconds_per_step), scores).top(check_top_n(top_n))


def check_top_n(top_n: int) -> int:
    """Return ``top_n`` unchanged, or raise :class:`SettingsError` if it is below 1."""
    if top_n < 1:
        raise SettingsError(f"Expected top_n >= 1 (got {top_n})")
    return top_n


def answer_lengths(split: RelocalizationSplit) -> Tensor:
    """Length in steps of every right answer of every pair of a *training* split, ``[A]`` int64.

    Raises:
        DataError: if the split has no pairs.
    """
    if len(split) == 0:
        raise DataError(f"Split {split.name!r} has no pairs to learn from")
    answers = torch.cat(
        [reference.steps_of(query.label) for query, reference in map(split.__getitem__, range(len(split)))]
    )
    return answers[:, 1] - answers[:, 0]


def not_fitted(system: LocalizerProtocol) -> SettingsError:
    """The error of a system that was asked before it was fitted."""
    return SettingsError(f"The system {system.name!r} is not fitted: call fit(train_split) first")
