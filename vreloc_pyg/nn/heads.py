"""Score and regression heads on the pooled graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def perceptron(in_channels: int, hidden: Sequence[int], out_channels: int) -> nn.Sequential:
    """Fully connected layers, each but the last with batch norm and tanh (paper Figure 10, section 5.2.2)."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(in_channels, width), nn.BatchNorm1d(width), nn.Tanh()]
        in_channels = width
    return nn.Sequential(*layers, nn.Linear(in_channels, out_channels))


class ScoreHead(nn.Module):
    r"""Similarity of the clips of a pair (paper section 4.6.1).

    .. math::
        S(q, p) = \tanh(\mathrm{MLP}(h_{\mathrm{global}}) + b) \in [-1, 1]

    where b, zero in the paper, is what :class:`~vreloc_pyg.nn.MGFFNet` adds to the logit.

    Shapes:
        - input: ``[B, d]`` and optionally the added logit ``[B]``
        - output: ``[B]``
    """

    def __init__(self, in_channels: int, hidden: Sequence[int] = (128, 32)) -> None:
        super().__init__()
        self.mlp = perceptron(in_channels, hidden, 1)

    def forward(self, pooled: Tensor, added: Tensor | None = None) -> Tensor:
        logit = self.mlp(pooled).squeeze(-1)
        return torch.tanh(logit if added is None else logit + added)


class RegressionHead(nn.Module):
    r"""Offsets :math:`(T_c, T_l)` of a proposal from its true segment (paper section 4.6.2).

    Their meaning is that of :func:`vreloc_pyg.segments.encode_offsets`.

    Shapes:
        - input: ``[B, d]``
        - output: ``[B, 2]``
    """

    def __init__(self, in_channels: int, hidden: Sequence[int] = (128, 32)) -> None:
        super().__init__()
        self.mlp = perceptron(in_channels, hidden, 2)

    def forward(self, pooled: Tensor) -> Tensor:
        offsets: Tensor = self.mlp(pooled)
        return offsets
