"""C3D (Tran et al., https://arxiv.org/abs/1412.0767), as trained on Sports-1M."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.network_weights import PublishedNetwork

#: Output channels of the convolutions; a pool follows where the name is in ``POOLED``.
CONVOLUTIONS = {
    "conv1": 64,
    "conv2": 128,
    "conv3a": 256,
    "conv3b": 256,
    "conv4a": 512,
    "conv4b": 512,
    "conv5a": 512,
    "conv5b": 512,
}
POOLED = ("conv1", "conv2", "conv3b", "conv4b", "conv5b")


class C3D(nn.Module):
    """C3D: clips of 16 RGB frames of 112 x 112 to 4096 features and to scores of classes, 487 sports.

    Example:
        >>> sum(parameter.numel() for parameter in C3D(487).parameters())
        79991015
    """

    DIM = 4096
    FRAMES_PER_STEP = 16
    #: Mean of Sports-1M by channel, red first; Caffe's mean cube, where one has it, replaces it.
    MEAN = (128.0, 117.0, 104.0)

    mean: Tensor

    def __init__(self, num_classes: int = 487) -> None:
        super().__init__()
        width = 3
        for name, channels in CONVOLUTIONS.items():
            self.add_module(name, nn.Conv3d(width, channels, 3, padding=1))
            width = channels
        self.fc6 = nn.Linear(8192, self.DIM)
        self.fc7 = nn.Linear(self.DIM, self.DIM)
        self.fc8 = nn.Linear(self.DIM, num_classes)
        self.register_buffer("mean", torch.tensor(self.MEAN).view(3, 1, 1, 1), persistent=False)

    def features(self, clips: Tensor, layer: str = "fc7") -> Tensor:
        """``fc6`` or ``fc7`` after its ReLU, ``[B, 4096]``, of clips ``[B, 3, 16, 112, 112]`` in [0, 255]."""
        x = clips - self.mean
        for name in CONVOLUTIONS:
            x = functional.relu_(self.get_submodule(name)(x))
            if name in POOLED:
                time = 1 if name == "conv1" else 2
                last = (0, 1, 1) if name == "conv5b" else 0
                x = functional.max_pool3d(x, (time, 2, 2), (time, 2, 2), padding=last)
        x = functional.relu_(self.fc6(x.flatten(1)))
        return x if layer == "fc6" else functional.relu_(self.fc7(x))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of clips ``[B, 3, 16, 112, 112]`` in [0, 255]."""
        scores: Tensor = self.fc8(self.features(clips))
        return scores


class C3DExtractor(VideoExtractor):
    """4096 features of C3D every 16 frames.

    Args:
        network: with its weights.
        frame_rate: frames per second.
        layer: ``"fc6"`` or ``"fc7"``, after its ReLU.
    """

    dim, frames_per_step = C3D.DIM, C3D.FRAMES_PER_STEP

    def __init__(self, network: C3D, frame_rate: float = 25.0, layer: Literal["fc6", "fc7"] = "fc6") -> None:
        super().__init__(frame_rate, 128, 112, clip_steps=4, context_steps=0, network=network)
        if layer not in ("fc6", "fc7"):
            raise SettingsError(f"Expected layer to be fc6 or fc7 (got {layer!r})")
        self.name, self.layer = "c3d" if layer == "fc6" else "c3d-fc7", layer
        self.network = network.eval().requires_grad_(False)

    def _compute(self, frames: Tensor) -> Tensor:
        clips = frames.to(self.network.fc6.weight.device).float().unflatten(0, (-1, self.frames_per_step))
        return self.network.features(clips.permute(0, 4, 1, 2, 3), self.layer).cpu()


#: Places of layers in state dicts that number them.
NUMBERED = dict(zip((0, 3, 6, 8, 11, 13, 16, 18), CONVOLUTIONS, strict=True))


def c3d_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of :class:`C3D` from a published one.

    Known layouts: ``conv1.weight`` (converted from Caffe, also with its own names ``conv1a`` and ``fc6-1``),
    ``backbone.conv1a.conv.weight`` (OpenMMLab) and ``features.0.weight`` with ``classifier.0.weight``. Where
    ``fc8`` is absent it is zero: features do not need it.
    """
    state: dict[str, Tensor] = {}
    for name, value in published.items():
        state[_own_name(name)] = torch.as_tensor(value).float().contiguous()
    if not any(name.startswith("fc8.") for name in state):
        state |= {"fc8.weight": torch.zeros(487, C3D.DIM), "fc8.bias": torch.zeros(487)}
    return state


def _own_name(name: str) -> str:
    name = re.sub(r"^(module|backbone|base_model)\.", "", name)
    name = re.sub(r"^(cls_head\.fc_cls|fc8-\w+|fc_8)\.", "fc8.", name)
    name = re.sub(r"^(fc[67])-\w+\.", r"\1.", name)
    name = re.sub(r"^(conv[12])a\b", r"\1", name)
    name = re.sub(r"^(conv\d[ab]?)\.conv\.", r"\1.", name)
    numbered = re.match(r"features\.(\d+)\.(\w+)$", name)
    if numbered and int(numbered[1]) in NUMBERED:
        return f"{NUMBERED[int(numbered[1])]}.{numbered[2]}"
    dense = re.match(r"classifier\.(\d+)\.(\w+)$", name)
    if dense and dense[1] in ("0", "3", "6"):
        return f"fc{6 + int(dense[1]) // 3}.{dense[2]}"
    return name


C3D_NETWORK = PublishedNetwork(
    "c3d",
    C3D,
    "fc8.bias",
    c3d_state,
    "vreloc weights import-c3d PATH, with a Sports-1M state dict for PyTorch (none is on PyPI)",
)
C3D_EXTRACTOR = ExtractorSpec(C3DExtractor, C3D_NETWORK)
C3D_FC7_EXTRACTOR = ExtractorSpec(partial(C3DExtractor, layer="fc7"), C3D_NETWORK)
