"""The multi-scale graph of a query/proposal pair: its edges, its matrix, and its product in closed form."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

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
        num_query, num_proposal: steps of both clips, 1 or more.
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

    Every faster form is tested against this one, which shares with them the table of weights alone.

    Args:
        num_query, num_proposal, k: see :func:`multi_scale_edge_index`.
        weight, bandwidth: see :func:`~vreloc_pyg.graphs.weights.edge_weights`.

    Returns:
        ``[N, N]`` float32, row = destination, column = source, N = ``num_query + num_proposal``.
    """
    num_nodes, k = check_lengths(num_query, num_proposal), check_scale(k)
    entry = check_weight(weight, bandwidth)
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
    degree = adjacency.sum(1)
    if entry.positions is not None:
        node = torch.arange(num_nodes, dtype=torch.float32)
        adjacency = adjacency * entry.positions(node.unsqueeze(1), node, bandwidth or num_query)
    if entry.rows is not None:
        adjacency = adjacency * entry.rows(degree).unsqueeze(1)
    if entry.columns is not None:
        adjacency = adjacency * entry.columns(degree)
    return adjacency


def multi_scale_sum(
    x: Tensor, num_query: int, num_proposal: int, k: int, mask: Tensor | None = None
) -> Tensor:
    r""":math:`A_k X` with binary weights in :math:`O(N k d)`, without edges or a matrix.

    .. math::
        (A_k X)_i = \sum_{|j - i| \le k} x_j + \sum_{j' \equiv i \pmod k} x_{j'}

    where i and j are steps of one clip and j' of the other: a sliding window, and one of k sums over the
    other clip. Differentiable any number of times.

    Args:
        x: node features, query first, ``[..., N, d]`` with N = ``num_query + num_proposal``.
        num_query, num_proposal, k: see :func:`multi_scale_edge_index`.
        mask: which nodes exist, bool ``[..., N]``; rows and columns of A of the others are zero. ``x``
            must be finite there too. (default: all)

    Raises:
        GraphError: if a clip is empty, or ``x`` or ``mask`` is of another length.
        SettingsError: if ``k`` is below 1.
    """
    check_nodes(x, num_query, num_proposal, mask)
    check_scale(k)
    if mask is None:
        return _MultiScaleSum.apply(x, num_query, k)
    valid = mask.unsqueeze(-1).to(x.dtype)
    return _MultiScaleSum.apply(x * valid, num_query, k) * valid


def multi_scale_degree(num_query: int, num_proposal: int, k: int, mask: Tensor | None = None) -> Tensor:
    """Number of edges into every node of the graph of scale ``k``, self-loop included.

    ``[N]`` float32, or ``[..., N]`` with a ``mask``; nodes that do not exist have degree 0.
    """
    num_nodes = check_lengths(num_query, num_proposal)
    shape, device = ((num_nodes,), None) if mask is None else (mask.shape, mask.device)
    ones = torch.ones(*shape, 1, device=device)
    # Rounded: sums over windows are means times a number of steps.
    return multi_scale_sum(ones, num_query, num_proposal, k, mask).squeeze(-1).round()


def multi_scale_product(
    x: Tensor,
    num_query: int,
    num_proposal: int,
    k: int,
    weight: WeightKind = "binary",
    bandwidth: float | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    r""":math:`\hat A_k X` with weights of any kind, as :func:`multi_scale_sum` between two scalings.

    Only weights that depend on node numbers have no such form; they use a dense matrix, built once a length.
    Arguments and errors are those of :func:`multi_scale_sum` and :func:`to_dense_adjacency`; with a
    ``mask``, degrees are counted without the nodes that do not exist.
    """
    entry = check_weight(weight, bandwidth)
    check_nodes(x, num_query, num_proposal, mask)
    degree = None
    if entry.rows is not None or entry.columns is not None:
        degree = multi_scale_degree(num_query, num_proposal, k, mask).to(x).unsqueeze(-1)
    x = _scaled(x, entry.columns, degree, mask)
    if entry.positions is None:
        x = multi_scale_sum(x, num_query, num_proposal, k)
    else:
        x = _positional(num_query, num_proposal, k, entry.positions, bandwidth or num_query).to(x) @ x
    return _scaled(x, entry.rows, degree, mask)


def _scaled(
    x: Tensor, factor: Callable[[Tensor], Tensor] | None, degree: Tensor | None, mask: Tensor | None
) -> Tensor:
    """Nodes times a factor of their degree, and without those that do not exist."""
    if factor is None or degree is None:
        return x if mask is None else x * mask.unsqueeze(-1)
    # Of degree 0 are masked nodes only, and theirs becomes 0: no other mask is needed.
    return x * torch.where(degree > 0, factor(degree), 0.0)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a tensor first made while validating must also serve training
def _positional(
    num_query: int, num_proposal: int, k: int, positions: Callable[..., Tensor], bandwidth: float
) -> Tensor:
    """The adjacency matrix of scale ``k``, weighted by node numbers alone."""
    node = torch.arange(num_query + num_proposal, dtype=torch.float32)
    weights: Tensor = positions(node.unsqueeze(1), node, bandwidth)
    return to_dense_adjacency(num_query, num_proposal, k) * weights


class _MultiScaleSum(torch.autograd.Function):
    """A_k x; as A_k is symmetric, this is its own gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_query: int, k: int) -> Tensor:
        ctx.num_query, ctx.k = num_query, k
        if x.numel() == 0:
            return x.clone()
        if x.size(-2) == 2 * num_query:  # clips of one length in one go
            clips = x.unflatten(-2, (2, num_query))  # [..., 2, T, d]
            out = _add_periodic_(_window_sums(clips, k), _residue_sums(clips, k).flip(-3))
            return out.flatten(-3, -2)
        query, proposal = x[..., :num_query, :], x[..., num_query:, :]
        return torch.cat(
            [
                _add_periodic_(_window_sums(query, k), _residue_sums(proposal, k)),
                _add_periodic_(_window_sums(proposal, k), _residue_sums(query, k)),
            ],
            dim=-2,
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _MultiScaleSum.apply(grad, ctx.num_query, ctx.k), None, None


def _window_sums(clip: Tensor, k: int) -> Tensor:
    """Sums of the steps at most k away from every step, ``[..., T, d]``."""
    # One pass instead of the 2k that slices take: a T x 1 image of d channels, stored channels last.
    image = clip.reshape(-1, clip.size(-2), 1, clip.size(-1)).permute(0, 3, 1, 2)  # [M, d, T, 1]
    means = avg_pool2d(image, (2 * k + 1, 1), stride=1, padding=(k, 0))  # padding counts as zeros
    # Not by divisor_override=1, which the ONNX exporter drops without a word.
    return means.permute(0, 2, 3, 1).reshape(clip.shape).mul_(2 * k + 1)


def _residue_sums(clip: Tensor, k: int) -> Tensor:
    """Sums of the steps congruent to 0 .. k-1 modulo k, ``[..., k, d]``."""
    whole = clip.size(-2) // k * k
    sums = clip[..., :whole, :].unflatten(-2, (whole // k, k)).sum(-3)
    sums[..., : clip.size(-2) - whole, :] += clip[..., whole:, :]
    return sums


def _add_periodic_(clip: Tensor, rows: Tensor) -> Tensor:
    """Add ``rows [..., k, d]``, repeated along the steps, to ``clip [..., T, d]`` in place."""
    k = rows.size(-2)
    whole = clip.size(-2) // k * k
    clip[..., :whole, :].unflatten(-2, (whole // k, k)).add_(rows.unsqueeze(-3))
    clip[..., whole:, :].add_(rows[..., : clip.size(-2) - whole, :])
    return clip
