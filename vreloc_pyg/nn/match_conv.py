"""Graph convolution whose edges carry the comparison of two clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.utils import scatter, softmax

from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs.multi_scale import check_nodes, check_scale
from vreloc_pyg.nn.lazy_weight import WeightedConv

#: Logit of an edge that is not there.
NO_EDGE = -1e4


class MatchWeights(NamedTuple):
    """Weights of the edges of one scale of B pairs, as matrices, for the query and for the proposal.

    Args:
        own: of the edges within a clip, ``[Tq, Tq]`` and ``[Tp, Tp]``, or with a leading B.
        other: of the edges from the other clip, its steps and heads side by side, ``[B, Tq, Tp H]`` and
            ``[B, Tp, Tq H]``.
        met: 1 for a node that such an edge leads to, else 0, ``[Tq, 1]`` and ``[Tp, 1]``, or with a leading
            B.
    """

    own: tuple[Tensor, Tensor]
    other: tuple[Tensor, Tensor]
    met: tuple[Tensor, Tensor]


class MatchConv(WeightedConv):
    r"""Convolution of scale k of a pair graph by weights of its edges, without its nonlinearity.

    .. math::
        x'_i = \left[x_i;\ \frac{1}{|\mathcal{N}^=_k(i)|} \sum_{j \in \mathcal{N}^=_k(i)} x_j;\
        \sum_{j \in \mathcal{N}^{\times}_k(i)} \alpha^h_{ij} (x_i - x_j),\ h = 1 \dots H\right] W, \qquad
        \alpha^h_{ij} = \mathrm{softmax}_j(\ell^h_{ij})

    with the edges of :func:`~vreloc_pyg.graphs.multi_scale_edge_index`: :math:`\mathcal{N}^=_k` within a
    clip, self-loop included, :math:`\mathcal{N}^\times_k` from the other clip. A node that no edge leads to
    from the other clip has zeros there. The binary sums of :class:`~vreloc_pyg.nn.MGFFConv` give all steps of
    a residue class the same message from the other clip; here every step is told how it differs from the
    steps that match it, and the logits of the edges (:data:`~vreloc_pyg.graphs.matching.HEADS`) say which do.

    It is computed from edges by :meth:`forward`, and from dense weights by :meth:`dense`, with equal results.

    Args:
        in_channels, out_channels: widths of input and output; -1 for that of the first input.
        heads: H, 0 or more.
        scale: k in steps.
    """

    def __init__(self, in_channels: int, out_channels: int, heads: int = 3, scale: int = 1) -> None:
        super().__init__(in_channels, out_channels, 2 + heads, aggr="sum", node_dim=0)
        self.heads = heads
        self.scale = check_scale(scale)

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor], edge_index: Tensor, edge_attr: Tensor | None = None
    ) -> Tensor:
        """Convolve over edges.

        Args:
            x: nodes ``[N, in_channels]``; or two sets of nodes, those that edges come from and those that
                they lead to, whose result is returned.
            edge_index: edges (source, destination), ``[2, E]`` int64.
            edge_attr: ``[E, 1 + H]``: 1 for an edge between both clips and 0 for one within a clip, and the
                logits of the heads, which are read of the former only.

        Raises:
            FeatureError: if nodes are of another width.
            GraphError: if ``edge_attr`` is missing or of another shape.
        """
        both = (x, x) if isinstance(x, Tensor) else x
        for nodes in both:
            self.check_width(nodes)
        check_edge_attr(edge_attr, edge_index, 1 + self.heads)
        size = both[0].size(0), both[1].size(0)
        weights = self.edge_updater(edge_index, edge_attr=edge_attr, size=size)
        # propagate_type: (x: PairTensor, weights: Tensor)
        gathered = self.propagate(edge_index, x=both, weights=weights, size=size)  # [N, 1 + H, d]
        return torch.cat([both[1].unsqueeze(1), gathered], dim=1).flatten(1) @ self.lin_weight

    def edge_update(self, edge_attr: Tensor, index: Tensor, size_i: int | None) -> Tensor:
        across, logits = edge_attr[:, :1], edge_attr[:, 1:]
        within = 1 - across
        count = scatter(within, index, dim=0, dim_size=size_i, reduce="sum")
        own = within / count.clamp(min=1)[index]
        logits = torch.where(across > 0, logits, NO_EDGE)
        return torch.cat([own, softmax(logits, index, num_nodes=size_i) * across], dim=1)

    def message(self, x_i: Tensor, x_j: Tensor, weights: Tensor) -> Tensor:
        differences = (x_i - x_j).unsqueeze(1) * weights[:, 1:, None]
        return torch.cat([(weights[:, :1] * x_j).unsqueeze(1), differences], dim=1)

    def dense(self, x: Tensor, num_query: int, num_proposal: int, weights: MatchWeights) -> Tensor:
        """Convolve over the standard graph of pairs of equal lengths; weights are :func:`match_weights`.

        Nodes ``x`` are ``[B, Tq + Tp, in_channels]``. The weight W is applied before the sums, so that what
        the heads gather is added up as it is gathered.
        """
        check_nodes(x, num_query, num_proposal)
        self.check_width(x)
        of_node, of_own, of_heads = self.lin_weight.split(
            [self.in_channels, self.in_channels, self.heads * self.in_channels]
        )
        by_head = of_heads.view(self.heads, *of_node.shape)  # [H, d, d']
        own = x @ torch.cat([of_node, by_head.sum(0), of_own], dim=1)  # [B, N, 3 d']
        other = x @ by_head.transpose(0, 1).flatten(1)  # [B, N, H d']
        sizes = [num_query, num_proposal]
        rows = []
        for clip, theirs, within, between, met in zip(
            own.split(sizes, 1),
            other.split(sizes, 1)[::-1],
            weights.own,
            weights.other,
            weights.met,
            strict=True,
        ):
            of_clip, of_difference, of_near = clip.chunk(3, dim=2)
            gathered = between @ theirs.unflatten(2, (self.heads, self.out_channels)).flatten(1, 2)
            rows.append(of_clip + within @ of_near + met * of_difference - gathered)
        return torch.cat(rows, dim=1)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, heads={self.heads}, "
            f"scale={self.scale})"
        )


def check_edge_attr(edge_attr: Tensor | None, edge_index: Tensor, width: int) -> None:
    """Raise :class:`GraphError` unless every edge has so many attributes."""
    shape = edge_index.size(1), width
    if edge_attr is None or edge_attr.shape != shape:
        got = None if edge_attr is None else tuple(edge_attr.shape)
        raise GraphError(f"Expected edge_attr as {shape} (got {got}); MultiScaleEdges makes them")


def match_weights(logits: Tensor, scales: Sequence[int], mask: Tensor | None = None) -> list[MatchWeights]:
    """Dense weights of the standard graphs of some scales, for :meth:`MatchConv.dense`.

    Args:
        logits: of the edges between both clips, ``[B, H, Tq, Tp]``.
        scales: values of k in steps.
        mask: which nodes exist, bool ``[B, Tq + Tp]``; edges of the others weigh 0. (default: all)
    """
    num_query, num_proposal = logits.shape[2:]
    steps = [torch.arange(count, device=logits.device) for count in (num_query, num_proposal)]
    exists = None if mask is None else (mask[:, :num_query], mask[:, num_query:])
    found = []
    for k in scales:
        there = (steps[0][:, None] - steps[1]) % check_scale(k) == 0  # [Tq, Tp]
        near = [(step[:, None] - step).abs() <= k for step in steps]
        if exists is not None:
            there = there & exists[0][:, :, None] & exists[1][:, None, :]
            near = [one & here[:, :, None] & here[:, None, :] for one, here in zip(near, exists, strict=True)]
        both = ((logits, there), (logits.mT, there.mT))
        found.append(
            MatchWeights(
                (_shares(near[0], logits), _shares(near[1], logits)),
                (_attention(*both[0]), _attention(*both[1])),
                (_met(there, logits), _met(there.mT, logits)),
            )
        )
    return found


def _shares(near: Tensor, like: Tensor) -> Tensor:
    """Rows of a bool matrix as equal weights that sum to 1, or to 0 where there are none."""
    return near.to(like) / near.sum(-1, keepdim=True).clamp(min=1)


def _attention(logits: Tensor, there: Tensor) -> Tensor:
    """Softmax of logits ``[B, H, T, T']`` over the edges that are there, ``[B, T, T' H]``."""
    there = there if there.dim() == 2 else there.unsqueeze(1)
    weights = torch.where(there, logits, NO_EDGE).softmax(3) * there
    return weights.permute(0, 2, 3, 1).flatten(2)


def _met(there: Tensor, like: Tensor) -> Tensor:
    return there.any(-1, keepdim=True).to(like)
