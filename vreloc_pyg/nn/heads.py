"""Score and regression heads on the pooled graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Initial weights of :data:`vreloc_pyg.graphs.pair_features.PAIR_FEATURES`.
WINDOW_RULE = (-0.1, 0.0, -0.025, 0.0, 0.0, 0.0)
#: Those of :data:`vreloc_pyg.graphs.pair_features.MATCH_FEATURES`.
ALIGNMENT_RULE = (-0.006, 0.0, -0.045, 0.0, 0.0, 0.0, -0.3)


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
        rule = ALIGNMENT_RULE if num_pair_features == len(ALIGNMENT_RULE) else WINDOW_RULE
        self.rule = nn.Parameter(torch.tensor(rule)) if num_pair_features else None

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


class BoundaryHead(nn.Module):
    r"""Offsets from where the proposal's own nodes place start and end, in place of :class:`RegressionHead`.

    Step t of T lies at :math:`u_t = \frac{t + 1/2}{T} (1 + 2c) - c` of the window, which reaches from 0 to 1.
    With logits :math:`z^s_t, z^e_t` of a small MLP on each node, and a prior about the window's own ends,

    .. math::
        \hat s = \sum_t (P^s_t - Q^s_t)\, u_t, \qquad
        P^s_t = \mathrm{softmax}_t(z^s_t + q^s_t), \qquad
        Q^s_t = \mathrm{softmax}_t(q^s_t), \qquad
        q^s_t = -\frac{u_t^2}{2 \sigma^2}

    and in the same way :math:`\hat e` about 1: an untrained head moves windows by next to nothing. Positions
    that are expectations are learnt by regression: Sun et al., *Integral Human Pose Regression*, ECCV 2018.

    The context c is the share of a window's length that its clip shows before and after it; the spread sigma
    is in window lengths.

    Shapes:
        - nodes: ``[B, Tp, d]``
        - mask: which steps take part, ``[B, Tp]`` bool, trailing padding only; ``None`` for all
        - output: :math:`(T_c, T_l)`, ``[B, 2]``
    """

    def __init__(self, in_channels: int, hidden: int = 64, context: float = 0.0, spread: float = 0.2) -> None:
        super().__init__()
        last = nn.Linear(hidden, 2)
        nn.init.normal_(last.weight, std=1e-3)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(nn.Linear(in_channels, hidden), nn.Tanh(), last)
        self.context = context
        self.spread = spread

    def forward(self, nodes: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            mask = nodes.new_ones(nodes.shape[:2], dtype=torch.bool)
        share = (torch.arange(nodes.size(1), device=nodes.device) + 0.5) / mask.sum(1, keepdim=True)
        place = (share * (1 + 2 * self.context) - self.context).unsqueeze(-1)  # [B, Tp, 1]
        ends = torch.tensor([0.0, 1.0], device=nodes.device)
        prior = -((place - ends) ** 2) / (2 * self.spread**2)  # [B, Tp, 2]
        prior = prior.masked_fill(~mask.unsqueeze(-1), -torch.inf)
        found = torch.softmax(self.mlp(nodes) + prior, dim=1) - torch.softmax(prior, dim=1)
        start, end = (found * place).sum(1).unbind(-1)  # [B] each, from the window's own
        length = (1 + end - start).clamp(min=0.1)
        return torch.stack([-(start + end) / (2 * length), -torch.log(length)], dim=-1)
