"""Edges between two clips that carry their comparison, and nodes that have gathered it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import pad

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.graphs.alignment_posterior import alignment_posterior
from vreloc_pyg.graphs.relative import step_changes
from vreloc_pyg.sequences.windows import equidistant_steps
from vreloc_pyg.settings import OneOf

#: Numbers of a node about its own clip, for each group of feature columns.
OWN_PER_GROUP = 3
#: Numbers of an edge beside the distance in each group of feature columns, see :func:`edge_numbers`.
EDGE_NUMBERS = 4
#: How fast the weight of a rigid edge falls with the gap of its steps.
RIGIDITY = 100.0
#: Least logarithm of a posterior: steps that no path visits have edges of equal weight.
LEAST_POSTERIOR = -20.0
#: Windows that are matched at once: what is made of their edges stays in a processor's cache.
BLOCK = 256

#: How the edges into a node share its attention: logarithms of weights, up to a constant, by the gaps
#: :math:`u_i - v_j` of query and window steps and the logarithms of the alignment's posterior. ``rigid``: the
#: step at the same place of the other clip; ``uniform``: all alike; ``path``: where the alignment leads.
HEADS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rigid": lambda gap, posterior: -RIGIDITY * gap.square(),
    "uniform": lambda gap, posterior: torch.zeros_like(gap),
    "path": lambda gap, posterior: posterior.clamp(min=LEAST_POSTERIOR),
}
#: That of them whose edges all weigh alike, which is computed without weights.
EVEN = "uniform"
#: The name of one of :data:`HEADS`.
Head = Annotated[str, OneOf(HEADS)]


class Matched(NamedTuple):
    """A query beside M windows of a reference.

    Args:
        queries, proposals: nodes, ``[M, Tq, C]`` and ``[M, Tp, C]`` with C = 3 G + H (G + 4).
        logits: of the edges between them for every head, ``[M, H, Tq, Tp]``.
        cost: of the alignment, for each query step, ``[M]``.
    """

    queries: Tensor
    proposals: Tensor
    logits: Tensor
    cost: Tensor


def match_channels(num_groups: int, num_heads: int) -> int:
    """Width of the nodes of :func:`match_clips`."""
    return OWN_PER_GROUP * num_groups + num_heads * (num_groups + EDGE_NUMBERS)


def match_clips(
    images: Tensor,
    image: Tensor,
    reference: Tensor,
    windows: Tensor,
    seen: Tensor,
    means: Tensor,
    num_steps: tuple[int, int],
    groups: Sequence[tuple[int, int]],
    heads: Sequence[str],
    permuted: bool = False,
) -> Matched:
    r"""Nodes and edges of a query and windows of a reference.

    Every pair of a query step i and a window step j is an edge with numbers :math:`e_{ij}`
    (:func:`edge_numbers`). A node holds what it says of its own clip (:func:`own_numbers`), and for every
    head the mean of :math:`e_{ij}` over its edges, weighted by a softmax of the head's logits:

    .. math::
        n_i = \left[o_i;\ \sum_j \mathrm{softmax}_j(\ell^h_{ij})\, e_{ij},\ h = 1 \dots H\right]

    No number depends on the class of an action. Distances in a group of n columns are over
    :math:`\sqrt n`: they keep the scale of the features, such as body sizes, by which a small one is known;
    only for the alignment are they over the spread of both clips, which its sharpness needs.

    Args:
        images: versions of the query, ``[V, q, F]``: itself and perhaps its mirror image.
        image: which of them each window is compared with, ``[M]`` int64.
        reference: ``[r, F]``.
        windows, seen: half-open step intervals, ``[M, 2]`` int64: where 0 and 1 lie, and which steps are
            nodes.
        means: of the windows' features, ``[M, F]``.
        num_steps: Tq and Tp; both clips are resampled (:func:`.equidistant_steps`).
        groups: half-open ranges of feature columns; the first decides the alignment.
        heads: of :data:`HEADS`.
        permuted: deal the heads' logits out to other steps, by one permutation of each clip: a control that
            keeps everything of the edges but where they lead.

    Raises:
        FeatureError: if features are not finite.
    """
    if not (torch.isfinite(images).all() and torch.isfinite(reference).all()):
        raise FeatureError("Features of the query or the reference hold NaN or infinite values")
    num_query = images.size(1)
    own = equidistant_steps(torch.tensor([num_query], device=images.device), num_steps[0])[0]
    low, high = groups[0]
    once = _Once(
        groups,
        heads,
        reference_distances(images[:, own], reference, groups),
        common_spread(images[..., low:high], reference[:, low:high]),
        torch.cat([own_numbers(one, own[:, None], one.mean(0)[None], groups) for one in images], dim=2),
        (own + 0.5) / num_query,
        _orders(num_steps) if permuted else None,
    )
    blocks = zip(*(part.split(BLOCK) for part in (image, windows, seen, means)), strict=True)
    found = [
        once.match(reference, own_image, some, shown, mean, num_steps[1])
        for own_image, some, shown, mean in blocks
    ]
    queries, proposals, logits, cost = zip(*found, strict=True)
    return Matched(
        torch.cat(queries, dim=1).transpose(0, 1),
        torch.cat(proposals, dim=1).transpose(0, 1),
        torch.cat(logits),
        torch.cat(cost),
    )


class _Once(NamedTuple):
    """What the windows of a reference share.

    Args:
        groups, heads: see :func:`match_clips`.
        distances: :func:`reference_distances`, ``[V, G + 1, Tq, r]``.
        spread: :func:`common_spread`.
        numbers: :func:`own_numbers` of the versions of the query, ``[3 G, Tq, V]``.
        places: u of the query's steps, ``[Tq]``.
        orders: of the steps of both clips, by which logits are dealt out; ``None`` for their own.
    """

    groups: Sequence[tuple[int, int]]
    heads: Sequence[str]
    distances: Tensor
    spread: Tensor
    numbers: Tensor
    places: Tensor
    orders: Sequence[Tensor] | None

    def match(
        self, reference: Tensor, image: Tensor, windows: Tensor, seen: Tensor, means: Tensor, num_steps: int
    ) -> Matched:
        """:func:`match_clips` of a block of windows, but nodes are ``[T, M, C]``."""
        num_video = self.distances.size(3)
        steps = (seen[:, :1] + equidistant_steps(seen[:, 1] - seen[:, 0], num_steps)).t()  # [Tp, M]
        places = (steps - windows[:, 0] + 0.5) / (windows[:, 1] - windows[:, 0])
        gaps = self.places[:, None, None] - places  # [Tq, Tp, M]
        table = self.distances.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)  # [(G + 1) Tq, V r]
        compared = table.index_select(1, (image * num_video + steps).flatten())
        compared = compared.view(-1, *gaps.shape)  # [G + 1, Tq, Tp, M]
        posterior, cost = alignment_posterior((compared[0] / self.spread).permute(2, 0, 1), places.t())
        logits = [HEADS[name](gaps, posterior.permute(1, 2, 0)) for name in self.heads]
        if self.orders is not None:
            logits = [head[self.orders[0]][:, self.orders[1]] for head in logits]
        edges = edge_numbers(compared, gaps, places)
        gathered = [
            gather_edges(None if name == EVEN else head, edges)
            for name, head in zip(self.heads, logits, strict=True)
        ]
        of_window = own_numbers(reference, steps, means, self.groups)
        return Matched(
            _as_nodes([self.numbers[..., image], *(to_query for to_query, _ in gathered)]),
            _as_nodes([of_window, *(to_window for _, to_window in gathered)]),
            _windows_first(torch.stack(logits)) if logits else gaps.new_empty(len(image), 0, *gaps.shape[:2]),
            cost,
        )


def _orders(num_steps: Sequence[int]) -> list[Tensor]:
    """One permutation of the steps of each clip."""
    return [torch.randperm(count, generator=torch.Generator().manual_seed(0)) for count in num_steps]


def _windows_first(values: Tensor) -> Tensor:
    """``[..., M]`` to ``[M, ...]``; of two dimensions, since then it is done in blocks."""
    return values.flatten(0, -2).t().contiguous().view(-1, *values.shape[:-1])


def _as_nodes(numbers: Sequence[Tensor]) -> Tensor:
    """Nodes ``[T, M, C]`` of their numbers, ``[c, T, M]`` each."""
    every = torch.cat([*numbers])
    return every.flatten(1).t().contiguous().view(*every.shape[1:], -1)


def common_spread(images: Tensor, reference: Tensor) -> Tensor:
    """Root mean square deviation of columns over the steps of both clips, a scalar; 1 if nothing changes."""
    steps = torch.cat([*images, reference])
    spread = (steps - steps.mean(0)).square().mean().sqrt()
    return torch.where(spread > 0, spread, 1.0)


def reference_distances(clips: Tensor, reference: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
    """Distances of query steps and all steps of a reference in every group, ``[V, G + 1, Tq, r]``.

    The last are those in the first group again, every row brought to 0 for its least and 1 for its greatest.
    Clips are versions of the query, ``[V, Tq, F]``.
    """
    distances = [
        torch.cdist(clips[..., low:high], reference[:, low:high].expand(len(clips), -1, -1))
        * (high - low) ** -0.5
        for low, high in groups
    ]
    least, greatest = distances[0].aminmax(dim=-1, keepdim=True)
    ranged = (distances[0] - least) / (greatest - least).clamp(min=1e-6)
    return torch.stack([*distances, ranged], dim=1)


def edge_numbers(distances: Tensor, gaps: Tensor, places: Tensor) -> list[Tensor]:
    """The G + 4 numbers of every edge, ``[Tq, Tp, M]`` each.

    These are the distances of its steps, ``[G + 1, Tq, Tp, M]`` (:func:`reference_distances`), the gap of
    their places and its size, ``[Tq, Tp, M]``, and whether the window's step lies inside the window.
    """
    inside = ((places >= 0) & (places <= 1)).to(gaps).expand_as(gaps)
    return [*distances, gaps, gaps.abs(), inside]


def gather_edges(logits: Tensor | None, edges: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Means of edge numbers over the edges into every node of query and window, of one head.

    Logits and numbers are ``[Tq, Tp, M]``, means ``[E, Tq, M]`` and ``[E, Tp, M]``; ``None`` stands for equal
    logits.
    """
    if logits is None:
        return torch.stack([number.mean(1) for number in edges]), torch.stack(
            [number.mean(0) for number in edges]
        )
    to_query, to_window = logits.softmax(1), logits.softmax(0)
    return (
        torch.stack([(number * to_query).sum(1) for number in edges]),
        torch.stack([(number * to_window).sum(0) for number in edges]),
    )


def own_numbers(video: Tensor, steps: Tensor, means: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
    """What every step of clips of a video says of its own clip, ``[3 G, T, M]``.

    The distance from the clip's mean, the change since the step before (of the first, until the next), and
    the norm, in every group. Steps are ``[T, M]``, means of the clips ``[M, F]``.
    """
    rows = []
    for low, high in groups:
        part = video[:, low:high].contiguous()
        clips = part.index_select(0, steps.flatten()).view(*steps.shape, -1)  # [T, M, g]
        change, norm = step_changes(clips), vector_norm(part, dim=1).take(steps)
        apart = vector_norm(clips.sub_(means[:, low:high]), dim=2)
        rows += [one * (high - low) ** -0.5 for one in (apart, change, norm)]
    return torch.stack(rows)


def match_edge_attr(edge_index: Tensor, logits: Tensor) -> Tensor:
    """Attributes of the edges of one pair graph for :class:`vreloc_pyg.nn.MatchConv`, ``[E, 1 + H]``.

    Args:
        edge_index: of any scale, ``[2, E]``; query nodes come first.
        logits: of the edges between both clips, ``[H, Tq, Tp]``.
    """
    num_query = logits.size(1)
    from_query, to_query = (edge_index < num_query).unbind(0)
    across = from_query != to_query
    low, high = edge_index.min(dim=0).values, edge_index.max(dim=0).values
    found = logits[:, torch.where(across, low, 0), torch.where(across, high - num_query, 0)].t()
    return pad(torch.where(across.unsqueeze(1), found, 0.0), (1, 0)) + pad(
        across.to(logits).unsqueeze(1), (0, logits.size(0))
    )
