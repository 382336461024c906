"""Small videos for tests, drawn and encoded here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor

#: Real clips, where they are.
REAL = Path(os.environ.get("VRELOC_DATA", Path(__file__).parents[2] / "shared" / "data")) / "videos"


def grey(level: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def counting(number: int, step: int = 4) -> list[np.ndarray]:
    """Frame i is of grey level ``step * i``."""
    return [grey(step * i) for i in range(number)]


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    rate: int = 10,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode frames at a rate, or at given times in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream(codec, rate=rate, options={"crf": "5", **(options or {})})
        for number, image in enumerate(frames):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                if times is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[number]), stream.codec_context.time_base
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("aac", rate=16000)
        samples = np.zeros((1, 16000), dtype=np.float32)
        sound = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        sound.sample_rate = 16000
        sink.mux(stream.encode(sound))
        sink.mux(stream.encode(None))
    return path


class Levels(VideoExtractor):
    """Features that tell grey levels apart."""

    name, dim, frames_per_step = "levels", 16, 2
    darkest = 0.0

    def __init__(self, frame_rate: float = 10.0) -> None:
        super().__init__(frame_rate, 48, 48, 4, 0)

    def _compute(self, frames):
        level = frames.float().mean(dim=(1, 2, 3)).view(-1, self.frames_per_step).mean(1, keepdim=True)
        return torch.exp(-((level - torch.linspace(0, 255, 16)) ** 2) / 800)


#: The spec of a made-up extractor that needs no weights, as a file in the package would end in it.
LEVELS = ExtractorSpec(make=lambda _, frame_rate: Levels(frame_rate), frame_rate=10.0)
