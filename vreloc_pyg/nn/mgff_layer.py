"""The multi-graph feature fusion layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.weights import WeightKind
from vreloc_pyg.nn.branches import ConvKind, GATBranch, SAGEBranch, check_conv
from vreloc_pyg.nn.mgff_conv import MGFFConv

Branch = MGFFConv | GATBranch | SAGEBranch


class MGFFLayer(nn.Module):
    r"""Graph convolutions at several scales between two 1x1 convolutions (paper section 4.5, Figure 7).

    .. math::
        \tilde H &= \mathrm{Conv}_{1 \times 1}(H) \\
        H' &= \mathrm{Conv}_{1 \times 1}\left(\left[\tanh(\hat A_{k_1} \tilde H W_{k_1}), \dots,
        \tanh(\hat A_{k_K} \tilde H W_{k_K})\right]\right)

    with concatenation along features.

    Args:
        in_channels: width of the nodes.
        out_channels: width of the branches and of the output.
        scales: one branch for each k.
        weight: edge weights, see :class:`~vreloc_pyg.nn.MGFFConv`.
        bandwidth: s of ``weight="exponential"``, in nodes (default: the number of query steps).
        aggregate: ``False`` replaces every adjacency by the identity, the paper's ablation "CNN"
            (section 5.4.3).
        residual: add the layer's input to its output; the paper does not.
        conv: the branches' graph convolution: ``"mgff"`` (paper, :class:`~vreloc_pyg.nn.MGFFConv`), or on
            the same edges ``"gat"`` (:class:`~vreloc_pyg.nn.branches.GATBranch`) or ``"sage"``
            (:class:`~vreloc_pyg.nn.branches.SAGEBranch`), with ``weight="binary"`` and ``aggregate=True``.

    Raises:
        SettingsError: if ``scales`` is empty, repeats itself or holds a number below 1; if ``conv`` is
            unknown or does not go with ``weight`` or ``aggregate``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scales: Sequence[int] = (1, 2, 3),
        weight: WeightKind = "binary",
        bandwidth: float | None = None,
        aggregate: bool = True,
        residual: bool = False,
        conv: ConvKind = "mgff",
    ) -> None:
        super().__init__()
        check_conv(conv, weight, aggregate)
        if not scales or min(scales) < 1 or len(set(scales)) < len(scales):
            raise SettingsError(f"Expected scales to be distinct numbers of at least 1 (got {tuple(scales)})")
        self.scales = tuple(scales)
        self.aggregate = aggregate
        self.residual = residual
        self.project = nn.Linear(in_channels, in_channels)
        convs: list[Branch]
        if conv == "gat":
            convs = [GATBranch(in_channels, out_channels, scale=k) for k in scales]
        elif conv == "sage":
            convs = [SAGEBranch(in_channels, out_channels, scale=k) for k in scales]
        else:
            convs = [MGFFConv(in_channels, out_channels, weight, k, bandwidth) for k in scales]
        self.convs = cast(Sequence[Branch], nn.ModuleList(convs))
        self.fuse = nn.Linear(len(self.scales) * out_channels, out_channels)

    def forward(
        self,
        x: Tensor,
        edge_indices: Sequence[Tensor],
        edge_weights: Sequence[Tensor | None],
    ) -> Tensor:
        """Message passing over one edge set for each scale.

        Args:
            x: nodes of a batch of graphs, ``[N, d]``.
            edge_indices: ``[2, E_k]`` for each k.
            edge_weights: ``[E_k]``, or ``None`` for weights of one, for each k.
        """
        projected = self.project(x)
        if self.aggregate:
            edges = zip(edge_indices, edge_weights, strict=True)
            branches = [conv(projected, *edge) for conv, edge in zip(self.convs, edges, strict=True)]
        else:
            branches = [projected @ conv.lin_weight for conv in self.convs]
        return self._fused(self._activate(branches), x)

    def closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """The same layer on the standard graph, without edges.

        Args:
            x: nodes ``[B, Tq + Tp, d]``.
            num_query: Tq.
            num_proposal: Tp.
            mask: nodes that take part, ``[B, Tq + Tp]``; ``None`` for all.
        """
        return self._fused(self.branches(self.project(x), num_query, num_proposal, mask), x)

    def branches(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None = None) -> Tensor:
        """tanh of every branch of the standard graph, side by side: ``[B, N, d] -> [B, N, K * d]``."""
        if not self.aggregate:
            return self._activate([x @ conv.lin_weight for conv in self.convs])
        return self._activate([conv.closed_form(x, num_query, num_proposal, mask) for conv in self.convs])

    def _fused(self, branches: Tensor, x: Tensor) -> Tensor:
        fused: Tensor = self.fuse(branches)
        return fused + x if self.residual else fused

    @staticmethod
    def _activate(branches: list[Tensor]) -> Tensor:
        return torch.tanh(torch.cat(branches, dim=-1))
