"""What the model returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Relevance(NamedTuple):
    """What the model says of B pairs.

    Args:
        score: similarity in [-1, 1], ``[B]``.
        offsets: :math:`(T_c, T_l)` of the proposal, ``[B, 2]``; see
            :func:`vreloc_pyg.segments.decode_offsets`.
    """

    score: Tensor
    offsets: Tensor
