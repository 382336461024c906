"""Edges between two clips that carry their comparison, and nodes that have gathered it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.graphs.alignment_posterior import alignment_posterior
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

#: How the edges into a node share its attention: logarithms of weights, up to a constant, by the gaps
#: :math:`u_i - v_j` of query and window steps and the logarithms of the alignment's posterior. ``rigid``: the
#: step at the same place of the other clip; ``uniform``: all alike; ``path``: where the alignment leads.
HEADS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rigid": lambda gap, posterior: -RIGIDITY * gap.square(),
    "uniform": lambda gap, posterior: torch.zeros_like(gap),
    "path": lambda gap, posterior: posterior.clamp(min=LEAST_POSTERIOR),
}
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
    steps = seen[:, :1] + equidistant_steps(seen[:, 1] - seen[:, 0], num_steps[1])  # [M, Tp]
    low, high = groups[0]
    spread = common_spread(images[..., low:high], reference[:, low:high])
    lengths = windows[:, 1:] - windows[:, :1]
    places = (steps - windows[:, :1] + 0.5) / lengths  # [M, Tp]
    gaps = ((own + 0.5) / num_query)[:, None] - places[:, None]  # [M, Tq, Tp]
    maps = reference_distances(images[:, own], reference, groups)  # [V, G + 1, Tq, r]
    compared = maps.permute(0, 3, 1, 2)[image[:, None], steps].permute(0, 2, 3, 1)  # [M, G + 1, Tq, Tp]
    posterior, cost = alignment_posterior(compared[:, 0] / spread, places)
    logits = gaps.new_empty(len(windows), 0, *num_steps)
    if heads:
        logits = torch.stack([HEADS[name](gaps, posterior) for name in heads], dim=1)
    if permuted:
        there = [torch.randperm(count, generator=torch.Generator().manual_seed(0)) for count in num_steps]
        logits = logits[:, :, there[0]][..., there[1]]
    edges = edge_numbers(compared, gaps, places)
    of_query = own_numbers(images[:, own], images.mean(1), groups)[image]
    of_windows = own_numbers(reference[steps], means, groups)
    return Matched(
        torch.cat([of_query, gather_edges(logits, edges)], dim=2),
        torch.cat([of_windows, gather_edges(logits.mT, edges.mT)], dim=2),
        logits,
        cost,
    )


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


def edge_numbers(distances: Tensor, gaps: Tensor, places: Tensor) -> Tensor:
    """Numbers of every edge, ``[M, G + 4, Tq, Tp]``.

    These are the distances of its steps, ``[M, G + 1, Tq, Tp]`` (:func:`reference_distances`), the gap of
    their places and its size, ``[M, Tq, Tp]``, and whether the window's step lies inside the window.
    """
    inside = ((places >= 0) & (places <= 1)).to(gaps).unsqueeze(1).expand_as(gaps)
    return torch.cat([distances, torch.stack([gaps, gaps.abs(), inside], dim=1)], dim=1)


def gather_edges(logits: Tensor, edges: Tensor) -> Tensor:
    """Means of edge numbers over the edges into every node, one for each head, ``[M, T, H E]``.

    Logits and numbers are ``[M, H, T, T']`` and ``[M, E, T, T']``, with T' the steps of the other clip.
    """
    weights = logits.softmax(dim=3).transpose(1, 2)  # [M, T, H, T']
    return (weights @ edges.permute(0, 2, 3, 1)).flatten(2)


def own_numbers(clips: Tensor, means: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
    """What every step says of its own clip, ``[M, T, F]`` and ``[M, F]`` to ``[M, T, 3 G]``.

    The distance from the clip's mean, the change since the step before (of the first, until the next), and
    the norm, in every group.
    """
    change = torch.diff(clips, dim=1)
    change = torch.cat([change[:, :1], change], dim=1) if clips.size(1) > 1 else torch.zeros_like(clips)
    columns = [
        torch.linalg.vector_norm(values[..., low:high], dim=-1) * (high - low) ** -0.5
        for low, high in groups
        for values in (clips - means.unsqueeze(1), change, clips)
    ]
    return torch.stack(columns, dim=-1)


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
