"""The multi-scale graph of a query/proposal pair: its edges, its matrix, and its product in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.graphs.weights import WeightKind, check_weight

#: Elements in one part of a batch, 8 MB of float32; 1/4 and 4 times as many cost up to 15 % more time.
_PART_NUMEL = 2**21


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


def check_nodes(x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> int:
    """Return the number of nodes, or raise :class:`GraphError` if ``x`` or ``mask`` has another."""
    num_nodes = check_lengths(num_query, num_proposal)
    if x.dim() < 2 or x.size(-2) != num_nodes:
        raise GraphError(f"Expected x as [..., {num_nodes}, d] (got {tuple(x.shape)})")
    if mask is not None and (mask.dtype != torch.bool or mask.dim() < 1 or mask.size(-1) != num_nodes):
        raise GraphError(f"Expected mask as bool [..., {num_nodes}] (got {mask.dtype} {tuple(mask.shape)})")
    return num_nodes


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
    gap = step.unsqueeze(1) - step  # [N, N]
    same_clip = in_query.unsqueeze(1) == in_query
    joined = torch.where(same_clip, gap.abs() <= k, gap % k == 0)
    destination, source = joined.nonzero().unbind(1)  # row by row: by destination, then source
    return torch.stack([source, destination])


def to_dense_adjacency(
    num_query: int,
    num_proposal: int,
    k: int,
    weight: WeightKind = "binary",
    bandwidth: float | None = None,
) -> Tensor:
    """The adjacency matrix of scale ``k``, written as the paper's slices (sections 4.3.1, 4.3.2 and 4.4).

    Every faster form is tested against this one, which therefore shares no code with them.

    Args:
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more.
        k: scale in steps, 1 or more.
        weight: see :func:`~vreloc_pyg.graphs.weights.edge_weights`. (default: ``"binary"``)
        bandwidth: s of ``exponential`` weights, in nodes. (default: ``num_query``)

    Returns:
        ``[N, N]`` float32, row = destination, column = source, N = ``num_query + num_proposal``.

    Raises:
        GraphError: if a clip is empty.
        SettingsError: if ``k`` is below 1, or ``weight`` or ``bandwidth`` is impossible.
    """
    num_nodes, k = check_lengths(num_query, num_proposal), check_scale(k)
    check_weight(weight, bandwidth)
    adjacency = torch.zeros(num_nodes, num_nodes)
    # 4.3.1: A[i, max(0, i-k) : min(T-1, i+k)+1 : 1] = 1, the same for the proposal.
    for first, length in ((0, num_query), (num_query, num_proposal)):
        for i in range(length):
            adjacency[first + i, first + max(0, i - k) : first + min(length - 1, i + k) + 1] = 1
    # 4.3.2: A[i, T+i : T-1 : -k] = 1 and A[i, T+i : 2T : k] = 1, where the paper prints 21 for 2T. In a query
    # longer than the proposal T+i can lie past the last node; the nodes before it are joined all the same.
    for i in range(num_query):
        columns = (*range(num_query + i, num_query - 1, -k), *range(num_query + i, num_nodes, k))
        adjacency[i, [column for column in columns if column < num_nodes]] = 1
    adjacency[num_query:, :num_query] = adjacency[:num_query, num_query:].t()
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


@torch.compiler.disable  # a compiler takes minutes over slices of symbolic length
def multi_scale_sums(
    x: Tensor,
    num_query: int,
    num_proposal: int,
    scales: Sequence[int],
    mask: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """:math:`A_k X` of one X for several scales k, in :math:`O(N k d)` and without edges or a matrix.

    .. math::
        (A_k X)_i = \\sum_{|j - i| \\le k} x_j + \\sum_{j' \\equiv i \\pmod k} x_{j'}

    where i and j are steps of one clip and j' of the other. Differentiable any number of times. Together the
    scales take less time than one by one, since each goes on from the windows of the next smaller one.

    Args:
        x: node features, query first, ``[..., N, d]``.
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more; N = ``num_query + num_proposal``.
        scales: distinct values of k, 1 or more each, in any order.
        mask: which nodes exist, bool ``[..., N]``; rows and columns of A of the others are zero. ``x``
            must be finite there too. (default: all)

    Returns:
        One tensor shaped like ``x`` per scale.

    Raises:
        GraphError: if a clip is empty, or ``x`` or ``mask`` is of another length.
        SettingsError: if there is no scale, one is below 1 or they are not distinct.
    """
    check_nodes(x, num_query, num_proposal, mask)
    ascending = tuple(sorted(check_scale(k) for k in scales))
    if not ascending or len(set(ascending)) < len(ascending):
        raise SettingsError(f"Expected one or more distinct scales (got {tuple(scales)})")
    if mask is not None:
        valid = mask.unsqueeze(-1).to(x.dtype)
        x = x * valid
    sums = _Spread.apply(x, num_query, ascending)
    if mask is not None:
        sums = tuple(out * valid for out in sums)
    return tuple(sums[ascending.index(k)] for k in scales)


def multi_scale_degree(num_query: int, num_proposal: int, k: int, mask: Tensor | None = None) -> Tensor:
    """Number of edges into every node of the graph of scale ``k``, self-loop included.

    Args:
        num_query: steps of the query, 1 or more.
        num_proposal: steps of the proposal, 1 or more; N = ``num_query + num_proposal``.
        k: scale in steps, 1 or more.
        mask: which nodes exist, bool ``[..., N]``; the others have degree 0. (default: all)

    Returns:
        ``[N]`` float32, or ``[..., N]`` with a ``mask``.
    """
    num_nodes = check_lengths(num_query, num_proposal)
    shape, device = ((num_nodes,), None) if mask is None else (mask.shape, mask.device)
    ones = torch.ones(*shape, 1, device=device)
    return multi_scale_sum(ones, num_query, num_proposal, k, mask).squeeze(-1)


class _Spread(torch.autograd.Function):
    """x -> (A_k x for every k). Every A_k is symmetric: the gradient is :class:`_Collect`, and vice versa."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_query: int, scales: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.num_query, ctx.scales = num_query, scales
        outs = tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for _ in scales)
        for part in _parts(x):
            _spread(x[part], num_query, scales, [out[part] for out in outs])
        return outs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Collect.apply(ctx.num_query, ctx.scales, *grads), None, None


class _Collect(torch.autograd.Function):
    """(g_k for every k) -> the sum of all A_k g_k."""

    @staticmethod
    def forward(ctx: Any, num_query: int, scales: tuple[int, ...], *grads: Tensor) -> Tensor:
        ctx.num_query, ctx.scales = num_query, scales
        out = torch.empty_like(grads[0], memory_format=torch.contiguous_format)
        for part in _parts(out):
            _collect([grad[part] for grad in grads], num_query, scales, out[part])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *_Spread.apply(grad, ctx.num_query, ctx.scales)


def _parts(x: Tensor) -> list[slice]:
    """Slices of the batch, small enough that what is read again and again stays in the processor's cache."""
    if x.dim() == 2:
        return [slice(None)]
    num_parts = max(1, math.ceil(x.numel() / _PART_NUMEL))
    size = max(1, math.ceil(x.size(0) / num_parts))
    return [slice(first, first + size) for first in range(0, x.size(0), size)]


def _spread(x: Tensor, num_query: int, scales: tuple[int, ...], outs: list[Tensor]) -> None:
    """outs[i] = A_k x for the i-th k; ``scales`` ascend."""
    clips = _clips(x, num_query)
    out_clips = [_clips(out, num_query) for out in outs]
    for i, clip in enumerate(clips):
        band, reach = clip, 0
        for k, out in zip(scales, (out_clip[i] for out_clip in out_clips), strict=True):
            # The window of the scale before, widened by one step at both ends at a time.
            for shift in range(reach + 1, k + 1):
                if band is not out:
                    out[..., :shift, :] = band[..., :shift, :]
                torch.add(band[..., shift:, :], clip[..., :-shift, :], out=out[..., shift:, :])
                out[..., :-shift, :] += clip[..., shift:, :]
                band = out
            reach = k
    for k, out_clip in zip(scales, out_clips, strict=True):
        for out, other in zip(out_clip, _sums_of_other(clips, k), strict=True):
            _add_periodic(out, other, out=out)


def _collect(grads: list[Tensor], num_query: int, scales: tuple[int, ...], out: Tensor) -> None:
    """out = sum of A_k g_k; ``scales`` ascend."""
    clips = [_clips(grad, num_query) for grad in grads]
    sums = [_sums_of_other(own, k) for own, k in zip(clips, scales, strict=True)]
    for i, out_clip in enumerate(_clips(out, num_query)):
        # A neighbour at distance s counts at all scales k >= s: sum these scales first, then shift once.
        totals = [clips[-1][i]]
        for own in clips[-2::-1]:
            totals.append(totals[-1] + own[i])
        total = totals[-1]
        for other in sums:
            _add_periodic(total, other[i], out=out_clip)
            total = out_clip
        reach = 0
        for k, total in zip(scales, reversed(totals), strict=True):
            for shift in range(reach + 1, k + 1):
                out_clip[..., shift:, :] += total[..., :-shift, :]
                out_clip[..., :-shift, :] += total[..., shift:, :]
            reach = k


def _clips(x: Tensor, num_query: int) -> list[Tensor]:
    """Query and proposal; where they are equally long as one ``[..., 2, T, d]``, for half as many kernels."""
    if x.size(-2) == 2 * num_query:
        return [x.unflatten(-2, (2, num_query))]
    return [x[..., :num_query, :], x[..., num_query:, :]]


def _sums_of_other(clips: list[Tensor], k: int) -> list[Tensor]:
    """For each of ``clips``, sums of the other's steps congruent to 0 .. k-1 modulo k, ``[..., k, d]``."""
    sums = []
    for clip in clips:
        whole = clip.size(-2) // k * k
        total = clip[..., :whole, :].unflatten(-2, (whole // k, k)).sum(-3)
        total[..., : clip.size(-2) - whole, :] += clip[..., whole:, :]
        sums.append(total)
    return [sums[0].flip(-3)] if len(sums) == 1 else sums[::-1]


def _add_periodic(clip: Tensor, rows: Tensor, out: Tensor) -> None:
    """out = clip + rows repeated along the steps; ``rows [..., k, d]``."""
    k = rows.size(-2)
    whole = clip.size(-2) // k * k
    split = (whole // k, k)
    repeated, left_over = rows.unsqueeze(-3), rows[..., : clip.size(-2) - whole, :]
    torch.add(
        clip[..., :whole, :].unflatten(-2, split), repeated, out=out[..., :whole, :].unflatten(-2, split)
    )
    torch.add(clip[..., whole:, :], left_over, out=out[..., whole:, :])
