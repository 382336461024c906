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
        S(q, p) = \tanh(g\,\mathrm{MLP}(h_{\mathrm{global}}) + b) \in [-1, 1]

    In the paper the gain g is 1 and b, what :class:`PairHead` adds, is 0.

    Shapes:
        - input: ``[B, d]`` and optionally the added logit ``[B]``
        - output: ``[B]``
    """

    def __init__(self, in_channels: int, hidden: Sequence[int] = (128, 32), gain: float = 1.0) -> None:
        super().__init__()
        self.mlp = perceptron(in_channels, hidden, 1)
        self.gain = gain

    def forward(self, pooled: Tensor, added: Tensor | None = None) -> Tensor:
        logit = self.gain * self.mlp(pooled).squeeze(-1)
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


class PairHead(nn.Module):
    r"""What the numbers beside a pair's graph add to its score's logit.

    .. math::
        b(f) = w^\top f + \tfrac{1}{10}\,\mathrm{MLP}(\mathrm{BN}(f))

    w starts with small negative weights of the statistics' distance and of the change of length, and the
    last layer of the MLP at zero: before training this is the training-free window rule.

    Args:
        num_features: P, columns of :func:`vreloc_pyg.graphs.pair_features.pair_features`.
        hidden_channels: width of the MLP's two hidden layers.

    Shapes:
        - input: ``[B, P]``
        - output: ``[B]``
    """

    def __init__(self, num_features: int, hidden_channels: int = 32) -> None:
        super().__init__()
        self.rule = nn.Parameter(torch.zeros(num_features))
        with torch.no_grad():
            self.rule[0], self.rule[2] = -0.1, -0.025
        self.norm = nn.BatchNorm1d(num_features, affine=False, momentum=0.02)
        last = nn.Linear(hidden_channels, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(
            nn.Linear(num_features, hidden_channels),
            nn.Tanh(),
            nn.Linear(hidden_channels, hidden_channels),
            nn.Tanh(),
            last,
        )

    def forward(self, features: Tensor) -> Tensor:
        learned: Tensor = self.mlp(self.norm(features).clamp(-5, 5)).squeeze(-1)
        return features @ self.rule + 0.1 * learned
