"""Self-attention over the steps of several clips at once."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoids(num_steps: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sinusoidal positions (Vaswani et al., NeurIPS 2017), ``[num_steps, width]``; ``width`` is even."""
    steps = torch.arange(num_steps, device=device, dtype=torch.float32).unsqueeze(1)
    rates = torch.exp(-math.log(10_000) * torch.arange(0, width, 2, device=device) / width)
    return torch.stack([torch.sin(steps * rates), torch.cos(steps * rates)], dim=2).flatten(1)


class JointLayer(nn.Module):
    r"""A pre-norm transformer layer.

    .. math::
        Y = Z + \mathrm{Attention}(\mathrm{LN}(Z)), \qquad Z' = Y + \mathrm{MLP}(\mathrm{LN}(Y))

    Attention weights are not dropped: the fused kernel then keeps no ``[T, T]`` matrix. Of each branch's
    output, ``dropout`` is the share dropped in training.

    Shapes:
        - input: ``[B, T, d]``, and which steps exist, ``[B, T]`` bool
        - output: ``[B, T, d]``
    """

    def __init__(self, channels: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(channels)
        self.inputs = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * channels, channels),
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        batch, num_steps, channels = steps.shape
        split = self.inputs(self.attention_norm(steps)).view(batch, num_steps, 3, self.num_heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # [B, H, T, d / H] each
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        mixed = mixed.transpose(1, 2).reshape(batch, num_steps, channels)  # [B, T, d]
        steps = steps + self.dropout(self.output(mixed))
        refined: Tensor = steps + self.mlp(steps)
        return refined
