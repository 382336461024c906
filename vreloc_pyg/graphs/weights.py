"""Weights of the edges of a multi-scale pair graph (paper section 4.4): a kind is one entry of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.settings import OneOf


@dataclass(frozen=True)
class EdgeWeight:
    r"""How the edges of one kind weigh, with D the numbers of edges into the nodes, self-loops included.

    .. math::
        a_{ij} = r(D_i) \, c(D_j) \, p(i, j, s)

    Args:
        rows: r, of the node that an edge leads to; ``None``: 1.
        columns: c, of the node that it comes from; ``None``: 1.
        positions: p, of node numbers (float tensors that broadcast) and the bandwidth in nodes; ``None``: 1.
            The product with the graph is then one with a dense matrix.
    """

    rows: Callable[[Tensor], Tensor] | None = None
    columns: Callable[[Tensor], Tensor] | None = None
    positions: Callable[[Tensor, Tensor, float], Tensor] | None = None

    @property
    def all_ones(self) -> bool:
        return self.rows is None and self.columns is None and self.positions is None


def _gaussian(i: Tensor, j: Tensor, bandwidth: float) -> Tensor:
    return torch.exp(-(i - j).square() / (2 * bandwidth**2))


#: The kinds by name; edges, matrices, the closed form and the ranking all read them here.
#:
#: In ``exponential``, :math:`e^{-|i-j|^2 / 2 s^2}`, i and j are node numbers of the whole pair, 0..N-1, as
#: the paper writes them: step t of the query and step t of the proposal are ``num_query`` apart, not 0. In
#: ``laplacian``, :math:`D^{-1/2} A D^{-1/2}`, the paper adds self-loops to A; the graphs here hold them
#: already, so that no node counts itself twice. With ``row``, :math:`D^{-1} A`, the weights into every node
#: sum to one.
EDGE_WEIGHTS: dict[str, EdgeWeight] = {
    "binary": EdgeWeight(),
    "exponential": EdgeWeight(positions=_gaussian),
    "laplacian": EdgeWeight(rows=torch.rsqrt, columns=torch.rsqrt),
    "row": EdgeWeight(rows=torch.reciprocal),
}
#: The name of one of :data:`EDGE_WEIGHTS`.
WeightKind = Annotated[str, OneOf(EDGE_WEIGHTS)]


def check_weight(kind: str, bandwidth: float | None = None) -> EdgeWeight:
    """The entry of ``kind``, or :class:`SettingsError` if there is none or ``bandwidth`` is impossible."""
    if kind not in EDGE_WEIGHTS:
        raise SettingsError(f"Expected weight as one of {', '.join(EDGE_WEIGHTS)} (got {kind!r})")
    if bandwidth is not None and not 0 < bandwidth < float("inf"):
        raise SettingsError(f"Expected a positive bandwidth in nodes (got {bandwidth})")
    return EDGE_WEIGHTS[kind]


def edge_weights(
    edge_index: Tensor, num_query: int, kind: WeightKind, bandwidth: float | None = None
) -> Tensor:
    """Weights of the edges of one pair graph, ``[E]`` float32.

    Args:
        edge_index: edges (source, destination) of one pair graph, self-loops included, ``[2, E]``.
        num_query: number of query steps, 1 or more.
        kind: one of :data:`EDGE_WEIGHTS`.
        bandwidth: s of ``exponential``, in nodes. (default: ``num_query``, so that the edge between equal
            steps of both clips weighs :math:`e^{-1/2}`)

    Raises:
        SettingsError: if ``kind`` is unknown or ``bandwidth`` is not positive.
        GraphError: if ``edge_index`` is not ``[2, E]`` int64 or ``num_query`` is below 1.
    """
    entry = check_weight(kind, bandwidth)
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype != torch.long:
        raise GraphError(
            f"Expected edge_index as [2, E] int64 (got {tuple(edge_index.shape)} {edge_index.dtype})"
        )
    if num_query < 1:
        raise GraphError(f"Expected num_query >= 1 (got {num_query})")
    source, destination = edge_index
    weights = torch.ones(edge_index.size(1), device=edge_index.device)
    num_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
    degree = weights.new_zeros(num_nodes).scatter_add_(0, destination, weights)
    if entry.positions is not None:
        weights = entry.positions(destination.float(), source.float(), bandwidth or num_query)
    if entry.rows is not None:
        weights = weights * entry.rows(degree)[destination]
    if entry.columns is not None:
        weights = weights * entry.columns(degree)[source]
    return weights
