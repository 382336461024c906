"""The learned twin of the convolution whose edges carry a comparison: attention over the same edges."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.nn import GATv2Conv

from vreloc_pyg.nn.match_conv import check_edge_attr


class AttentionConv(GATv2Conv):
    r"""GATv2 (Brody et al., "How Attentive are Graph Attention Networks?", ICLR 2022) over a pair graph.

    It reads what :class:`~vreloc_pyg.nn.MatchConv` reads, but learns how edges weigh: nodes, edges of scale k
    within a clip and between both, and what the latter carry, as attributes. It averages as many heads as the
    other has. There is no form without edges.

    Args:
        in_channels, out_channels: widths of input and output.
        heads: H, 0 or more.
    """

    def __init__(self, in_channels: int, out_channels: int, heads: int = 3) -> None:
        super().__init__(
            in_channels, out_channels, max(heads, 1), concat=False, add_self_loops=False, edge_dim=1 + heads
        )

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor], edge_index: Tensor, edge_attr: Tensor | None = None
    ) -> Tensor:
        """Convolve over edges; arguments and errors are those of :meth:`.MatchConv.forward`."""
        assert self.edge_dim is not None
        check_edge_attr(edge_attr, edge_index, self.edge_dim)
        found: Any = super().forward(x, edge_index, edge_attr)
        return found
