"""What the model returns, and what its heads read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Relevance(NamedTuple):
    """What the model says of B pairs.

    Args:
        score: similarity in [-1, 1], ``[B]``.
        offsets: of the proposal, ``[B, 2]``, see :func:`vreloc_pyg.segments.decode_offsets`.
    """

    score: Tensor
    offsets: Tensor


class Pooled(NamedTuple):
    """What the heads read of B pairs.

    Args:
        graph: averages over nodes, and the pair features, ``[B, D]``.
        nodes: those of the proposal, ``[B, Tp, d]``, where the regression head reads them.
        mask: which of them take part, ``[B, Tp]`` bool; ``None`` if all do.
    """

    graph: Tensor
    nodes: Tensor | None = None
    mask: Tensor | None = None

    def rows(self, chosen: Tensor) -> Pooled:
        """Some of the pairs, ``chosen`` as ``[B]`` bool or as indices."""
        nodes, mask = (None if part is None else part[chosen] for part in (self.nodes, self.mask))
        return Pooled(self.graph[chosen], nodes, mask)

    def detached(self) -> Pooled:
        """The same pairs, without gradients into what made them."""
        nodes = None if self.nodes is None else self.nodes.detach()
        return Pooled(self.graph.detach(), nodes, self.mask)
