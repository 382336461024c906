"""VideoMAE-S, a vision transformer for clips (Tong et al., https://arxiv.org/abs/2203.12602)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.network_weights import PublishedNetwork
from vreloc_pyg.video.vision_transformer import WIDTH, block_state, blocks, normalised


def sine_positions(number: int, width: int) -> Tensor:
    """Positions as sines and cosines of falling frequency, ``[number, width]``.

    Vaswani et al., https://arxiv.org/abs/1706.03762, section 3.5.
    """
    slower = 10000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(number, dtype=torch.float64)[:, None] / slower
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).float()


class VideoMAE(nn.Module):
    """ViT-S of clips of 16 RGB frames of 224 x 224, as trained for classes: 384 features, and scores.

    Example:
        >>> VideoMAE().eval().features(torch.zeros(1, 3, 16, 224, 224)).shape
        torch.Size([1, 8, 384])
    """

    DIM = WIDTH
    FRAMES, SIZE = 16, 224
    #: Frames and pixels of a token.
    TUBE, PATCH = 2, 16

    positions: Tensor

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        extent = (self.TUBE, self.PATCH, self.PATCH)
        self.patches = nn.Conv3d(3, WIDTH, extent, extent)
        tokens = (self.FRAMES // self.TUBE) * (self.SIZE // self.PATCH) ** 2
        self.register_buffer("positions", sine_positions(tokens, WIDTH), persistent=False)
        self.blocks = blocks()
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.classifier = nn.Linear(WIDTH, num_classes)

    def tokens(self, clips: Tensor) -> Tensor:
        """``[B, 8 * 196, 384]`` of clips ``[B, 3, 16, 224, 224]``, normalised; time changes slowest."""
        found: Tensor = self.blocks(self.patches(clips).flatten(2).mT + self.positions)
        return found

    def features(self, clips: Tensor) -> Tensor:
        """``[B, 8, 384]``, of every two frames, averaged over the picture."""
        averaged = self.tokens(clips).unflatten(1, (self.FRAMES // self.TUBE, -1)).mean(2)
        found: Tensor = self.norm(averaged)
        return found

    def forward(self, clips: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of clips ``[B, 3, 16, 224, 224]``, normalised."""
        scores: Tensor = self.classifier(self.norm(self.tokens(clips).mean(1)))
        return scores


class VideoMAEExtractor(VideoExtractor):
    """384 features of VideoMAE-S every 4 frames, of the middle half of clips of 16.

    Args:
        network: with its weights.
        frame_rate: frames per second; the network was trained on every fourth frame of Kinetics' videos.
    """

    name, dim, frames_per_step = "videomae", VideoMAE.DIM, 4

    def __init__(self, network: VideoMAE, frame_rate: float = 6.25) -> None:
        super().__init__(frame_rate, 256, 224, clip_steps=2, context_steps=1, network=network)
        self.network = network.eval().requires_grad_(False)

    def _compute(self, frames: Tensor) -> Tensor:
        length = len(frames)
        if length < VideoMAE.FRAMES:  # the end of a video: its last frame stands still
            frames = torch.cat([frames, frames[-1:].expand(VideoMAE.FRAMES - length, -1, -1, -1)])
        clip = normalised(frames.to(self.network.classifier.weight.device)).transpose(0, 1)[None]
        found = self.network.features(clip)[0]  # [8, 384]
        steps = found.unflatten(0, (-1, self.frames_per_step // VideoMAE.TUBE)).mean(1)
        return steps[: length // self.frames_per_step].cpu()


def videomae_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of :class:`VideoMAE` from the authors' ViT-S, trained for the classes of a data set.

    What was trained by hidden patches alone, with the names ``encoder.*`` and ``decoder.*``, has no
    ``fc_norm`` and no classes, and does not fit.
    """
    state = {}
    for name, tensor in block_state(published).items():
        for theirs, ours in (
            ("patch_embed.proj.", "patches."),
            ("fc_norm.", "norm."),
            ("head.", "classifier."),
        ):
            if name.startswith(theirs):
                name = ours + name.removeprefix(theirs)
        state[name] = tensor
    return state


VIDEOMAE_NETWORK = PublishedNetwork(
    "videomae",
    VideoMAE,
    "classifier.bias",
    videomae_state,
    "vreloc weights import-videomae checkpoint.pth, a fine-tuned ViT-S of MCG-NJU/VideoMAE (none is on PyPI)",
)
VIDEOMAE_EXTRACTOR = ExtractorSpec(VideoMAEExtractor, VIDEOMAE_NETWORK, frame_rate=6.25)
