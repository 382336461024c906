"""How a ranker is asked for answers: mirror image, surroundings of the best windows, the query's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vreloc_pyg.segments import temporal_nms
from vreloc_pyg.sequences.pose import Skeleton, check_mirror, mirror_image
from vreloc_pyg.settings import CheckedSettings, NotNegative, Whole
from vreloc_pyg.systems.judging import PairDataset, overlap_of_best
from vreloc_pyg.systems.network import Ranked, Ranker

#: How far ends are moved in the two rounds of a search, as shares of the window's length.
SEARCH_SHARES = (0.1, 0.04)
#: Largest tIoU of two windows whose surroundings are searched.
SEARCH_NMS = 0.7

#: Validation pairs by which :func:`choose_answers` usually chooses.
CHOOSING_PAIRS = 60
#: What :func:`choose_answers` tries: windows searched, and weights of the length.
SEARCHES, LENGTH_WEIGHTS = (0, 3), (0.0, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class AnswerSettings(CheckedSettings):
    r"""What is asked of any ranker beside its scores.

    .. math::
        S'(w) = \max_{v} S_v(w) - \lambda\, \sigma
        \left|\log \frac{\mathrm{len}_w}{\mathrm{len}_q}\right|

    over the query and its mirror image v, where :math:`\sigma` is the standard deviation of the scores of a
    reference, so that one weight suits scores of any scale.

    Args:
        mirror_index, mirror_sign: how to mirror features
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`); empty: the query only.
        search: how many of the best windows have their surroundings scored too, in two rounds, so that
            answers are not bound to the grid of the candidates; 0: none.
        length_weight: :math:`\lambda`.
    """

    mirror_index: tuple[int, ...] = ()
    mirror_sign: tuple[float, ...] = ()
    search: Whole = 0
    length_weight: NotNegative = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_mirror(self.mirror_index, self.mirror_sign)

    def on(self, skeleton: Skeleton | None) -> AnswerSettings:
        """The same for other features: their mirror image where one is asked for and there is one."""
        if not self.mirror_index:
            return self
        index, sign = ((), ()) if skeleton is None else skeleton.mirror_features()
        return replace(self, mirror_index=index, mirror_sign=sign)

    @property
    def about(self) -> str:
        """What is not as by default, in words."""
        parts = [("mirror", self.mirror_index), (f"search {self.search}", self.search)]
        parts.append((f"length_weight {self.length_weight:g}", self.length_weight))
        return ", ".join(words for words, used in parts if used)

    def images(self, query: Tensor) -> list[Tensor]:
        """The query ``[q, F]``, and its mirror image where that is asked for."""
        mirror = self.mirror_index, self.mirror_sign
        return [query, mirror_image(query, *mirror)] if self.mirror_index else [query]


class Answering(Ranker):
    """A ranker asked by :class:`AnswerSettings`; without any it answers as the ranker does."""

    def __init__(self, ranker: Ranker, settings: AnswerSettings) -> None:
        self.ranker = ranker
        self.settings = settings

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """The segments of the ranker, and of its search, by the scores of the settings."""
        images = self.settings.images(query)
        first = [self.ranker.rank(image, reference, windows) for image in images]
        return self.refined(first, query, reference)

    def refined(self, first: Sequence[Ranked], query: Tensor, reference: Tensor) -> Ranked:
        """:meth:`rank`, of the rankings that the ranker made for the images of the query."""
        images = self.settings.images(query)
        ranked = joined(first[: len(images)])
        if not len(ranked.windows):
            return ranked
        spread = ranked.scores.std(correction=0)
        ranked = self._by_length(ranked, spread, len(query))
        for share in SEARCH_SHARES if self.settings.search else ():
            best = temporal_nms(ranked.windows.double(), ranked.scores, SEARCH_NMS, self.settings.search)
            around = surroundings(ranked.windows[best], share, len(reference))
            found = joined([self.ranker.rank(image, reference, around) for image in images])
            ranked = joined([ranked, self._by_length(found, spread, len(query))])
        return ranked

    def polish(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked | None:
        return self.ranker.polish(query, reference, windows)

    def _by_length(self, ranked: Ranked, spread: Tensor, num_query: int) -> Ranked:
        if not self.settings.length_weight:
            return ranked
        lengths = ranked.segments[:, 1] - ranked.segments[:, 0]
        penalty = self.settings.length_weight * spread * torch.log(lengths / num_query).abs()
        return ranked._replace(scores=ranked.scores - penalty.to(ranked.scores))


def joined(parts: Sequence[Ranked]) -> Ranked:
    """Rankings one after the other; of a segment that occurs again the best score counts."""
    if len(parts) == 1:
        return parts[0]
    plain = all(part.answers is None for part in parts)
    return Ranked(
        torch.cat([part.windows for part in parts]),
        torch.cat([part.scores for part in parts]),
        None if plain else torch.cat([part.segments for part in parts]),
    )


def surroundings(windows: Tensor, share: float, num_steps: int) -> Tensor:
    """Windows whose ends lie 0, 1 or 2 strides before or after those of the given ones.

    Args:
        windows: half-open step intervals, ``[M, 2]`` int64.
        share: the stride as a share of a window's length; at least one step.
        num_steps: length of the video.

    Returns:
        Distinct windows inside the video, each at least half as long as its origin, ``[M', 2]`` int64.
    """
    moves = torch.arange(-2, 3, device=windows.device)
    grid = torch.cartesian_prod(moves, moves)  # [25, 2]
    lengths = windows[:, 1] - windows[:, 0]
    stride = (share * lengths).round().long().clamp(min=1)
    moved = windows[:, None] + grid * stride[:, None, None]  # [M, 25, 2]
    moved = torch.stack([moved[..., 0].clamp(min=0), moved[..., 1].clamp(max=num_steps)], dim=-1)
    kept = 2 * (moved[..., 1] - moved[..., 0]) >= lengths[:, None]
    return torch.unique(moved[kept], dim=0)


@torch.no_grad()
def choose_answers(ranker: Ranker, pairs: PairDataset, skeleton: Skeleton | None) -> AnswerSettings:
    """The settings that answer validation pairs best, of the few that a ranker can take.

    First mirror image and length are chosen together, then the search. What counts is the mean tIoU of the
    first answers plus their R@1(0.7); of equals the plainest wins.

    Args:
        ranker: a rule, or a trained network in eval mode.
        pairs: of *validation* classes.
        skeleton: of pose features; ``None``: there is no mirror image.
    """
    images = [AnswerSettings()]
    if skeleton is not None and "mirror" in ranker.takes:
        images.append(AnswerSettings(*skeleton.mirror_features()))
    weights = LENGTH_WEIGHTS if "length" in ranker.takes else LENGTH_WEIGHTS[:1]
    tried = [replace(one, length_weight=weight) for one in images for weight in weights]
    chosen = _best(ranker, pairs, tried)
    searches = SEARCHES if "search" in ranker.takes else SEARCHES[:1]
    return _best(ranker, pairs, [replace(chosen, search=count) for count in searches])


def _best(ranker: Ranker, pairs: PairDataset, tried: Sequence[AnswerSettings]) -> AnswerSettings:
    """The settings that answer pairs best, the first of equals; the last of them asks for every image."""
    if len(tried) == 1:
        return tried[0]
    merit = torch.zeros(len(tried), dtype=torch.float64)
    for pair in (pairs[index] for index in range(len(pairs))):
        images = tried[-1].images(pair.query)
        first = [ranker.rank(image, pair.reference, pair.windows) for image in images]
        for number, settings in enumerate(tried):
            ranked = Answering(ranker, settings).refined(first, pair.query, pair.reference)
            overlap = overlap_of_best(ranked, pair.truths)
            merit[number] += overlap + (overlap > 0.7)
    return tried[int((merit == merit.max()).nonzero()[0])]
