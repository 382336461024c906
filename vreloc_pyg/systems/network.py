"""What every learned system is at heart: a network that ranks segments of a reference for a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.errors import SegmentError
from vreloc_pyg.proposals.network_proposals import NetworkProposals
from vreloc_pyg.segments import Ranking, Segments, check_windows, seconds_to_steps, steps_to_seconds
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.training.recipe import Group

#: What a ranker may be asked by :class:`.AnswerSettings`.
EVERYTHING = frozenset({"mirror", "length", "search"})


class Ranked(NamedTuple):
    """Segments of one reference with scores.

    Args:
        windows: half-open step intervals, ``[M, 2]`` int64.
        scores: higher is better, ``[M]``; of equal ones the first wins.
        answers: the segments that the windows stand for, in steps, where a system refines them,
            ``[M, 2]`` float64; ``None``: the windows themselves.
    """

    windows: Tensor
    scores: Tensor
    answers: Tensor | None = None

    @property
    def segments(self) -> Tensor:
        """The answers in steps, ``[M, 2]`` float64."""
        return self.windows.double() if self.answers is None else self.answers


class Ranker:
    """Anything that ranks segments of a reference; features in, steps out."""

    #: Score of a step that no window covers, in pictures; ``None``: the least score of any window.
    least_score: ClassVar[float | None] = None
    #: Whether a window's score rests on its own steps alone, so that parts of several videos can be ranked
    #: as one reference.
    local: ClassVar[bool] = False
    #: F, the width of features that it ranks; ``None``: any.
    num_features: int | None = None
    #: Number of trained values.
    num_parameters: int = 0

    @property
    def takes(self) -> frozenset[str]:
        """Which of :data:`EVERYTHING` it can be asked.

        A search needs a ranker that scores the windows it is given; mirror image and length are nothing to
        one that does not look at the query.
        """
        return EVERYTHING - {"search"}

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Score segments of a reference; called in eval mode without gradients.

        Args:
            query, reference: features, ``[q, F]`` and ``[r, F]``.
            windows: candidates, ``[M, 2]`` int64, for systems that score such.
        """
        raise NotImplementedError

    def polish(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked | None:
        """Windows near those that are about to be the answers; ``None``: the answers stand as they are."""
        return None


class RankingNetwork(Ranker, nn.Module, ABC):
    """A network that ranks segments of a reference for a query.

    Args:
        num_features: F, width of the features.
        settings: an instance of its system's ``settings``.
    """

    num_features: int

    def __init__(self, num_features: int, settings: Any) -> None:
        super().__init__()
        self.num_features = num_features
        self.settings = settings

    @abstractmethod
    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked: ...

    def parameter_groups(self, training: RunSettings) -> Sequence[Group]:
        """Parameters for the optimiser, in groups of their own rates; by default one group."""
        return [Group(list(self.parameters()), training.learning_rate, training.weight_decay)]

    def proposals(self) -> NetworkProposals | None:
        """Candidate windows that it makes by itself, for other systems to rank; ``None``: it makes none."""
        return None

    @property
    def num_parameters(self) -> int:  # type: ignore[override]
        return sum(parameter.numel() for parameter in self.parameters())


def without(network: nn.Module, head: nn.Module) -> list[nn.Parameter]:
    """The parameters of a network but those of one of its heads."""
    own = {id(parameter) for parameter in head.parameters()}
    return [parameter for parameter in network.parameters() if id(parameter) not in own]


def ranked_windows(ranker: Ranker, query: Query, reference: Reference, windows: Tensor) -> Ranking:
    """Every segment that a ranker considers for an answer, with its score, in seconds.

    ``windows`` are the candidates in steps, ``[M, 2]`` int64. Features of different widths are a
    :class:`FeatureError`, and no candidates, or some outside the reference, a :class:`SegmentError`.
    """
    if not len(windows):
        raise SegmentError(f"There are no candidate windows of the reference {reference.video_id!r}")
    check_windows(windows, reference.num_steps)
    check_features(reference.features, f"reference {reference.video_id!r}", query.features.size(1))
    ranked = ranker.rank(query.features, reference.features, windows)
    bounds = steps_to_seconds(ranked.segments, reference.seconds_per_step)
    return Ranking(ranked.windows, Segments(bounds, ranked.scores.double()))


def best_segments(
    ranker: Ranker,
    ranking: Ranking,
    query: Query,
    reference: Reference,
    top_n: int,
    nms_threshold: float | None,
) -> Segments:
    """The ``top_n`` best of :func:`ranked_windows` in seconds, best first, polished where the ranker does.

    ``nms_threshold`` is the largest tIoU two of them may have; ``None`` keeps near-copies.
    """
    best = ranking.segments.top(top_n, nms_threshold)
    step = reference.seconds_per_step
    windows = seconds_to_steps(best.bounds, step, reference.num_steps)
    polished = ranker.polish(query.features, reference.features, windows)
    if polished is None:
        return best
    bounds = steps_to_seconds(polished.segments, step)
    return Segments(bounds, polished.scores.double()).top(len(best), nms_threshold)
