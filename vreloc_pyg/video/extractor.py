"""Networks that turn frames into features, clip by clip, with bounded memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.sequences.pose import Skeleton, fill_missing, normalize_pose, pose_features
from vreloc_pyg.video.c3d import C3D
from vreloc_pyg.video.decoding import Frame, FrameGrid
from vreloc_pyg.video.i3d import I3D
from vreloc_pyg.video.weights import load_network

Precision = Literal["auto", "float32", "bfloat16"]


class Extractor(Protocol):
    """Frames to features at a steady pace."""

    @property
    def name(self) -> str:
        """Of the network."""

    @property
    def dim(self) -> int:
        """F, numbers a step."""

    @property
    def frames_per_step(self) -> int:
        """Frames from one step to the next."""

    @property
    def frame_rate(self) -> float:
        """Frames per second that it is to be shown."""

    def __call__(self, frames: Tensor) -> Tensor:
        """Features ``[steps, dim]`` float32 of frames ``[N, ...]``; steps is N / frames_per_step, rounded."""


class VideoExtractor(ABC):
    """A network over clips of video; :meth:`stream` holds one clip at a time.

    Where frames before or after a clip matter to it, the clip is computed with ``context_steps`` of them on
    either side; at the ends of a video its first and last frame stand still.

    Args:
        frame_rate: frames per second.
        shorter_side: pixels that the shorter side of frames is brought to.
        crop: pixels of the square cut from their middle.
        clip_steps: steps computed at once.
        context_steps: further steps seen on either side of a clip.
        weights: digest of the network's weights.
    """

    name: str
    dim: int
    frames_per_step: int

    def __init__(
        self,
        frame_rate: float,
        shorter_side: int,
        crop: int,
        clip_steps: int,
        context_steps: int,
        weights: str,
    ) -> None:
        if not 0 < frame_rate < float("inf") or clip_steps < 1 or context_steps < 0:
            raise SettingsError(
                "Expected frame_rate > 0, clip_steps >= 1 and context_steps >= 0 "
                f"(got {frame_rate}, {clip_steps}, {context_steps})"
            )
        self.grid = FrameGrid(frame_rate, shorter_side, crop)
        self.clip_steps, self.context_steps = clip_steps, context_steps
        self.weights = weights

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.grid.rate

    @property
    def seconds_per_step(self) -> float:
        """Duration of a step in seconds."""
        return self.frames_per_step / self.grid.rate

    @property
    def metadata(self) -> FeatureMetadata:
        """What its features are made with."""
        return FeatureMetadata(
            self.name,
            self.dim,
            float(self.frames_per_step),
            self.grid.rate,
            package_version=version("vreloc_pyg"),
            weights=self.weights,
        )

    @abstractmethod
    def fingerprint(self) -> str:
        """Everything that decides the features of given frames, as text."""

    @abstractmethod
    def _compute(self, frames: Tensor) -> Tensor:
        """Features ``[N / frames_per_step, dim]`` of uint8 frames ``[N, crop, crop, 3]``."""

    def __call__(self, frames: Tensor) -> Tensor:
        """Features ``[steps, dim]`` of RGB frames ``[N, crop, crop, 3]`` uint8."""
        shape = (self.grid.crop, self.grid.crop, 3)
        if frames.dim() != 4 or frames.shape[1:] != shape or frames.dtype != torch.uint8 or len(frames) == 0:
            raise FeatureError(
                f"Expected frames as [N, {', '.join(map(str, shape))}] uint8 "
                f"(got {tuple(frames.shape)} {frames.dtype})"
            )
        return torch.cat(list(self.stream(iter(frames.numpy()))))

    @torch.inference_mode()
    def stream(self, frames: Iterable[Frame]) -> Iterator[Tensor]:
        """Features ``[<= clip_steps, dim]`` float32 of one clip after the other."""
        step, core = self.frames_per_step, self.clip_steps * self.frames_per_step
        context = self.context_steps * step
        window: list[Frame] = []
        seen = done = 0
        for frame in frames:
            if not seen:
                window = [frame] * context
            seen += 1
            window.append(frame)
            if len(window) == core + 2 * context:
                yield self._clip(window, self.clip_steps)
                done += self.clip_steps
                del window[:core]
        if not seen:
            raise FeatureError("Expected at least one frame (got none)")
        left = max(1, int(seen / step + 0.5)) - done
        while left > 0:
            steps = min(left, self.clip_steps)
            length = steps * step + 2 * context
            window += [window[-1]] * (length - len(window))
            yield self._clip(window[:length], steps)
            left -= steps
            del window[: steps * step]

    def _clip(self, window: list[Frame], steps: int) -> Tensor:
        features = self._compute(torch.from_numpy(np.stack(window)))
        return features[self.context_steps : self.context_steps + steps].float().contiguous()


class I3DExtractor(VideoExtractor):
    """1024 features of I3D every 8 frames.

    Args:
        network: with its weights; it is changed into its fastest form, and must not be used elsewhere.
        frame_rate: frames per second; the network was trained on 25.
        precision: of the convolutions; ``"auto"`` takes bfloat16 where the processor multiplies it.
        clip_steps, context_steps: see :class:`VideoExtractor`.
        weights: digest of the weights; computed where it is not given.
    """

    name, dim, frames_per_step = "i3d", I3D.DIM, I3D.FRAMES_PER_STEP

    def __init__(
        self,
        network: I3D,
        frame_rate: float = 25.0,
        precision: Precision = "auto",
        clip_steps: int = 12,
        context_steps: int = 2,
        weights: str | None = None,
    ) -> None:
        super().__init__(frame_rate, 256, 224, clip_steps, context_steps, weights or _digest(network))
        self.precision = choose_precision(precision)
        self.dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.network = network.eval().requires_grad_(False).fold()
        self.network.to(self.dtype)
        for parameter in self.network.parameters():
            if parameter.dim() == 5:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)

    def fingerprint(self) -> str:
        about = (self.weights, self.grid, self.precision, self.clip_steps, self.context_steps)
        return f"i3d {about}"

    def _compute(self, frames: Tensor) -> Tensor:
        device = self.network.classifier.weight.device
        clip = frames.to(device).permute(3, 0, 1, 2)[None]  # channels last already
        return self.network.features(clip.to(self.dtype).div_(127.5).sub_(1))[0].cpu()


class C3DExtractor(VideoExtractor):
    """4096 features of C3D every 16 frames.

    Args:
        network: with its weights.
        frame_rate: frames per second.
        layer: ``"fc6"`` or ``"fc7"``, after its ReLU.
        clip_steps: clips of 16 frames computed at once.
        weights: digest of the weights; computed where it is not given.
    """

    dim, frames_per_step = C3D.DIM, C3D.FRAMES_PER_STEP

    def __init__(
        self,
        network: C3D,
        frame_rate: float = 25.0,
        layer: Literal["fc6", "fc7"] = "fc6",
        clip_steps: int = 4,
        weights: str | None = None,
    ) -> None:
        super().__init__(frame_rate, 128, 112, clip_steps, 0, weights or _digest(network))
        if layer not in ("fc6", "fc7"):
            raise SettingsError(f"Expected layer to be fc6 or fc7 (got {layer!r})")
        self.name, self.layer = "c3d" if layer == "fc6" else "c3d-fc7", layer
        self.network = network.eval().requires_grad_(False)

    def fingerprint(self) -> str:
        return f"{self.name} {(self.weights, self.grid)}"

    def _compute(self, frames: Tensor) -> Tensor:
        clips = frames.to(self.network.fc6.weight.device).float().unflatten(0, (-1, self.frames_per_step))
        return self.network.features(clips.permute(0, 4, 1, 2, 3), self.layer).cpu()


class PoseExtractor:
    """The pose features of the two benchmarks, from arrays of joints.

    Args:
        skeleton: which joints there are.
        frame_rate: frames per second of the joints.
        frames_per_step: every so many frames are kept.
    """

    def __init__(self, skeleton: Skeleton, frame_rate: float, frames_per_step: int = 2) -> None:
        if not 0 < frame_rate < float("inf") or frames_per_step < 1:
            raise SettingsError(
                f"Expected frame_rate > 0 and frames_per_step >= 1 (got {frame_rate}, {frames_per_step})"
            )
        self.skeleton, self.frame_rate, self.frames_per_step = skeleton, frame_rate, frames_per_step
        self.name = "pose"

    @property
    def dim(self) -> int:
        """Positions, velocities and visibility of the joints."""
        return self.skeleton.num_features

    def __call__(self, frames: Tensor) -> Tensor:
        """Features ``[ceil(N / frames_per_step), dim]`` of joints ``[N, J, D]``; NaN where one is unseen."""
        if frames.dim() != 3 or len(frames) == 0 or not frames.is_floating_point():
            raise FeatureError(f"Expected joints as [N, J, D] of real numbers (got {tuple(frames.shape)})")
        joints = frames[:: self.frames_per_step].double().numpy()
        visible = np.isfinite(joints).all(axis=-1)
        pose = normalize_pose(fill_missing(joints, visible), self.skeleton)
        return torch.from_numpy(pose_features(pose, visible))


def choose_precision(precision: Precision) -> Literal["float32", "bfloat16"]:
    """``"auto"`` is bfloat16 where the processor has instructions for it, else float32.

    Measured by ``benchmarks/extract.py``.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise SettingsError(f"Expected precision to be auto, float32 or bfloat16 (got {precision!r})")
    if precision != "auto":
        return precision
    checks = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return "bfloat16" if any(check() for check in checks if check is not None) else "float32"


def load_extractor(
    name: str = "i3d", weights: str | Path | None = None, frame_rate: float | None = None
) -> VideoExtractor:
    """An extractor with imported weights.

    Args:
        name: ``"i3d"``, ``"c3d"`` (fc6) or ``"c3d-fc7"``.
        weights: safetensors file of :func:`~vreloc_pyg.video.weights.import_weights`; by default where it
            keeps them.
        frame_rate: frames per second; by default 25.

    Raises:
        SettingsError: for another name.
        WeightsError: if the weights are missing; the message says how to get them.
    """
    rate = 25.0 if frame_rate is None else frame_rate
    if name == "i3d":
        network = load_network("i3d", weights)
        assert isinstance(network, I3D)
        return I3DExtractor(network, rate)
    if name in ("c3d", "c3d-fc7"):
        network = load_network("c3d", weights)
        assert isinstance(network, C3D)
        return C3DExtractor(network, rate, "fc6" if name == "c3d" else "fc7")
    raise SettingsError(f"Expected the extractor to be i3d, c3d or c3d-fc7 (got {name!r})")


def _digest(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
