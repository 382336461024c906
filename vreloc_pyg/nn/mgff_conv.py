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
    check_nodes,
    check_scale,
    multi_scale_degree,
    multi_scale_mean,
    multi_scale_sum,
    to_dense_adjacency,
)
from vreloc_pyg.graphs.weights import WeightKind, check_weight


class MGFFConv(MessagePassing):
    r"""Graph convolution of scale k (paper section 4.4), without its nonlinearity.

    .. math::
        X' = \hat A_k X W, \qquad
        x'_i = \sum_{j \in \mathcal{N}_k(i)} a_{ij} \, x_j W

    The product with :math:`\hat A_k` is computed in any of four ways with equal results: from edges, from a
    ``torch.sparse_csr`` matrix or from a dense matrix by :meth:`forward`, and without storing the graph at
    all by :meth:`closed_form`. Whichever of both products makes the other smaller comes first.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        weight: weights of the edges, see :func:`~vreloc_pyg.graphs.weights.edge_weights`.
            (default: ``"binary"``)
        scale: k in steps. (default: ``1``)
        bandwidth: s of ``exponential`` weights, in nodes. (default: the number of query steps)
        bias: add a learned vector to every node, which the paper does not. (default: ``False``)

    Shapes:
        - **input:** ``x [N, in_channels]`` with edges ``[2, E]`` or a CSR matrix, all graphs of a batch in
          one; or ``x [B, N, in_channels]`` with a dense matrix ``[N, N]`` or ``[B, N, N]``, or in
          closed form.
        - **output:** that of ``x``, with ``out_channels``.

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
    ) -> None:
        check_weight(weight, bandwidth)
        super().__init__(aggr="sum")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.weight = weight
        self.scale = check_scale(scale)
        self.bandwidth = bandwidth
        self.lin_weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew (Glorot), and set the bias to zero."""
        super().reset_parameters()
        glorot(self.lin_weight)
        zeros(self.bias)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Convolve over edges or a matrix.

        Args:
            x: node features ``[N, in_channels]``, or ``[B, N, in_channels]`` with a dense matrix.
            edge_index: edges (source, destination) ``[2, E]`` int64; or a ``torch.sparse_csr`` matrix
                ``[N, N]``, or a dense one ``[N, N]`` or ``[B, N, N]``. Matrices have row = destination,
                column = source, as :func:`~vreloc_pyg.graphs.to_dense_adjacency` gives them, and hold
                their weights.
            edge_weight: weights of the edges ``[E]``. (default: 1 each, with ``weight="binary"`` only)

        Raises:
            FeatureError: if ``x`` is of another width.
            GraphError: if edges lack the weights that ``weight`` asks for, or a matrix is given more.
        """
        self._check_width(x)
        if _is_matrix(edge_index):
            if edge_weight is not None:
                raise GraphError("Expected edge_weight=None with a matrix, which holds its weights")
        elif edge_weight is None and self.weight != "binary":
            raise GraphError(f"Expected edge_weight with weight={self.weight!r} (got None)")
        if self.in_channels >= self.out_channels:
            return self._add_bias(self._aggregate(x @ self.lin_weight, edge_index, edge_weight))
        return self._add_bias(self._aggregate(x, edge_index, edge_weight) @ self.lin_weight)

    def closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """Convolve over the standard graph of pairs of equal lengths, without storing it.

        Only ``exponential`` weights have no such form; they use a dense matrix, built once per length.

        Args:
            x: node features, query first, ``[B, N, in_channels]``.
            num_query: steps of the query, 1 or more.
            num_proposal: steps of the proposal, 1 or more; N = ``num_query + num_proposal``.
            mask: which nodes exist, bool ``[B, N]``; rows and columns of A of the others are zero, and
                degrees are counted without them. (default: all)

        Raises:
            FeatureError: if ``x`` is of another width.
            GraphError: if a clip is empty, or ``x`` or ``mask`` is of another length.
        """
        self._check_width(x)
        check_nodes(x, num_query, num_proposal, mask)
        if self.in_channels >= self.out_channels:
            return self._add_bias(self._closed_sum(x @ self.lin_weight, num_query, num_proposal, mask))
        return self._add_bias(self._closed_sum(x, num_query, num_proposal, mask) @ self.lin_weight)

    def _aggregate(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
        if _is_matrix(edge_index) and edge_index.layout == torch.strided:
            return edge_index @ x
        # A sparse matrix is what PyG calls adj_t: row = destination, as here.
        # propagate_type: (x: Tensor, edge_weight: OptTensor)
        return self.propagate(edge_index, x=x, edge_weight=edge_weight)

    def message(self, x_j: Tensor, edge_weight: Tensor | None) -> Tensor:
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def message_and_aggregate(self, adj_t: Tensor, x: Tensor) -> Tensor:
        return spmm(adj_t, x, reduce="sum")

    def _closed_sum(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None) -> Tensor:
        if self.weight == "binary":
            return multi_scale_sum(x, num_query, num_proposal, self.scale, mask)
        if self.weight == "exponential":
            adjacency = _exponential(num_query, num_proposal, self.scale, self.bandwidth).to(x)
            if mask is None:
                return adjacency @ x
            return (adjacency @ (x * mask.unsqueeze(-1))) * mask.unsqueeze(-1)
        if self.weight == "row":
            return multi_scale_mean(x, num_query, num_proposal, self.scale, mask)
        degree = multi_scale_degree(num_query, num_proposal, self.scale, mask).to(x).unsqueeze(-1)
        # Of degree 0 are masked nodes only, and theirs becomes 0: no other mask is needed.
        root = torch.where(degree > 0, degree.rsqrt(), 0.0)
        return multi_scale_sum(x * root, num_query, num_proposal, self.scale) * root

    def _check_width(self, x: Tensor) -> None:
        if x.size(-1) != self.in_channels:
            raise FeatureError(f"Expected x as [..., {self.in_channels}] (got {tuple(x.shape)})")

    def _add_bias(self, out: Tensor) -> Tensor:
        return out if self.bias is None else out + self.bias

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, weight={self.weight!r}, "
            f"scale={self.scale}, bandwidth={self.bandwidth}, bias={self.bias is not None})"
        )


def _is_matrix(edge_index: Tensor) -> bool:
    return edge_index.layout != torch.strided or edge_index.is_floating_point()


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a tensor first made while validating must also serve training
def _exponential(num_query: int, num_proposal: int, k: int, bandwidth: float | None) -> Tensor:
    return to_dense_adjacency(num_query, num_proposal, k, "exponential", bandwidth)
