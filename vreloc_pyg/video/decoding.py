"""Video files to frames on a regular time grid, with bounded memory.

Times are presentation timestamps, from the container's first one, as a player shows them; never a frame count
over a nominal rate. So frames of variable rate, late starts and gaps come out where they are seen.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vreloc_pyg.errors import VideoError, reading
from vreloc_pyg.video.container import (
    LONGEST_S,
    decode,
    duration_of,
    open_at,
    open_video,
    pixel_ratio,
    timed_frames,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

Item = TypeVar("Item")
Frame = NDArray[np.uint8]

#: Which frames are taken of a file; another number where that has changed, so that no features are mixed.
READING = 2

#: A file that ends so much earlier than it tells, in seconds, is cut off.
CUT_SHORT_S = 1.0


@dataclass(frozen=True)
class FrameGrid:
    """How frames are taken from a video.

    Args:
        rate: frames per second; frame i is the one seen at (i + 1/2) / rate.
        shorter_side: pixels that the shorter side is brought to.
        crop: pixels of the square cut from the middle; ``None``: all of the frame, which is never
            enlarged.
    """

    rate: float
    shorter_side: int
    crop: int | None


def video_duration(path: str | Path) -> float | None:
    """Seconds of a video, ``None`` where it does not say; :class:`VideoError` if it cannot be decoded."""
    container, stream = open_video(path)
    with container:
        if next(decode(container, stream, path, []), None) is None:
            raise VideoError(f"Cannot decode a frame of {path}: it is damaged, or ends before its first one")
        return duration_of(container, stream, path)


def read_frames(
    path: str | Path,
    grid: FrameGrid,
    start_s: float = 0.0,
    end_s: float | None = None,
    problems: list[str] | None = None,
) -> Iterator[Frame]:
    """Frames of a video at a steady rate, turned upright, scaled and cropped: ``[crop, crop, 3]`` uint8, RGB.

    A file that ends early or is damaged in places gives the frames that can be decoded.

    Args:
        path: a file in any container and codec that FFmpeg reads.
        grid: rate and size.
        start_s, end_s: the range in seconds; by default it ends with the video.
        problems: what was wrong with the file, in words, is appended.

    Raises:
        VideoError: if the file cannot be read, or the range does not lie in the video.
    """
    if not (math.isfinite(start_s) and start_s >= 0 and (end_s is None or start_s < end_s)):
        raise VideoError(f"Expected 0 <= start < end of a range in {path} (got {start_s} to {end_s})")
    container, stream = open_at(path, start_s)
    found = [] if problems is None else problems
    with container, reading(f"{path} as a video", VideoError):
        duration = duration_of(container, stream, path)
        slack = 1.0 / grid.rate
        for bound in (start_s, end_s):
            if bound is not None and duration is not None and bound > duration + slack:
                raise VideoError(f"{path} lasts {duration:.3f} s: there is no second {bound:g} in it")
        yield from _on_grid(container, stream, path, grid, start_s, end_s, duration, found)


def _on_grid(
    container: InputContainer,
    stream: VideoStream,
    path: str | Path,
    grid: FrameGrid,
    start_s: float,
    end_s: float | None,
    duration: float | None,
    problems: list[str],
) -> Iterator[Frame]:
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()  # one for all frames: each would keep its own tables otherwise
    ratio = pixel_ratio(stream)
    shown: VideoFrame | None = None  # the frame on the screen, since ...
    since = -math.inf
    image: Frame | None = None  # of the frame on the screen, once it was asked for
    gap = 1.0 / float(stream.average_rate or stream.guessed_rate or grid.rate)
    taken = 0
    last = math.inf if end_s is None else end_s

    def until(time: float, least: int = 0) -> Iterator[Frame]:
        """What is shown before a second, at least so many frames in all."""
        nonlocal image, taken
        while start_s + (taken + 0.5) / grid.rate < min(time, last) or taken < least:
            assert shown is not None
            image = _prepare(shown, ratio, grid, scaler) if image is None else image
            yield image
            taken += 1

    for time, frame in timed_frames(container, stream, start_s <= 0, path, problems):
        if shown is not None:
            if time <= since:
                continue  # a clock that stands still shows nothing new
            yield from until(time)
            gap = time - since if math.isfinite(since) else gap
        elif start_s > 0 and time - start_s > LONGEST_S:  # the clock knows no gap before its first frame
            raise VideoError(
                f"{path} shows nothing for ten minutes from second {start_s:g} on: it is damaged"
            )
        shown, since, image = frame, time, None
        yield from until(time)  # before the first frame
        if time >= last:
            return
    if shown is None:
        raise VideoError(f"Cannot decode a frame of {path}: it is damaged, or ends before {start_s:g} s")
    lasting = float(shown.duration * shown.time_base) if shown.duration and shown.time_base else gap
    end = since + min(lasting, LONGEST_S)  # what a last frame tells is no more to be believed than a gap
    if end_s is not None and end_s > end + max(lasting, 1.0 / grid.rate):
        raise VideoError(f"{path} lasts {end:.3f} s: there is no second {end_s:g} in it")
    if duration is not None and end < duration - CUT_SHORT_S and (end_s is None or end < end_s - CUT_SHORT_S):
        problems.append(f"{path} is cut off: of the {duration:.1f} s that it tells, {end:.1f} can be read")
    yield from until(end, least=int(start_s < end))
    if taken == 0:
        raise VideoError(f"{path} lasts {end:.3f} s: there is nothing from second {start_s:g} on")


def thumbnail(path: str | Path, at_s: float, height: int = 120) -> bytes:
    """The frame seen at a second of a video, upright, as JPEG; :class:`VideoError` if there is none."""
    import av

    container, stream = open_at(path, at_s)
    with container, reading(f"a picture of {path}", VideoError):
        shown = None
        for time, frame in timed_frames(container, stream, at_s <= 0, path, []):
            if shown is not None and time > at_s:
                break
            shown = frame
        if shown is None:
            raise VideoError(f"There is no frame at second {at_s:g} of {path}")
        size = (2 * round(height * shown.width * pixel_ratio(stream) / shown.height / 2), height)
        pixels: Frame = shown.reformat(*size, format="rgb24").to_ndarray().astype(np.uint8, copy=False)
        image = np.rot90(pixels, round(shown.rotation / 90))
        encoder = av.CodecContext.create("mjpeg", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.height, encoder.width = image.shape[:2]
        encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 1)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(format="yuvj420p")
        picture.pts = 0
        return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def prefetch(items: Iterator[Item], size: int) -> Iterator[Item]:
    """The same items, made ahead by another thread, at most ``size`` of them waiting."""
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=size)
    stopped = threading.Event()

    def put(kind: str, value: object) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((kind, value), timeout=0.1)
                return

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    break
            put("end", None)
        except BaseException as error:
            put("error", error)

    worker = threading.Thread(target=work, daemon=True, name="vreloc-decoding")
    worker.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        worker.join()


def _prepare(frame: VideoFrame, ratio: float, grid: FrameGrid, scaler: VideoReformatter) -> Frame:
    """A frame, whose pixels have a ratio of width and height, upright; as a square, or whole."""
    width, height = frame.width * ratio, frame.height
    scale = grid.shorter_side / min(width, height)
    least = grid.crop or 1
    if grid.crop is None:
        scale = min(scale, 1.0)
    size = (max(least, round(width * scale)), max(least, round(height * scale)))
    image = scaler.reformat(frame, *size, format="rgb24", interpolation="BILINEAR").to_ndarray()
    if grid.crop is not None:
        top, left = (image.shape[0] - grid.crop) // 2, (image.shape[1] - grid.crop) // 2
        image = image[top : top + grid.crop, left : left + grid.crop]
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))
