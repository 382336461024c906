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

    def detached(self, chosen: Tensor) -> Pooled:
        """Some of the pairs, without gradients into what made them."""
        nodes, mask = (None if part is None else part.detach()[chosen] for part in (self.nodes, self.mask))
        return Pooled(self.graph.detach()[chosen], nodes, mask)
