"""X3D-S, a small network for clips (Feichtenhofer, https://arxiv.org/abs/2004.04730)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.network_weights import PublishedNetwork, renamed

#: Of each stage: channels, channels inside its blocks, channels that a block's gate is computed with, blocks.
STAGES = ((24, 54, 8, 3), (48, 108, 8, 5), (96, 216, 16, 11), (192, 432, 32, 7))


class Gate(nn.Module):
    """Squeeze and excitation: channels are weighed by what the whole clip shows."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv3d(channels, inside, 1)
        self.excite = nn.Conv3d(inside, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to the same shape."""
        whole = x.mean(dim=(2, 3, 4), keepdim=True)
        return x * self.excite(functional.relu(self.squeeze(whole))).sigmoid()


class Block(nn.Module):
    """Wider, convolved channel by channel, gated in every other block, narrow again, added to its input."""

    def __init__(self, width: int, channels: int, inside: int, gate: int | None, stride: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv3d(width, inside, 1, bias=False)
        self.norm_a = nn.BatchNorm3d(inside)
        step = (1, stride, stride)
        self.conv_b = nn.Conv3d(inside, inside, 3, step, padding=1, groups=inside, bias=False)
        self.norm_b = nn.BatchNorm3d(inside)
        self.gate = nn.Identity() if gate is None else Gate(inside, gate)
        self.conv_c = nn.Conv3d(inside, channels, 1, bias=False)
        self.norm_c = nn.BatchNorm3d(channels)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv3d(width, channels, 1, step, bias=False)
        self.shortcut_norm = nn.Identity() if width == channels else nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, C', T, ceil(H / stride), ceil(W / stride)]``."""
        inside = functional.relu_(self.norm_a(self.conv_a(x)))
        inside = functional.silu(self.gate(self.norm_b(self.conv_b(inside))))
        return functional.relu_(self.norm_c(self.conv_c(inside)) + self.shortcut_norm(self.shortcut(x)))


class X3D(nn.Module):
    """X3D-S: clips of 13 RGB frames of 160 x 160 to 2048 features and to scores of classes.

    Example:
        >>> X3D().eval().features(torch.zeros(1, 3, 13, 160, 160)).shape
        torch.Size([1, 2048])
    """

    DIM = 2048
    FRAMES, SIZE = 13, 160

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        width = STAGES[0][0]
        self.stem = nn.Sequential(
            nn.Conv3d(3, width, (1, 3, 3), (1, 2, 2), padding=(0, 1, 1), bias=False),
            nn.Conv3d(width, width, (5, 1, 1), padding=(2, 0, 0), groups=width, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential()
        for channels, inside, gate, repeats in STAGES:
            stage = nn.Sequential()
            for number in range(repeats):
                gated = gate if number % 2 == 0 else None
                stage.append(Block(width, channels, inside, gated, 1 if number else 2))
                width = channels
            self.stages.append(stage)
        self.conv_5 = nn.Conv3d(width, inside, 1, bias=False)
        self.norm_5 = nn.BatchNorm3d(inside)
        self.project = nn.Conv3d(inside, self.DIM, 1, bias=False)
        self.classifier = nn.Linear(self.DIM, num_classes)

    def features(self, clips: Tensor) -> Tensor:
        """``[B, 2048]`` of clips ``[B, 3, 13, 160, 160]``, scaled to mean 0.45 and deviation 0.225."""
        maps = functional.relu_(self.norm_5(self.conv_5(self.stages(self.stem(clips)))))
        pooled = maps.mean(dim=(2, 3, 4), keepdim=True)
        return functional.relu_(self.project(pooled)).flatten(1)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of clips ``[B, 3, 13, 160, 160]``."""
        scores: Tensor = self.classifier(self.features(clips))
        return scores


class X3DExtractor(VideoExtractor):
    """2048 features of X3D-S every 3 frames, each of the 13 frames around them.

    Args:
        network: with its weights.
        frame_rate: frames per second; the network was trained on every sixth frame of 30 a second.
    """

    name, dim, frames_per_step = "x3d", X3D.DIM, 3

    def __init__(self, network: X3D, frame_rate: float = 5.0) -> None:
        super().__init__(frame_rate, 182, X3D.SIZE, clip_steps=4, context_steps=2, network=network)
        self.network = network.eval().requires_grad_(False)

    def _compute(self, frames: Tensor) -> Tensor:
        device = self.network.classifier.weight.device
        video = frames.to(device).permute(3, 0, 1, 2).float().div_(255).sub_(0.45).div_(0.225)
        steps = len(frames) // self.frames_per_step
        found = torch.zeros(steps, self.dim)  # those of the context are seen by others, and not computed
        for step in range(self.context_steps, steps - self.context_steps):
            first = step * self.frames_per_step + self.frames_per_step // 2 - X3D.FRAMES // 2
            found[step] = self.network.features(video[None, :, first : first + X3D.FRAMES])[0].cpu()
        return found


#: Layers of the published layout, and ours.
PARTS = [
    (r"^blocks\.0\.conv\.conv_t\.", "stem.0."),  # so called there, though it looks at height and width
    (r"^blocks\.0\.conv\.conv_xy\.", "stem.1."),
    (r"^blocks\.0\.norm\.", "stem.2."),
    (r"^blocks\.5\.pool\.pre_conv\.", "conv_5."),
    (r"^blocks\.5\.pool\.pre_norm\.", "norm_5."),
    (r"^blocks\.5\.pool\.post_conv\.", "project."),
    (r"^blocks\.5\.proj\.", "classifier."),
    (r"\.branch1_conv\.", ".shortcut."),
    (r"\.branch1_norm\.", ".shortcut_norm."),
    (r"\.branch2\.", "."),
    (r"\.norm_b\.0\.", ".norm_b."),
    (r"\.norm_b\.1\.block\.0\.", ".gate.squeeze."),
    (r"\.norm_b\.1\.block\.2\.", ".gate.excite."),
]


def x3d_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of :class:`X3D` from PyTorchVideo's ``X3D_S.pyth``."""
    state = {}
    for name, value in published.items():
        if name.endswith("num_batches_tracked"):
            continue
        name = renamed(name, PARTS)
        stage = re.match(r"blocks\.([1-4])\.res_blocks\.(.*)", name)
        if stage:
            name = f"stages.{int(stage[1]) - 1}.{stage[2]}"
        state[name] = torch.as_tensor(value).float().contiguous()
    return state


X3D_NETWORK = PublishedNetwork(
    "x3d",
    X3D,
    "classifier.bias",
    x3d_state,
    "vreloc weights import-x3d X3D_S.pyth, the file that PyTorchVideo's model zoo links to (none is on PyPI)",
)
X3D_EXTRACTOR = ExtractorSpec(X3DExtractor, X3D_NETWORK, frame_rate=5.0)
