"""The blocks of a vision transformer (Dosovitskiy et al., https://arxiv.org/abs/2010.11929)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Of the small transformer (ViT-S): channels, heads and blocks.
WIDTH, HEADS, DEPTH = 384, 6, 12

#: Mean and deviation of ImageNet's channels, red first, of values in [0, 1].
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Attention, then a map of each token by itself, both added to what they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``[B, N, 384]`` to as many."""
        parts = self.qkv(self.norm1(x)).unflatten(2, (3, HEADS, -1))  # [B, N, 3, heads, width of a head]
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)  # [B, heads, N, width of a head]
        x = x + self.proj(seen.transpose(1, 2).flatten(2))
        out: Tensor = x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        return out


def blocks() -> nn.Sequential:
    """The blocks of ViT-S, their weights at random."""
    return nn.Sequential(*(Block() for _ in range(DEPTH)))


def block_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state with this module's names of one with the names of timm, DINOv2 and VideoMAE; others stay.

    What they scale a block's two additions with (``ls1.gamma``, ``gamma_1``) is multiplied into the linear
    map before it, and VideoMAE's ``q_bias`` and ``v_bias``, with zeros for the keys, become ``qkv.bias``.
    """
    state = {
        name.replace(".attn.", ".").replace(".mlp.", "."): torch.as_tensor(value).float()
        for name, value in published.items()
    }
    for name in [name for name in state if name.endswith(".q_bias")]:
        query, value = state.pop(name), state.pop(name.replace("q_bias", "v_bias"), None)
        if value is None:
            raise ValueError(f"{name} comes without a bias of the values")
        state[name.replace("q_bias", "qkv.bias")] = torch.cat([query, torch.zeros_like(value), value])
    for gamma, scaled in (
        ("ls1.gamma", "proj"),
        ("ls2.gamma", "fc2"),
        ("gamma_1", "proj"),
        ("gamma_2", "fc2"),
    ):
        for name in [name for name in state if name.endswith(f".{gamma}")]:
            scale, layer = state.pop(name), name.removesuffix(gamma) + scaled
            for part in (f"{layer}.weight", f"{layer}.bias"):
                if part in state:
                    state[part] = (
                        (scale * state[part].mT).mT if part.endswith("weight") else scale * state[part]
                    )
    return {name: tensor.contiguous() for name, tensor in state.items()}


def normalised(frames: Tensor) -> Tensor:
    """``[N, 3, H, W]`` float32 by ImageNet's mean and deviation, of uint8 RGB frames ``[N, H, W, 3]``."""
    mean, std = (frames.new_tensor(one, dtype=torch.float32) for one in (IMAGENET_MEAN, IMAGENET_STD))
    return ((frames.float() / 255 - mean) / std).permute(0, 3, 1, 2)
