"""The multi-scale graph of a query/proposal pair: its edges, its matrix, and its product in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.graphs.pair_sums import pair_sums
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
    return multi_scale_sums(x, num_query, num_proposal, (k,), mask)[0]


def multi_scale_sums(
    x: Tensor, num_query: int, num_proposal: int, scales: Sequence[int], mask: Tensor | None = None
) -> tuple[Tensor, ...]:
    """:func:`multi_scale_sum` of several scales, which share their windows; arguments and errors as there."""
    check_nodes(x, num_query, num_proposal, mask)
    for k in scales:
        check_scale(k)
    if mask is None:
        return pair_sums(x, num_query, tuple(scales))
    valid = mask.unsqueeze(-1).to(x.dtype)
    return tuple(one * valid for one in pair_sums(x * valid, num_query, tuple(scales)))


def multi_scale_degree(num_query: int, num_proposal: int, k: int, mask: Tensor | None = None) -> Tensor:
    """Number of edges into every node of the graph of scale ``k``, self-loop included.

    ``[N]`` float32, or ``[..., N]`` with a ``mask``; nodes that do not exist have degree 0.
    """
    num_nodes = check_lengths(num_query, num_proposal)
    shape, device = ((num_nodes,), None) if mask is None else (mask.shape, mask.device)
    ones = torch.ones(*shape, 1, device=device)
    return multi_scale_sum(ones, num_query, num_proposal, k, mask).squeeze(-1)


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
    return multi_scale_products(x, num_query, num_proposal, (k,), weight, bandwidth, mask)[0]


def multi_scale_products(
    x: Tensor,
    num_query: int,
    num_proposal: int,
    scales: Sequence[int],
    weight: WeightKind = "binary",
    bandwidth: float | None = None,
    mask: Tensor | None = None,
) -> list[Tensor]:
    """:func:`multi_scale_product` of several scales; arguments and errors as there."""
    entry = check_weight(weight, bandwidth)
    check_nodes(x, num_query, num_proposal, mask)
    degrees: list[Tensor | None] = [None] * len(scales)
    if entry.rows is not None or entry.columns is not None:
        counted = [multi_scale_degree(num_query, num_proposal, k, mask) for k in scales]
        degrees = [degree.to(x).unsqueeze(-1) for degree in counted]
    if entry.columns is None and entry.positions is None:  # the scales sum up the same nodes
        sums = multi_scale_sums(_scaled(x, None, None, mask), num_query, num_proposal, scales)
        return [_scaled(one, entry.rows, degree, mask) for one, degree in zip(sums, degrees, strict=True)]
    products = []
    for k, degree in zip(scales, degrees, strict=True):
        scaled = _scaled(x, entry.columns, degree, mask)
        if entry.positions is None:
            product = multi_scale_sum(scaled, num_query, num_proposal, k)
        else:
            weights = _positional(num_query, num_proposal, k, entry.positions, bandwidth or num_query)
            product = weights.to(x) @ scaled
        products.append(_scaled(product, entry.rows, degree, mask))
    return products


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
