"""Score and regression heads on the pooled graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Initial weights of :data:`vreloc_pyg.graphs.pair_features.PAIR_FEATURES`.
WINDOW_RULE = (-0.1, 0.0, -0.025, 0.0, 0.0, 0.0)


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
        S(q, p) = \tanh(g\,\mathrm{MLP}(h) + w^\top f) \in [-1, 1]

    In the paper the gain g is 1 and there is no f. With ``num_pair_features``, the last columns of h are the
    numbers f beside the graph (:func:`vreloc_pyg.graphs.pair_features.pair_features`). w starts with small
    negative weights of the statistics' distance and of the change of length: apart from the MLP, an
    untrained head ranks like the training-free window rule.

    Args:
        in_channels: D, width of h.
        hidden: widths of the MLP's hidden layers.
        gain: g.
        num_pair_features: width of f, 0 or 6.

    Shapes:
        - input: ``[B, D]``
        - output: ``[B]``
    """

    def __init__(
        self,
        in_channels: int,
        hidden: Sequence[int] = (128, 32),
        gain: float = 1.0,
        num_pair_features: int = 0,
    ) -> None:
        super().__init__()
        self.mlp = perceptron(in_channels, hidden, 1)
        self.gain = gain
        self.rule = nn.Parameter(torch.tensor(WINDOW_RULE[:num_pair_features])) if num_pair_features else None

    def forward(self, pooled: Tensor) -> Tensor:
        logit: Tensor = self.gain * self.mlp(pooled).squeeze(-1)
        if self.rule is not None:
            logit = logit + pooled[:, -len(self.rule) :] @ self.rule
        return torch.tanh(logit)


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
