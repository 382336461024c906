"""The two halves of AFT+SRM: a tensor of how two clips compare, and convolutions over it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AttentionFusion(nn.Module):
    r"""A tensor of how the steps of two clips compare (AFT).

    .. math::
        S &= \frac{H_q W H_p^\top}{\sqrt d}, \qquad
        A = \mathrm{softmax}_j(S) + \mathrm{softmax}_i(S) \\
        \mathrm{AFT}_{ij} &= P\,[A_{ij}\, h_{q,i} \odot h_{p,j};\; |h_{q,i} - h_{p,j}|;\;
        \cos(h_{q,i}, h_{p,j})] + b

    Padded steps get no attention, and their entries of the tensor are zero. ``channels`` are d,
    ``out_channels`` C.

    Shapes:
        - input: queries ``[B, T, d]`` or ``[1, T, d]`` for one query of all, proposals ``[B, T', d]``, and
          which of their steps exist, ``[B, T]`` or ``[1, T]`` and ``[B, T']``
        - output: ``[B, C, T, T']``
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.similarity = nn.Linear(channels, channels, bias=False)
        self.of_product = nn.Linear(channels, out_channels, bias=False)
        self.of_difference = nn.Linear(channels, out_channels)
        self.of_cosine = nn.Linear(1, out_channels, bias=False)

    def forward(
        self, queries: Tensor, proposals: Tensor, query_mask: Tensor, proposal_mask: Tensor
    ) -> Tensor:
        both = query_mask[:, :, None] & proposal_mask[:, None, :]  # [B, T, T']
        attention = self.attention(queries, proposals, both)
        pairs = queries[:, :, None], proposals[:, None]  # [B, T, 1, d] and [B, 1, T', d]
        cosine = F.normalize(queries, dim=2) @ F.normalize(proposals, dim=2).transpose(1, 2)  # [B, T, T']
        fused = (
            attention.unsqueeze(3) * self.of_product(pairs[0] * pairs[1])
            + self.of_difference((pairs[0] - pairs[1]).abs())
            + self.of_cosine(cosine.unsqueeze(3))
        )  # [B, T, T', C]
        return torch.where(both.unsqueeze(3), fused, 0.0).permute(0, 3, 1, 2)

    def attention(self, queries: Tensor, proposals: Tensor, both: Tensor) -> Tensor:
        """The sum of both directions' softmax, A, ``[B, T, T']``; ``both`` says which pairs exist."""
        raw = self.similarity(queries) @ proposals.transpose(1, 2) / queries.size(2) ** 0.5
        raw = raw.masked_fill(~both, torch.finfo(raw.dtype).min)
        return (torch.softmax(raw, dim=2) + torch.softmax(raw, dim=1)) * both


def relevance_blocks(in_channels: int, channels: Sequence[int]) -> nn.Sequential:
    """Blocks of 3x3 convolution, batch norm, ReLU and 2x2 max-pooling, then the global mean (SRM)."""
    layers: list[nn.Module] = []
    for width in channels:
        layers += [
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        in_channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
