"""Graph convolution of one scale of a query/proposal pair graph."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.inits import glorot, zeros
from torch_geometric.utils import spmm

from vreloc_pyg.errors import FeatureError, GraphError
from vreloc_pyg.graphs.multi_scale import (
    check_scale,
    multi_scale_degree,
    multi_scale_sum,
    to_dense_adjacency,
)
from vreloc_pyg.graphs.weights import WeightKind, check_weight


class MGFFConv(MessagePassing):
    """Graph convolution of scale k (paper section 4.4), without its nonlinearity.

    .. math::
        X' = A_k X W

    The product with :math:`A_k` is computed in any of four ways, with equal results: from edges, from a
    ``torch.sparse_csr`` matrix, from a dense matrix (all three through :meth:`forward`), or without storing
    the graph at all (:meth:`closed_form`).

    Args:
        in_channels: width of the input, :math:`F_{in}`.
        out_channels: width of the output, :math:`F_{out}`.
        weight: weights of the edges, see :func:`~vreloc_pyg.graphs.weights.edge_weights`.
            (default: ``"binary"``)
        scale: k in steps. (default: ``1``)
        bandwidth: s of ``exponential`` weights, in nodes. (default: the number of query steps)
        bias: add a learned vector to every output row. (default: ``False``, as in the paper)
        **kwargs: of :class:`torch_geometric.nn.MessagePassing`.

    Shapes:
        - **input:** ``x [N_total, F_in]`` with ``edge_index [2, E]`` or a CSR matrix, or
          ``x [B, N, F_in]`` with a dense matrix ``[N, N]`` or ``[B, N, N]``.
        - **output:** ``x`` with its last dimension ``F_out``.

    Raises:
        SettingsError: if ``weight``, ``scale`` or ``bandwidth`` is impossible.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        weight: WeightKind = "binary",
        scale: int = 1,
        bandwidth: float | None = None,
        bias: bool = False,
        **kwargs: str,
    ) -> None:
        check_weight(weight, bandwidth)
        kwargs.setdefault("aggr", "sum")
        super().__init__(**kwargs)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.weight = weight
        self.scale = check_scale(scale)
        self.bandwidth = bandwidth
        self.lin_weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        glorot(self.lin_weight)
        zeros(self.bias)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Convolve over given edges or a given matrix.

        Args:
            x: node features ``[N_total, F_in]``, or ``[B, N, F_in]`` with a dense matrix.
            edge_index: edges ``[2, E]`` int64; or a ``torch.sparse_csr`` matrix ``[N_total, N_total]``, or
                a dense one ``[N, N]`` or ``[B, N, N]``, both as row = destination, column = source and
                holding the weights.
            edge_weight: weights ``[E]`` of the edges. (default: 1 each, for ``weight="binary"`` only)

        Raises:
            GraphError: if the weights of the edges are missing, or given twice.
            FeatureError: if ``x`` is of another width.
        """
        self._check_width(x)
        if edge_index.layout == torch.strided and not edge_index.is_floating_point():
            if edge_weight is None and self.weight != "binary":
                raise GraphError(f"Expected edge_weight with weight={self.weight!r} (got None)")
        elif edge_weight is not None:
            raise GraphError("Expected no edge_weight with a matrix, which holds its weights")
        if self.in_channels >= self.out_channels:
            return self._add_bias(self._aggregate(x @ self.lin_weight, edge_index, edge_weight))
        return self._add_bias(self._aggregate(x, edge_index, edge_weight) @ self.lin_weight)

    def closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """Convolve over the standard graph of one or more pairs of equal lengths, without storing it.

        ``exponential`` weights have no such form: they fall back to a cached dense matrix.

        Args:
            x: node features, query first, ``[B, N, F_in]``.
            num_query: steps of the query, 1 or more.
            num_proposal: steps of the proposal, 1 or more; N = ``num_query + num_proposal``.
            mask: which nodes exist, bool ``[B, N]``; rows and columns of A of the others are zero.

        Raises:
            GraphError: if ``x`` or ``mask`` is of another length.
            FeatureError: if ``x`` is of another width.
        """
        self._check_width(x)
        if self.in_channels >= self.out_channels:
            return self._add_bias(self._closed_sum(x @ self.lin_weight, num_query, num_proposal, mask))
        return self._add_bias(self._closed_sum(x, num_query, num_proposal, mask) @ self.lin_weight)

    def _aggregate(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
        if edge_index.layout == torch.strided and edge_index.is_floating_point():
            return edge_index @ x
        # propagate_type: (x: Tensor, edge_weight: OptTensor)
        return self.propagate(edge_index, x=x, edge_weight=edge_weight)

    def _closed_sum(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None) -> Tensor:
        if self.weight == "exponential":
            adjacency = _dense(num_query, num_proposal, self.scale, self.bandwidth).to(x)
            if mask is None:
                return adjacency @ x
            valid = mask.unsqueeze(-1)
            return (adjacency @ (x * valid)) * valid
        if self.weight == "binary":
            return multi_scale_sum(x, num_query, num_proposal, self.scale, mask)
        degree = multi_scale_degree(num_query, num_proposal, self.scale, mask).to(x).unsqueeze(-1)
        degree = degree.clamp(min=1)
        if self.weight == "row":
            return multi_scale_sum(x, num_query, num_proposal, self.scale, mask) / degree
        scale = degree.rsqrt()
        return multi_scale_sum(x * scale, num_query, num_proposal, self.scale, mask) * scale

    def _check_width(self, x: Tensor) -> None:
        if x.size(-1) != self.in_channels:
            raise FeatureError(f"Expected x with {self.in_channels} channels (got {tuple(x.shape)})")

    def _add_bias(self, out: Tensor) -> Tensor:
        return out if self.bias is None else out + self.bias

    def message(self, x_j: Tensor, edge_weight: Tensor | None) -> Tensor:
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def message_and_aggregate(self, adj_t: Tensor, x: Tensor) -> Tensor:
        return spmm(adj_t, x, self.aggr)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, weight={self.weight!r}, "
            f"scale={self.scale}, bandwidth={self.bandwidth}, bias={self.bias is not None})"
        )


@lru_cache(maxsize=256)
def _dense(num_query: int, num_proposal: int, k: int, bandwidth: float | None) -> Tensor:
    return to_dense_adjacency(num_query, num_proposal, k, "exponential", bandwidth)
