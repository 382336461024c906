"""Encoding a part of a video again, upright and with its sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vreloc_pyg.video.container import InOrder, decode, frames_of, make_clock, open_at, pixel_ratio

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Shorter gaps between frames of sound are errors of their clock, in seconds.
GAP_S = 0.1


def encode_part(
    path: str | Path,
    start_s: float,
    end_s: float,
    output: Path,
    *,
    crf: int = 20,
    max_height: int | None = None,
) -> None:
    """Encode ``[start_s, end_s)`` as H.264, and its sound, if it has any, as AAC.

    Frames and sound keep their times, so that neither runs ahead of the other. A keyframe every two seconds
    lets a player seek at once. Raises the errors of PyAV, and :class:`ValueError` for what none can encode.

    Args:
        path: a video.
        start_s, end_s: in seconds; the end may be infinite.
        output: file to write; its suffix decides the container.
        crf: quality, from 0, the best, to 51.
        max_height: frames that are higher, in pixels, are made smaller.
    """
    # Sound may come first, and no stream can be described once the first packet of any is written.
    source, video = open_at(path, start_s)
    with source:
        first = next(decode(source, video, path, []), None)
        ratio = pixel_ratio(video)
    if first is None:
        raise ValueError("no frame of it can be decoded")
    size = _size(first, ratio, max_height)
    source, video = open_at(path, start_s)
    with source:
        _encode(source, video, path, start_s, end_s, output, crf, size)


def _encode(
    source: InputContainer,
    video: VideoStream,
    path: str | Path,
    start_s: float,
    end_s: float,
    output: Path,
    crf: int,
    size: tuple[int, int],
) -> None:
    import av

    audio = next(iter(source.streams.audio), None)
    seen, heard_at = (make_clock(source, video, start_s <= 0, path, []) for _ in range(2))
    order = InOrder(source)
    rate, tick_s = video.average_rate or 25, video.time_base or Fraction(1, 1000)
    options = {"crf": str(crf), "preset": "veryfast", "g": str(max(1, round(2 * rate)))}
    open_streams = {stream.index for stream in (video, audio) if stream is not None}
    with av.open(str(output), "w") as sink:
        encoder: Any = sink.add_stream("libx264", rate=rate, options=options)
        encoder.time_base = encoder.codec_context.time_base = tick_s
        encoder.width, encoder.height = size
        encoder.pix_fmt = "yuv420p"
        voice: Any = None if audio is None else _sound(sink, audio)
        last = -1  # the latest tick of the video
        heard: int | None = None  # where the next sample belongs

        def show(at: float, frame: VideoFrame) -> None:
            nonlocal last
            tick = round((at - start_s) / tick_s)
            if start_s - 1e-6 <= at < end_s and tick > last:  # a clock that stands still shows nothing new
                fresh, last = _upright(frame, *size), tick
                fresh.pts, fresh.time_base = tick, tick_s
                sink.mux(encoder.encode(fresh))

        for packet in source.demux([stream for stream in (video, audio) if stream is not None]):
            for frame in frames_of(packet) or []:
                pictured = isinstance(frame, av.VideoFrame)
                at = (seen if pictured else heard_at)(frame.time)
                if at >= end_s + order.depth * seen.gap:
                    open_streams.discard(packet.stream_index)
                if pictured:
                    for time, picture in order.push(at, frame):
                        show(time, picture)
                elif start_s - 1e-6 <= at < end_s:
                    # Clocks of sound may be coarse, as those of MP3 in AVI: samples follow each other, but
                    # for gaps that one hears.
                    wanted = round((at - start_s) * frame.sample_rate)
                    if heard is None or wanted > heard + GAP_S * frame.sample_rate:
                        heard = wanted
                    frame.pts, frame.time_base = heard, Fraction(1, frame.sample_rate)
                    heard += frame.samples
                    sink.mux(voice.encode(frame))
            if not open_streams:
                break
        for time, picture in order.rest():
            show(time, picture)
        sink.mux(encoder.encode(None))
        if voice is not None:
            sink.mux(voice.encode(None))


def _sound(sink: OutputContainer, audio: Any) -> Any:
    voice = sink.add_stream("aac", rate=audio.rate)
    voice.layout = "mono" if audio.channels == 1 else "stereo"
    return voice


def _size(frame: VideoFrame, ratio: float, max_height: int | None) -> tuple[int, int]:
    """Even width and height in square pixels, as H.264 needs them, of a frame turned upright."""
    wide = frame.width * ratio
    width, height = (wide, frame.height) if frame.rotation % 180 == 0 else (frame.height, wide)
    scale = 1.0 if max_height is None else min(1.0, max_height / height)
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def _upright(frame: VideoFrame, width: int, height: int) -> Any:
    import av

    if frame.rotation % 360 == 0:
        return frame.reformat(width, height, format="yuv420p")
    pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    turned = np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
    fresh = av.VideoFrame.from_ndarray(turned, "rgb24")
    return fresh.reformat(width, height, format="yuv420p")
