"""Graph convolution of one scale of a query/proposal pair graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.utils import spmm

from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs.multi_scale import check_scale, multi_scale_product
from vreloc_pyg.graphs.weights import EDGE_WEIGHTS, WeightKind, check_weight
from vreloc_pyg.nn.lazy_weight import WeightedConv


class MGFFConv(WeightedConv):
    r"""Graph convolution of scale k (paper section 4.4), without its nonlinearity.

    .. math::
        X' = \hat A_k X W, \qquad
        x'_i = \sum_{j \in \mathcal{N}_k(i)} a_{ij} \, x_j W

    The product with :math:`\hat A_k` is computed in any of four ways with equal results: from edges, from a
    ``torch.sparse_csr`` matrix or from a dense matrix by :meth:`forward`, and without storing the graph at
    all by :meth:`closed_form`. Whichever of both products makes the other smaller comes first.

    Args:
        in_channels, out_channels: widths of input and output; -1 for that of the first input.
        weight: weights of the edges, see :func:`~vreloc_pyg.graphs.weights.edge_weights`.
        scale: k in steps.
        bandwidth: s of ``exponential`` weights, in nodes. (default: the number of query steps)

    Shapes:
        - **input:** ``x [N, in_channels]`` with edges ``[2, E]`` or a CSR matrix, all graphs of a batch in
          one; or ``x [B, N, in_channels]`` with a dense matrix ``[N, N]`` or ``[B, N, N]``, or in
          closed form.
        - **output:** that of ``x``, with ``out_channels``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        weight: WeightKind = "binary",
        scale: int = 1,
        bandwidth: float | None = None,
    ) -> None:
        check_weight(weight, bandwidth)
        super().__init__(in_channels, out_channels, aggr="sum")
        self.weight = weight
        self.scale = check_scale(scale)
        self.bandwidth = bandwidth

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor], edge_index: Tensor, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Convolve over edges or a matrix.

        Args:
            x: node features ``[N, in_channels]``, or ``[B, N, in_channels]`` with a dense matrix; or two sets
                of nodes, those that edges come from and those that they lead to, whose result is returned.
                Of the latter only the number counts.
            edge_index: edges (source, destination) ``[2, E]`` int64; or a ``torch.sparse_csr`` matrix
                ``[N, N]``, or a dense one ``[N, N]`` or ``[B, N, N]``. Matrices have row = destination,
                column = source, as :func:`~vreloc_pyg.graphs.to_dense_adjacency` gives them, and hold
                their weights.
            edge_weight: weights of the edges ``[E]``. (default: 1 each, of kind ``binary`` only)

        Raises:
            FeatureError: if ``x`` is of another width.
            GraphError: if edges lack the weights that ``weight`` asks for, or a matrix is given more.
        """
        x, size = (x, None) if isinstance(x, Tensor) else (x[0], (x[0].size(0), x[1].size(0)))
        self.check_width(x)
        if _is_matrix(edge_index):
            if edge_weight is not None:
                raise GraphError("Expected edge_weight=None with a matrix, which holds its weights")
        elif edge_weight is None and not EDGE_WEIGHTS[self.weight].all_ones:
            raise GraphError(f"Expected edge_weight with weight={self.weight!r} (got None)")
        if self.in_channels >= self.out_channels:
            return self._aggregate(x @ self.lin_weight, edge_index, edge_weight, size)
        return self._aggregate(x, edge_index, edge_weight, size) @ self.lin_weight

    def closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """Convolve over the standard graph of pairs of equal lengths, without storing it.

        Arguments and errors are those of :func:`~vreloc_pyg.graphs.multi_scale_product`, with nodes ``x``
        ``[B, N, in_channels]``; another width is a :class:`FeatureError`.
        """
        self.check_width(x)
        graph = num_query, num_proposal, self.scale, self.weight, self.bandwidth, mask
        if self.in_channels >= self.out_channels:
            return multi_scale_product(x @ self.lin_weight, *graph)
        return multi_scale_product(x, *graph) @ self.lin_weight

    def _aggregate(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None, size: tuple[int, int] | None
    ) -> Tensor:
        if _is_matrix(edge_index) and edge_index.layout == torch.strided:
            return edge_index @ x
        # A sparse matrix is what PyG calls adj_t: row = destination, as here.
        # propagate_type: (x: Tensor, edge_weight: OptTensor)
        return self.propagate(edge_index, x=x, edge_weight=edge_weight, size=size)

    def message(self, x_j: Tensor, edge_weight: Tensor | None) -> Tensor:
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def message_and_aggregate(self, adj_t: Tensor, x: Tensor) -> Tensor:
        return spmm(adj_t, x, reduce="sum")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.in_channels}, {self.out_channels}, weight={self.weight!r}, "
            f"scale={self.scale}, bandwidth={self.bandwidth})"
        )


def _is_matrix(edge_index: Tensor) -> bool:
    return edge_index.layout != torch.strided or edge_index.is_floating_point()
