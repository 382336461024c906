"""The multi-graph feature fusion layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.multi_scale import multi_scale_products
from vreloc_pyg.graphs.weights import WeightKind
from vreloc_pyg.nn.attention_conv import AttentionConv
from vreloc_pyg.nn.match_conv import MatchConv, MatchWeights
from vreloc_pyg.nn.mgff_conv import MGFFConv


class MGFFLayer(nn.Module):
    r"""Graph convolutions at several scales between two 1x1 convolutions (paper section 4.5, Figure 7).

    .. math::
        \tilde H &= \mathrm{Conv}_{1 \times 1}(H) \\
        H' &= \mathrm{Conv}_{1 \times 1}\left(\left[\tanh(\hat A_{k_1} \tilde H W_{k_1}), \dots,
        \tanh(\hat A_{k_K} \tilde H W_{k_K})\right]\right)

    with concatenation along features.

    Args:
        in_channels, out_channels: width of the nodes, and of the branches and the output.
        scales: one branch for each k, distinct and at least 1.
        weight, bandwidth: see :class:`~vreloc_pyg.nn.MGFFConv`.
        aggregate: ``False`` replaces every adjacency by the identity, the paper's ablation "CNN"
            (section 5.4.3).
        residual: add the layer's input to its output; the paper does not.
        match_heads: number of heads of a :class:`~vreloc_pyg.nn.MatchConv` in the place of each
            :class:`~vreloc_pyg.nn.MGFFConv`; ``None``: the latter. Needs ``aggregate``.
        attention: an :class:`.AttentionConv` in the place of each of these, which computes from edges alone.
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
        match_heads: int | None = None,
        attention: bool = False,
    ) -> None:
        super().__init__()
        if not scales or min(scales) < 1 or len(set(scales)) < len(scales):
            raise SettingsError(f"Expected scales to be distinct numbers of at least 1 (got {tuple(scales)})")
        self.scales = tuple(scales)
        self.aggregate = aggregate
        self.residual = residual
        self.project = nn.Linear(in_channels, in_channels)
        convs: list[nn.Module]
        if match_heads is None:
            convs = [MGFFConv(in_channels, out_channels, weight, k, bandwidth) for k in scales]
        elif attention:
            convs = [AttentionConv(in_channels, out_channels, match_heads) for _ in scales]
        else:
            convs = [MatchConv(in_channels, out_channels, match_heads, k) for k in scales]
        self.convs = cast(Sequence[MGFFConv], nn.ModuleList(convs))
        self.fuse = nn.Linear(len(self.scales) * out_channels, out_channels)

    def forward(
        self, x: Tensor, edge_indices: Sequence[Tensor], edge_weights: Sequence[Tensor | None]
    ) -> Tensor:
        """Message passing over one edge set for each scale.

        Args:
            x: nodes of a batch of graphs, ``[N, d]``.
            edge_indices, edge_weights: ``[2, E_k]``, and ``[E_k]`` or ``None`` for weights of one.
        """
        projected = self.project(x)
        if self.aggregate:
            edges = zip(edge_indices, edge_weights, strict=True)
            branches = [conv(projected, *edge) for conv, edge in zip(self.convs, edges, strict=True)]
        else:
            branches = [projected @ conv.lin_weight for conv in self.convs]
        return self._fused(torch.tanh(torch.cat(branches, dim=-1)), x)

    def closed_form(
        self,
        x: Tensor,
        num_query: int,
        num_proposal: int,
        mask: Tensor | None = None,
        weights: Sequence[MatchWeights] | None = None,
    ) -> Tensor:
        """The same layer on the standard graph, without edges, of nodes ``[B, Tq + Tp, d]``.

        The mask, ``[B, Tq + Tp]``, says which nodes take part; ``None`` for all. Weights are those of every
        scale (:func:`.match_weights`), with ``match_heads`` only.
        """
        return self._fused(self.branches(self.project(x), num_query, num_proposal, mask, weights), x)

    def branches(
        self,
        x: Tensor,
        num_query: int,
        num_proposal: int,
        mask: Tensor | None = None,
        weights: Sequence[MatchWeights] | None = None,
    ) -> Tensor:
        """tanh of every branch of the standard graph, side by side: ``[B, N, d] -> [B, N, K * d]``."""
        if weights is not None:
            matching = cast(Sequence[MatchConv], self.convs)
            branches = [
                conv.dense(x, num_query, num_proposal, weight)
                for conv, weight in zip(matching, weights, strict=True)
            ]
        elif self.aggregate:
            # The sums first, which the scales share; then the weight of each.
            about = self.scales, self.convs[0].weight, self.convs[0].bandwidth, mask
            products = multi_scale_products(x, num_query, num_proposal, *about)
            branches = [one @ conv.lin_weight for one, conv in zip(products, self.convs, strict=True)]
        else:
            branches = [x @ conv.lin_weight for conv in self.convs]
        return torch.tanh(torch.cat(branches, dim=-1))

    def _fused(self, branches: Tensor, x: Tensor) -> Tensor:
        fused: Tensor = self.fuse(branches)
        return fused + x if self.residual else fused
