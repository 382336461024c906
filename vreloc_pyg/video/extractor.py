"""Networks that turn frames into features, clip by clip, with bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vreloc_pyg.checkpoint import weights_hash
from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.video.brightness import DARKEST, brightened
from vreloc_pyg.video.decoding import Frame, FrameGrid
from vreloc_pyg.video.network_weights import PublishedWeights
from vreloc_pyg.video.place import Place


class VideoExtractor(ABC):
    """A network over clips of video; :meth:`stream` holds one clip at a time.

    One that must see a video as a whole replaces :meth:`stream`, and keeps less of a frame than its pixels.
    Where frames before or after a clip matter to it, the clip is computed with ``context_steps`` of them on
    either side; at the ends of a video its first and last frame stand still. Frames darker than
    ``darkest`` are brightened (:func:`~vreloc_pyg.video.brightness.brightened`).

    Args:
        frame_rate, shorter_side, crop: how frames are taken, see :class:`.FrameGrid`.
        clip_steps: steps computed at once.
        context_steps: further steps seen on either side of a clip.
        network: its weights decide the features; ``None``: it has none.
    """

    name: str
    dim: int
    frames_per_step: int
    darkest: float = DARKEST
    #: Who was named of a video's people, in words that belong to the digest of the file.
    whom = ""

    def __init__(
        self,
        frame_rate: float,
        shorter_side: int,
        crop: int | None,
        clip_steps: int,
        context_steps: int,
        network: nn.Module | None = None,
    ) -> None:
        if not 0 < frame_rate < float("inf") or clip_steps < 1 or context_steps < 0:
            raise SettingsError(
                "Expected frame_rate > 0, clip_steps >= 1 and context_steps >= 0 "
                f"(got {frame_rate}, {clip_steps}, {context_steps})"
            )
        self.grid = FrameGrid(frame_rate, shorter_side, crop)
        self.clip_steps, self.context_steps = clip_steps, context_steps
        self.weights = "none" if network is None else weights_hash(network)[:12]

    @property
    def frame_rate(self) -> float:
        return self.grid.rate

    @property
    def seconds_per_step(self) -> float:
        """Duration of a step in seconds."""
        return self.frames_per_step / self.grid.rate

    @property
    def metadata(self) -> FeatureMetadata:
        return FeatureMetadata(
            self.name,
            self.dim,
            float(self.frames_per_step),
            self.grid.rate,
            package_version=version("vreloc_pyg"),
            weights=self.weights,
        )

    def fingerprint(self) -> str:
        """Everything that decides the features of given frames, as text."""
        about = (self.weights, self.grid, self.clip_steps, self.context_steps, self.darkest)
        return f"{self.name} {about}"

    def following(self, person: Place) -> VideoExtractor:
        """The same network, of the person who is at a place when one is first seen there.

        Raises:
            SettingsError: if it looks at pictures as a whole.
        """
        raise SettingsError(
            f"Features of {self.name} are of the whole picture, not of the person at {person}: give "
            "--extractor pose, or no person"
        )

    @abstractmethod
    def _compute(self, frames: Tensor) -> Tensor:
        """Features ``[N / frames_per_step, dim]`` of uint8 frames ``[N, crop, crop, 3]``."""

    def __call__(self, frames: Tensor) -> Tensor:
        """Features ``[steps, dim]`` of RGB frames ``[N, crop, crop, 3]`` uint8."""
        side = self.grid.crop
        shape = (*frames.shape[1:3], 3) if side is None else (side, side, 3)
        if frames.dim() != 4 or frames.shape[1:] != shape or frames.dtype != torch.uint8 or len(frames) == 0:
            raise FeatureError(
                f"Expected frames as [N, {', '.join(map(str, shape))}] uint8 "
                f"(got {tuple(frames.shape)} {frames.dtype})"
            )
        return torch.cat(list(self.stream(iter(frames.numpy()))))

    @torch.inference_mode()
    def stream(
        self,
        frames: Iterable[Frame],
        video: str = "the video",
        problems: list[str] | None = None,
        joints: list[Tensor] | None = None,
    ) -> Iterator[Tensor]:
        """Features ``[<= clip_steps, dim]`` float32 of one clip after the other.

        Args:
            frames: of a video, taken as :attr:`grid` says.
            video: what to call it in messages.
            problems: what is to be said of the features, in words, is appended.
            joints: of an extractor that looks for poses, Penn Action's in every step are appended, as
                shares of the picture's width and height: ``[N, 13, 2]``, NaN where nobody is seen.
        """
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
        features = self._compute(brightened(torch.from_numpy(np.stack(window)), self.darkest))
        return features[self.context_steps : self.context_steps + steps].float().contiguous()


@dataclass(frozen=True)
class ExtractorSpec:
    """How an extractor is made; its line in :mod:`vreloc_pyg.video.extractors` gives it a name.

    Args:
        make: the extractor, called as its line says, that shows frames at a rate to a network.
        network: whose weights it needs; ``None``: none, and ``make`` is given ``None``.
        frame_rate: frames per second, where none is asked for.
    """

    make: Callable[[Any, float], VideoExtractor]
    network: PublishedWeights | None = None
    frame_rate: float = 25.0
