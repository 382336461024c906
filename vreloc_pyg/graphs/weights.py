"""Weights of the edges of a multi-scale pair graph (paper section 4.4)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from vreloc_pyg.errors import GraphError, SettingsError

WeightKind = Literal["binary", "exponential", "laplacian", "row"]


def check_weight(kind: str, bandwidth: float | None = None) -> None:
    """Raise :class:`SettingsError` unless ``kind`` is a :data:`WeightKind` and ``bandwidth`` is possible."""
    if kind not in get_args(WeightKind):
        raise SettingsError(f"Expected weight to be one of {', '.join(get_args(WeightKind))} (got {kind!r})")
    if bandwidth is not None and not 0 < bandwidth < float("inf"):
        raise SettingsError(f"Expected a positive bandwidth in nodes (got {bandwidth})")


def edge_weights(
    edge_index: Tensor, num_query: int, kind: WeightKind, bandwidth: float | None = None
) -> Tensor:
    """Weights of the edges of one pair graph (paper section 4.4).

    .. math::
        \\text{binary: } 1 \\qquad
        \\text{exponential: } e^{-|i-j|^2 / 2 s^2} \\qquad
        \\text{laplacian: } (D^{-1/2} A D^{-1/2})_{ij} \\qquad
        \\text{row: } (D^{-1} A)_{ij}

    In ``exponential``, i and j are node numbers of the whole pair, 0..N-1, as the paper writes them: step t
    of the query and step t of the proposal are ``num_query`` apart, not 0. In ``laplacian`` the paper adds
    self-loops to A; the graphs here hold them already, so that A is used as it is and no node counts itself
    twice. With ``row`` the weights into every node sum to one.

    Args:
        edge_index: edges (source, destination) of one pair graph, self-loops included, ``[2, E]``.
        num_query: number of query steps, 1 or more.
        kind: ``"binary"``, ``"exponential"``, ``"laplacian"`` or ``"row"``.
        bandwidth: s of ``exponential``, in nodes. (default: ``num_query``, so that the edge between equal
            steps of both clips weighs :math:`e^{-1/2}`)

    Returns:
        Weights ``[E]`` float32.

    Raises:
        SettingsError: if ``kind`` is unknown or ``bandwidth`` is not positive.
        GraphError: if ``edge_index`` is not ``[2, E]`` int64 or ``num_query`` is below 1.
    """
    check_weight(kind, bandwidth)
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype != torch.long:
        raise GraphError(
            f"Expected edge_index as [2, E] int64 (got {tuple(edge_index.shape)} {edge_index.dtype})"
        )
    if num_query < 1:
        raise GraphError(f"Expected num_query >= 1 (got {num_query})")
    source, destination = edge_index
    ones = torch.ones(edge_index.size(1), device=edge_index.device)
    if kind == "binary":
        return ones
    if kind == "exponential":
        spread = num_query if bandwidth is None else bandwidth
        return torch.exp(-(source - destination).float().square() / (2 * spread**2))
    num_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
    degree = ones.new_zeros(num_nodes).scatter_add_(0, destination, ones)
    if kind == "row":
        return 1 / degree[destination]
    return (degree[source] * degree[destination]).rsqrt()
