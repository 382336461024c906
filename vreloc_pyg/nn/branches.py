"""Other graph convolutions in the place of :class:`~vreloc_pyg.nn.MGFFConv`, for ablations."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu
from torch_geometric.nn import GATConv, SAGEConv

from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs.multi_scale import (
    check_nodes,
    check_scale,
    multi_scale_edge_index,
    multi_scale_mean,
)

ConvKind = Literal["mgff", "gat", "sage"]


def check_conv(conv: str, weight: str = "binary", aggregate: bool = True) -> None:
    """Raise :class:`SettingsError` unless ``conv`` is a :data:`ConvKind` and allows the other settings."""
    if conv not in get_args(ConvKind):
        raise SettingsError(f"Expected conv to be one of {', '.join(get_args(ConvKind))} (got {conv!r})")
    if conv == "mgff":
        return
    if weight != "binary":
        raise SettingsError(f"Expected weight='binary' with conv={conv!r}, which has none (got {weight!r})")
    if not aggregate:
        raise SettingsError(f"Expected aggregate=True with conv={conv!r} (got {aggregate!r})")


class GATBranch(GATConv):
    r"""Attention over the graph of scale k: PyG's ``GATConv`` with one head.

    .. math::
        x'_i = \sum_{j \in \mathcal{N}_k(i)} \alpha_{ij} \, x_j W, \qquad
        \alpha_{ij} = \mathrm{softmax}_j \, \mathrm{LeakyReLU}_{0.2}(x_i W a_{dst} + x_j W a_{src})

    The graphs of pairs hold every node's self-loop, so that none is added. Attention is dense in
    :meth:`closed_form`: a softmax over the rows of ``[B, N, N]``, which is fast for clips of some tens of
    steps.

    Velickovic et al., "Graph Attention Networks", ICLR 2018.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        scale: k in steps. (default: ``1``)
        bias: add a learned vector to every node, as PyG does by default;
            :class:`~vreloc_pyg.nn.MGFFConv` has none either. (default: ``False``)

    Shapes:
        - **input:** ``x [N, in_channels]`` with edges ``[2, E]``, all graphs of a batch in one; or
          ``x [B, N, in_channels]`` in closed form.
        - **output:** that of ``x``, with ``out_channels``.

    Raises:
        SettingsError: if ``scale`` is below 1.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int = 1, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, add_self_loops=False, bias=bias)
        self.scale = check_scale(scale)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Attend over edges.

        Args:
            x: node features ``[N, in_channels]``.
            edge_index: edges (source, destination), self-loops included, ``[2, E]`` int64.
            edge_weight: must be ``None``; it is here since :class:`~vreloc_pyg.nn.MGFFConv` has it.

        Raises:
            FeatureError: if ``x`` is of another width.
            GraphError: if ``edge_weight`` is given.
        """
        _check(x, self.in_channels, edge_weight)
        out: Tensor = super().forward(x, edge_index)
        return out

    def closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """Attend over the standard graph of pairs of equal lengths, without its edges.

        Args:
            x: node features, query first, ``[B, N, in_channels]``; finite everywhere.
            num_query: steps of the query, 1 or more.
            num_proposal: steps of the proposal, 1 or more; N = ``num_query + num_proposal``.
            mask: which nodes exist, bool ``[B, N]``; the others have no edges. (default: all)

        Raises:
            FeatureError: if ``x`` is of another width.
            GraphError: if a clip is empty, or ``x`` or ``mask`` is of another length.
        """
        _check(x, self.in_channels)
        check_nodes(x, num_query, num_proposal, mask)
        x = self.lin(x)
        to, of = x @ self.att_dst.view(-1, 1), x @ self.att_src.view(-1, 1)  # [B, N, 1]
        scores = leaky_relu(to + of.transpose(-1, -2), self.negative_slope)  # [B, N, N], row = destination
        apart = _apart(num_query, num_proposal, self.scale).to(x.device)
        if mask is not None:
            apart = apart | ~mask.unsqueeze(-2)
        # The least number instead of -inf: a masked node may have no neighbour, and would become NaN.
        out = scores.masked_fill(apart, torch.finfo(scores.dtype).min).softmax(-1) @ x
        if mask is not None:
            out = out * mask.unsqueeze(-1)
        return out if self.bias is None else out + self.bias

    def __repr__(self) -> str:
        return _shown(self, self.bias is not None)


class SAGEBranch(SAGEConv):
    r"""Mean over the graph of scale k beside the node itself: PyG's ``SAGEConv(aggr="mean")``.

    .. math::
        x'_i = \left(\tfrac{1}{|\mathcal{N}_k(i)|} \sum_{j \in \mathcal{N}_k(i)} x_j\right) W_l + x_i W_r

    The node is one of its own neighbours, as the graphs of pairs hold self-loops.

    Hamilton et al., "Inductive Representation Learning on Large Graphs", NeurIPS 2017.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        scale: k in steps. (default: ``1``)
        bias: add a learned vector to every node, as PyG does by default;
            :class:`~vreloc_pyg.nn.MGFFConv` has none either. (default: ``False``)

    Shapes:
        - **input:** ``x [N, in_channels]`` with edges ``[2, E]``, all graphs of a batch in one; or
          ``x [B, N, in_channels]`` in closed form.
        - **output:** that of ``x``, with ``out_channels``.

    Raises:
        SettingsError: if ``scale`` is below 1.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int = 1, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, aggr="mean", bias=bias)
        self.scale = check_scale(scale)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Average over edges; arguments and errors as of :meth:`GATBranch.forward`."""
        _check(x, self.in_channels, edge_weight)
        out: Tensor = super().forward(x, edge_index)
        return out

    def closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """Average over the standard graph, without storing it; arguments as of
        :meth:`GATBranch.closed_form`, and nodes without edges get their own term only.
        """
        _check(x, self.in_channels)
        check_nodes(x, num_query, num_proposal, mask)
        mean = multi_scale_mean(x, num_query, num_proposal, self.scale, mask)
        out: Tensor = self.lin_l(mean) + self.lin_r(x)
        return out

    def __repr__(self) -> str:
        return _shown(self, self.lin_l.bias is not None)


def _check(x: Tensor, in_channels: int, edge_weight: Tensor | None = None) -> None:
    if x.size(-1) != in_channels:
        raise FeatureError(f"Expected x as [..., {in_channels}] (got {tuple(x.shape)})")
    if edge_weight is not None:
        raise GraphError(f"Expected edge_weight=None (got {tuple(edge_weight.shape)}): edges weigh the same")


def _shown(conv: GATBranch | SAGEBranch, bias: bool) -> str:
    return f"{type(conv).__name__}({conv.in_channels}, {conv.out_channels}, scale={conv.scale}, bias={bias})"


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a tensor first made while validating must also serve training
def _apart(num_query: int, num_proposal: int, k: int) -> Tensor:
    """Which nodes are not joined, bool ``[N, N]``."""
    source, destination = multi_scale_edge_index(num_query, num_proposal, k)
    apart = torch.ones(num_query + num_proposal, num_query + num_proposal, dtype=torch.bool)
    apart[destination, source] = False
    return apart
