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

from vreloc_pyg.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

Item = TypeVar("Item")
Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameGrid:
    """How frames are taken from a video.

    Args:
        rate: frames per second; frame i is the one seen at (i + 1/2) / rate.
        shorter_side: pixels that the shorter side is brought to.
        crop: pixels of the square cut from the middle.
    """

    rate: float
    shorter_side: int
    crop: int


def video_duration(path: str | Path) -> float | None:
    """Seconds of a video, ``None`` where it does not say; :class:`VideoError` if it cannot be decoded."""
    container, stream = _open(path)
    with container:
        if next(_decode(container, stream, path, []), None) is None:
            raise VideoError(f"Cannot decode a frame of {path}: it is damaged, or ends before its first one")
        return _duration(container, stream)


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
    container, stream = _open(path)
    found = [] if problems is None else problems
    with container:
        duration = _duration(container, stream)
        slack = 1.0 / grid.rate
        for bound in (start_s, end_s):
            if bound is not None and duration is not None and bound > duration + slack:
                raise VideoError(f"{path} lasts {duration:.3f} s: there is no second {bound:g} in it")
        if start_s > 0:
            container.seek(round((start_s + _origin(container, stream)) * 1e6), backward=True)
        yield from _on_grid(container, stream, path, grid, start_s, end_s, found)


def _on_grid(
    container: InputContainer,
    stream: VideoStream,
    path: str | Path,
    grid: FrameGrid,
    start_s: float,
    end_s: float | None,
    problems: list[str],
) -> Iterator[Frame]:
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()  # one for all frames: each would keep its own tables otherwise
    origin = _origin(container, stream)
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
            image = _prepare(shown, grid, scaler) if image is None else image
            yield image
            taken += 1

    for frame in _decode(container, stream, path, problems):
        time = since + gap if frame.time is None else frame.time - origin
        if shown is not None:
            if time <= since:
                continue  # a clock that runs backwards shows nothing new
            yield from until(time)
            gap = time - since if math.isfinite(since) else gap
        shown, since, image = frame, time, None
        yield from until(time)  # before the first frame
        if time >= last:
            return
    if shown is None:
        raise VideoError(f"Cannot decode a frame of {path}: it is damaged, or ends before {start_s:g} s")
    lasting = float(shown.duration * shown.time_base) if shown.duration and shown.time_base else gap
    end = since + lasting
    if end_s is not None and end_s > end + max(lasting, 1.0 / grid.rate):
        raise VideoError(f"{path} lasts {end:.3f} s: there is no second {end_s:g} in it")
    yield from until(end, least=int(start_s < end))
    if taken == 0:
        raise VideoError(f"{path} lasts {end:.3f} s: there is nothing from second {start_s:g} on")


def thumbnail(path: str | Path, at_s: float, height: int = 120) -> bytes:
    """The frame seen at a second of a video, upright, as JPEG; :class:`VideoError` if there is none."""
    import av

    container, stream = _open(path)
    with container:
        origin = _origin(container, stream)
        container.seek(round((at_s + origin) * 1e6), backward=True)
        shown = None
        for frame in _decode(container, stream, path, []):
            if shown is not None and frame.time is not None and frame.time - origin > at_s:
                break
            shown = frame
        if shown is None:
            raise VideoError(f"There is no frame at second {at_s:g} of {path}")
        size = (2 * round(height * shown.width / shown.height / 2), height)
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


def _open(path: str | Path) -> tuple[InputContainer, VideoStream]:
    import av
    from av.stream import Disposition

    if not Path(path).is_file():
        raise VideoError(f"There is no video file {path}")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        size = Path(path).stat().st_size
        why = "it is empty" if size == 0 else f"FFmpeg says: {_words(error)}"
        raise VideoError(f"Cannot read {path} as a video: {why}") from None
    # The picture of an audio file is a stream of video too.
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise VideoError(f"{path} has no video stream (it holds {kinds})")
    stream = streams[0]
    stream.thread_type = "AUTO"
    return container, stream


def _decode(
    container: InputContainer, stream: VideoStream, path: str | Path, problems: list[str]
) -> Iterator[VideoFrame]:
    """Every frame that can be decoded; damage is counted, not raised."""
    import av

    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError as error:
            problems.append(f"{path} is cut off: {_words(error)}")
            break
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damaged += 1
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame
    if damaged:
        problems.append(f"{path} is damaged: {damaged} packets could not be decoded")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _origin(container: InputContainer, stream: VideoStream) -> float:
    """The second at which a player's clock begins."""
    microseconds = getattr(container, "start_time", None)
    if microseconds is not None:
        return float(microseconds / 1e6)
    if stream.start_time is not None and stream.time_base is not None:
        return float(stream.start_time * stream.time_base)
    return 0.0


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds from the clock's beginning to the end of the video stream, as the container says."""
    if stream.duration is not None and stream.time_base is not None:
        begin = 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)
        return begin + float(stream.duration * stream.time_base) - _origin(container, stream)
    return None if container.duration is None else container.duration / 1e6


def _prepare(frame: VideoFrame, grid: FrameGrid, scaler: VideoReformatter) -> Frame:
    """A frame as an upright square."""
    scale = grid.shorter_side / min(frame.width, frame.height)
    size = (max(grid.crop, round(frame.width * scale)), max(grid.crop, round(frame.height * scale)))
    image = scaler.reformat(frame, *size, format="rgb24", interpolation="BILINEAR").to_ndarray()
    top, left = (image.shape[0] - grid.crop) // 2, (image.shape[1] - grid.crop) // 2
    image = image[top : top + grid.crop, left : left + grid.crop]
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))
