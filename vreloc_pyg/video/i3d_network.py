"""Inflated 3D Inception-v1 (Carreira and Zisserman, https://arxiv.org/abs/1705.07750)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Channels of every mixed layer: 1x1; reduction and 3x3; reduction and 3x3; behind the pool.
MIXED = {
    "mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a dimension in TensorFlow's SAME padding.

    Example:
        >>> same_padding(224, kernel=7, stride=2)
        (2, 3)
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Zeros around ``[B, C, T, H, W]`` as TensorFlow's SAME padding puts them."""
    sizes = list(zip(x.shape[2:], kernel, stride, strict=True))
    pads = [amount for size in reversed(sizes) for amount in same_padding(*size)]
    return functional.pad(x, pads) if any(pads) else x


class ConvUnit(nn.Module):
    """Convolution of one extent and stride in time, height and width, with SAME padding, and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        # With stride 1 and an odd kernel SAME padding is symmetric, and the convolution adds it itself.
        inner = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, stride, padding=inner, bias=False)
        self.norm: nn.Module = nn.BatchNorm3d(out_channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, C', T', H', W']``."""
        if self.stride != (1, 1, 1):
            x = pad_same(x, self.kernel, self.stride)
        return self.convolve(x)

    def convolve(self, padded: Tensor) -> Tensor:
        """As :meth:`forward`, of an input that has its padding where the stride is not 1."""
        return functional.relu_(self.norm(self.conv(padded)))

    def fold(self) -> None:
        """Multiply the normalization into the convolution: the same numbers in one step."""
        if isinstance(self.norm, nn.BatchNorm3d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class SamePool(nn.Module):
    """Maximum with SAME padding; its inputs are not negative, so zeros change nothing."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, C, T', H', W']``."""
        if self.stride == (1, 1, 1):
            return functional.max_pool3d(x, self.kernel, 1, padding=tuple(k // 2 for k in self.kernel))
        sizes = zip(x.shape[2:], self.kernel, self.stride, strict=True)
        if any(before for before, _ in (same_padding(*size) for size in sizes)):
            x = pad_same(x, self.kernel, self.stride)
        # Windows that end behind the input stand for zeros there, without a padded copy.
        return functional.max_pool3d(x, self.kernel, self.stride, ceil_mode=True)


class Mixed(nn.Module):
    """Four parallel branches, their channels side by side."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        width, single, reduce_1, wide_1, reduce_2, wide_2, pooled = channels
        self.branch_0 = ConvUnit(width, single)
        self.branch_1 = nn.Sequential(ConvUnit(width, reduce_1), ConvUnit(reduce_1, wide_1, 3))
        self.branch_2 = nn.Sequential(ConvUnit(width, reduce_2), ConvUnit(reduce_2, wide_2, 3))
        self.branch_3 = nn.Sequential(SamePool((3, 3, 3), (1, 1, 1)), ConvUnit(width, pooled))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` to ``[B, C', T, H, W]``."""
        return torch.cat([self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], dim=1)


class I3D(nn.Module):
    """I3D of RGB frames: clips to 1024 features per 8 frames, and to scores of classes.

    Example:
        >>> network = I3D().eval()
        >>> network.features(torch.zeros(1, 3, 16, 64, 64)).shape
        torch.Size([1, 2, 1024])
    """

    DIM = 1024
    FRAMES_PER_STEP = 8
    #: The layers up to conv_2b.
    STEM = 3
    #: Frames of the first layer's output.
    FRAMES_AT_ONCE = 8

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        spatial, halving = ((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2))
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv_1a=ConvUnit(3, 64, 7, 2),
            pool_2a=SamePool(*spatial),
            conv_2b=ConvUnit(64, 64),
            conv_2c=ConvUnit(64, 192, 3),
            pool_3a=SamePool(*spatial),
        )
        for name, channels in MIXED.items():
            if name == "mixed_4b":
                layers["pool_4a"] = SamePool(*halving)
            if name == "mixed_5b":
                layers["pool_5a"] = SamePool((2, 2, 2), (2, 2, 2))
            layers[name] = Mixed(channels)
        self.trunk = nn.Sequential(layers)
        self.classifier = nn.Conv3d(self.DIM, num_classes, 1)

    def features(self, clips: Tensor) -> Tensor:
        """``[B, 3, N, H, W]`` in [-1, 1] to ``[B, ceil(N / 8), 1024]``, averaged over the picture."""
        return self.maps(clips).mean(dim=(3, 4)).transpose(1, 2)

    def maps(self, clips: Tensor) -> Tensor:
        """``[B, 3, N, H, W]`` to ``[B, 1024, ceil(N / 8), ceil(H / 32), ceil(W / 32)]``.

        The first layers make the largest tensors, and only the first looks across time: they are computed a
        few frames at a time.
        """
        first = self.trunk[0]
        assert isinstance(first, ConvUnit)
        padded = pad_same(clips, first.kernel, first.stride)
        kernel, stride = first.kernel[0], first.stride[0]
        parts = []
        for start in range(0, padded.size(2) - kernel + 1, self.FRAMES_AT_ONCE * stride):
            x = first.convolve(padded[:, :, start : start + (self.FRAMES_AT_ONCE - 1) * stride + kernel])
            parts.append(self.trunk[1 : self.STEM](x))
        maps: Tensor = self.trunk[self.STEM :](torch.cat(parts, dim=2))
        return maps

    def forward(self, clips: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of clips ``[B, 3, N, H, W]``, N at least 9, sides from 193 to 224."""
        pooled = functional.avg_pool3d(self.maps(clips), (2, 7, 7), stride=1)
        return self.classifier(pooled).mean(dim=(2, 3, 4))

    def fold(self) -> I3D:
        """Multiply every normalization into its convolution, for inference; returns itself."""
        for module in self.modules():
            if isinstance(module, ConvUnit):
                module.fold()
        return self
