"""DINOv2-S, a vision transformer for single images (Oquab et al., https://arxiv.org/abs/2304.07193)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.network_weights import PublishedNetwork
from vreloc_pyg.video.vision_transformer import WIDTH, block_state, blocks, normalised


class DINOv2(nn.Module):
    """ViT-S/14 of RGB images: 384 features, those of the token that stands for the whole image.

    Example:
        >>> DINOv2().eval().features(torch.zeros(1, 3, 224, 224)).shape
        torch.Size([1, 384])
    """

    DIM = WIDTH
    PATCH = 14
    #: Patches on a side of the 518 pixels that positions were learned for.
    SIDE = 37
    #: Added to the number of patches where positions are scaled, as the authors do.
    OFFSET = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, self.PATCH, self.PATCH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.SIDE**2, WIDTH))
        self.blocks = blocks()
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def features(self, images: Tensor) -> Tensor:
        """``[B, 384]`` of images ``[B, 3, H, W]``, normalised, sides multiples of 14."""
        maps = self.patches(images)  # [B, 384, H / 14, W / 14]
        tokens = maps.flatten(2).mT + self.positions(maps.size(2), maps.size(3))
        first = self.cls_token + self.pos_embed[:, :1]
        x = torch.cat([first.expand(len(images), -1, -1), tokens], dim=1)
        found: Tensor = self.norm(self.blocks(x)[:, 0])
        return found

    def positions(self, height: int, width: int) -> Tensor:
        """What is added to so many rows and columns of patches, ``[1, height * width, 384]``."""
        learned = self.pos_embed[:, 1:]
        if (height, width) == (self.SIDE, self.SIDE):
            return learned
        grid = learned.mT.unflatten(2, (self.SIDE, self.SIDE))
        scale = ((height + self.OFFSET) / self.SIDE, (width + self.OFFSET) / self.SIDE)
        return functional.interpolate(grid, scale_factor=scale, mode="bicubic").flatten(2).mT


class DINOv2Extractor(VideoExtractor):
    """384 features of DINOv2-S of each single frame, 5 of them a second.

    Args:
        network: with its weights.
        frame_rate: frames per second, each of which is a step.
    """

    name, dim, frames_per_step = "dinov2", DINOv2.DIM, 1

    def __init__(self, network: DINOv2, frame_rate: float = 5.0) -> None:
        super().__init__(frame_rate, 256, 224, clip_steps=8, context_steps=0, network=network)
        self.network = network.eval().requires_grad_(False)

    def _compute(self, frames: Tensor) -> Tensor:
        return self.network.features(normalised(frames.to(self.network.cls_token.device))).cpu()


def dinov2_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of :class:`DINOv2` from the authors' ``dinov2_vits14_pretrain.pth``."""
    state = block_state(published)
    state.pop("mask_token", None)  # for training alone
    return {name.replace("patch_embed.proj.", "patches."): tensor for name, tensor in state.items()}


DINOV2_NETWORK = PublishedNetwork(
    "dinov2",
    lambda _: DINOv2(),
    "",
    dinov2_state,
    "vreloc weights import-dinov2 dinov2_vits14_pretrain.pth, the file that facebookresearch/dinov2 links to "
    "(none is on PyPI)",
)
DINOV2_EXTRACTOR = ExtractorSpec(DINOv2Extractor, DINOV2_NETWORK, frame_rate=5.0)
