"""The multi-scale graph of a query/proposal pair: its edges, its matrix, and its product in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.graphs.weights import WeightKind, check_weight


def check_scale(k: int) -> int:
    """Return ``k`` unchanged, or raise :class:`SettingsError` unless it is 1 or more."""
    if k < 1:
        raise SettingsError(f"Expected a graph scale k >= 1 (got {k})")
    return k


def check_lengths(num_query: int, num_proposal: int) -> int:
    """Return the number of nodes, or raise :class:`GraphError` if a clip is empty."""
    if num_query < 1 or num_proposal < 1:
        raise GraphError(
            f"Expected num_query >= 1 and num_proposal >= 1 (got {num_query} and {num_proposal})"
        )
    return num_query + num_proposal


def multi_scale_edge_index(num_query: int, num_proposal: int, k: int) -> Tensor:
    """Edges of the pair graph of scale ``k`` (paper section 4.3).

    Nodes ``0 .. num_query - 1`` are the steps of the query, the others those of the proposal. Two steps of
    one clip are joined if they are at most ``k`` apart (so every node has a self-loop), a step i of the
    query and a step j of the proposal if ``(i - j) % k == 0``.

    Args:
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more.
        k: scale in steps, 1 or more; may be larger than a clip.

    Returns:
        ``[2, E]`` int64, sorted by destination, then source, without duplicates; symmetric.

    Raises:
        GraphError: if a clip is empty.
        SettingsError: if ``k`` is below 1.
    """
    num_nodes, k = check_lengths(num_query, num_proposal), check_scale(k)
    node = torch.arange(num_nodes)
    in_query = node < num_query
    step = torch.where(in_query, node, node - num_query)
    gap = step.unsqueeze(1) - step  # (N, N)
    same_clip = in_query.unsqueeze(1) == in_query
    joined = torch.where(same_clip, gap.abs() <= k, gap % k == 0)
    destination, source = joined.nonzero().unbind(1)  # row-major: by destination, then source
    return torch.stack([source, destination])


def to_dense_adjacency(
    num_query: int,
    num_proposal: int,
    k: int,
    weight: WeightKind = "binary",
    bandwidth: float | None = None,
) -> Tensor:
    """The adjacency matrix of scale ``k``, written as the paper's slices (sections 4.3.1 and 4.3.2).

    Row = destination, column = source. This is the reference every faster form is tested against.

    Args:
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more.
        k: scale in steps, 1 or more.
        weight: as in :func:`~vreloc_pyg.graphs.weights.edge_weights`.
        bandwidth: as in :func:`~vreloc_pyg.graphs.weights.edge_weights`.

    Returns:
        ``[N, N]`` float32 with N = ``num_query + num_proposal``.

    Raises:
        GraphError: if a clip is empty.
        SettingsError: if ``k`` is below 1, or ``weight`` or ``bandwidth`` is impossible.
    """
    num_nodes, k = check_lengths(num_query, num_proposal), check_scale(k)
    check_weight(weight, bandwidth)
    adjacency = torch.zeros(num_nodes, num_nodes)
    # 4.3.1: A[i, max(0, i-k) : min(T-1, i+k) + 1] = 1 within either clip.
    for first, length in ((0, num_query), (num_query, num_proposal)):
        for i in range(length):
            adjacency[first + i, first + max(0, i - k) : first + min(length - 1, i + k) + 1] = 1
    # 4.3.2: A[i, T+i : T-1 : -k] = 1 and A[i, T+i : 2T : k] = 1 (the paper prints 21 for 2T), then symmetry.
    # Where the query is the longer clip, T+i lies past the last node: start at the last step of that stride.
    for i in range(num_query):
        for j in (*range(i, -1, -k), *range(i, num_proposal, k)):
            if j < num_proposal:
                adjacency[i, num_query + j] = adjacency[num_query + j, i] = 1
    if weight == "exponential":
        spread = num_query if bandwidth is None else bandwidth
        node = torch.arange(num_nodes, dtype=torch.float32)
        return adjacency * torch.exp(-(node.unsqueeze(1) - node).square() / (2 * spread**2))
    if weight == "laplacian":
        scale = adjacency.sum(1).rsqrt()
        return scale.unsqueeze(1) * adjacency * scale
    if weight == "row":
        return adjacency / adjacency.sum(1, keepdim=True)
    return adjacency


def multi_scale_sum(
    x: Tensor, num_query: int, num_proposal: int, k: int, mask: Tensor | None = None
) -> Tensor:
    """:math:`A_k X` with binary weights, without edges or a matrix; see :func:`multi_scale_sums`."""
    return multi_scale_sums(x, num_query, num_proposal, (k,), mask)[0]


def multi_scale_sums(
    x: Tensor,
    num_query: int,
    num_proposal: int,
    scales: Sequence[int],
    mask: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """:math:`A_k X` of one X for several scales k, in :math:`O(N k d)` and without edges or a matrix.

    .. math::
        (A_k X)_i = \\sum_{|j - i| \\le k} x_j + \\sum_{j' \\equiv i \\,(k)} x_{j'}

    where i and j are steps of one clip and j' of the other. Differentiable any number of times.

    Args:
        x: node features, query first, ``[..., N, d]``.
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more; N = ``num_query + num_proposal``.
        scales: values of k, 1 or more each.
        mask: which nodes exist, bool ``[..., N]``; rows and columns of A of the others are zero.

    Returns:
        One tensor shaped like ``x`` per scale.

    Raises:
        GraphError: if a clip is empty, or ``x`` or ``mask`` is of another length.
        SettingsError: if a scale is below 1.
    """
    num_nodes = check_lengths(num_query, num_proposal)
    scales = tuple(check_scale(k) for k in scales)
    if x.dim() < 2 or x.size(-2) != num_nodes:
        raise GraphError(f"Expected x as [..., {num_nodes}, d] (got {tuple(x.shape)})")
    if mask is None:
        return _Spread.apply(x, num_query, scales)
    valid = _column(mask, num_nodes, x.dtype)
    return tuple(out * valid for out in _Spread.apply(x * valid, num_query, scales))


def multi_scale_degree(num_query: int, num_proposal: int, k: int, mask: Tensor | None = None) -> Tensor:
    """Number of edges into every node of the graph of scale ``k``, self-loop included.

    Args:
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more.
        k: scale in steps, 1 or more.
        mask: which nodes exist, bool ``[..., N]``; the others have degree 0.

    Returns:
        ``[N]`` float32, or ``[..., N]`` if a ``mask`` is given.
    """
    num_nodes = check_lengths(num_query, num_proposal)
    device = None if mask is None else mask.device
    ones = torch.ones(num_nodes, 1, device=device)
    if mask is not None:
        ones = ones * _column(mask, num_nodes, ones.dtype)
    return multi_scale_sum(ones, num_query, num_proposal, k, mask).squeeze(-1)


def _column(mask: Tensor, num_nodes: int, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool or mask.dim() < 1 or mask.size(-1) != num_nodes:
        raise GraphError(f"Expected mask as bool [..., {num_nodes}] (got {tuple(mask.shape)} {mask.dtype})")
    return mask.unsqueeze(-1).to(dtype)


class _Spread(torch.autograd.Function):
    """x -> (A_k x for every k); its adjoint is :class:`_Collect` since every A_k is symmetric."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_query: int, scales: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.num_query, ctx.scales = num_query, scales
        return tuple(_sum_one(x, num_query, k) for k in scales)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Collect.apply(ctx.num_query, ctx.scales, *grads), None, None


class _Collect(torch.autograd.Function):
    """(g_k for every k) -> sum of A_k g_k."""

    @staticmethod
    def forward(ctx: Any, num_query: int, scales: tuple[int, ...], *grads: Tensor) -> Tensor:
        ctx.num_query, ctx.scales = num_query, scales
        total = _sum_one(grads[0], num_query, scales[0])
        for grad, k in zip(grads[1:], scales[1:], strict=True):
            total += _sum_one(grad, num_query, k)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *_Spread.apply(grad, ctx.num_query, ctx.scales)


def _sum_one(x: Tensor, num_query: int, k: int) -> Tensor:
    out = torch.empty_like(x)
    query, proposal = x[..., :num_query, :], x[..., num_query:, :]
    for own, other, target in (
        (query, proposal, out[..., :num_query, :]),
        (proposal, query, out[..., num_query:, :]),
    ):
        length = own.size(-2)
        for r in range(min(k, length)):
            target[..., r::k, :] = other[..., r::k, :].sum(-2, keepdim=True)
        target += own
        for shift in range(1, min(k, length - 1) + 1):
            target[..., shift:, :] += own[..., :-shift, :]
            target[..., :-shift, :] += own[..., shift:, :]
    return out
