"""What every system is, from chance to the trained model: something that localizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.segments import Segments, steps_to_seconds

#: What a system is to the package's own network: itself, or with one setting changed (``ablation``); a
#: ``rule`` without a network; another trained system (``rival``); a trained one that is asked something
#: else, to see what its answers rest on (``control``); or no system at all, but a row that looks at
#: annotations or at how references were made, to show what a set gives away (``audit``).
Kin = Literal["own", "ablation", "rule", "rival", "control", "audit"]
KINS: tuple[Kin, ...] = get_args(Kin)


def check_kin(kin: object, name: str) -> None:
    """Raise :class:`SettingsError` unless the system of a name is of a :data:`Kin`."""
    if kin not in KINS:
        raise SettingsError(f"Unknown kin {kin!r} of {name!r}; known are {', '.join(KINS)}")


class LocalizerProtocol(Protocol):
    """A system that finds the query's action in a reference.

    It may look at features, step durations and identifiers. It never reads ``query.label``,
    ``reference.segments`` or ``reference.labels``: those are the answer.
    """

    @property
    def name(self) -> str:
        """The system's row in a table."""

    @property
    def kin(self) -> Kin:
        """What it is to the package's own network."""

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The ``top_n`` best segments of ``reference`` (fewer if there are no more), best first."""


def about_of(system: LocalizerProtocol) -> str:
    """What a system chose on validation classes, in words; empty for one that chose nothing."""
    return str(getattr(system, "about", ""))


def answer_steps(steps: Tensor, scores: Tensor, reference: Reference, top_n: int) -> Segments:
    """The ``top_n`` best of half-open step intervals of a reference, ``[M, 2]``, as segments in seconds.

    The higher of the scores ``[M]`` is the better; equal ones keep their order.
    """
    return Segments(steps_to_seconds(steps, reference.seconds_per_step), scores).top(check_top_n(top_n))


def best_score(system: LocalizerProtocol, query: Query, reference: Reference) -> float:
    """Score of a system's best answer, the higher the surer that the action is there; -inf without an answer.

    Raises :class:`SettingsError` if its answers have no scores: it cannot say that nothing is there.
    """
    answers = system.localize(query.unlabelled(), reference.unannotated())
    if answers.scores is None:
        raise SettingsError(
            f"The system {system.name!r} gives no scores, so it cannot say that the action is not in a "
            "reference; leave it out, or leave out the pairs without the action"
        )
    return float(answers.scores[0]) if len(answers) else -math.inf


def check_says_none(systems: Sequence[LocalizerProtocol], split: RelocalizationSplit) -> None:
    """Raise :class:`SettingsError` if a split has references without the action, and a system no scores."""
    for query, reference in split.absent[:1]:
        for system in systems:
            best_score(system, split.queries[query], split.references[reference])


def check_top_n(top_n: int) -> int:
    """Return ``top_n`` unchanged, or raise :class:`SettingsError` if it is below 1."""
    if top_n < 1:
        raise SettingsError(f"Expected top_n >= 1 (got {top_n})")
    return top_n


def answer_lengths(split: RelocalizationSplit) -> Tensor:
    """Length in steps of every right answer of every pair of a *training* split, ``[A]`` int64."""
    if len(split) == 0:
        raise DataError(f"Split {split.name!r} has no pairs to learn from")
    pairs = map(split.__getitem__, range(len(split)))
    answers = torch.cat([reference.steps_of(query.label) for query, reference in pairs])
    return answers[:, 1] - answers[:, 0]


def not_fitted(system: LocalizerProtocol) -> SettingsError:
    """The error of a system that was asked before it was fitted."""
    return SettingsError(f"The system {system.name!r} is not fitted: call fit(train_split) first")
