"""Cutting a segment out of a video file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vreloc_pyg.answers.encode import encode_part
from vreloc_pyg.errors import VideoError
from vreloc_pyg.files import replacing
from vreloc_pyg.video.container import clock_jumps, open_at, origin_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def check_clip(output: str | Path) -> None:
    """Raise :class:`VideoError` unless H.264 can be written into a file of this name."""
    import av

    try:
        with TemporaryDirectory() as folder, av.open(f"{folder}/clip{Path(output).suffix}", "w") as sink:
            sink.add_stream("libx264", rate=25)
    except (av.error.FFmpegError, ValueError):
        raise VideoError(f"Cannot write a clip as {output}: use a suffix such as .mp4 or .mkv") from None


def cut_clip(video: str | Path, start_s: float, end_s: float, output: str | Path) -> bool:
    """Write ``[start_s, end_s)`` of a video with its sound as a file of its own, whole or not at all.

    Packets are copied where a keyframe lies within half a frame of the start and all are shown in the order
    in which they are decoded; else frames are encoded again as H.264, and sound as AAC. Returns whether
    packets were copied.

    Raises:
        VideoError: if the video cannot be read, or the output cannot be written in its format.
    """
    import av

    try:
        with replacing(output) as unfinished:
            copied = _copy(video, start_s, end_s, unfinished)
            if not copied:
                encode_part(video, start_s, end_s, unfinished)
            return copied
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"Cannot cut {video} into {output}: {error}") from None


def _copy(path: str | Path, start_s: float, end_s: float, output: Path) -> bool:
    if clock_jumps(path):
        return False
    source, stream = open_at(path, start_s)
    with source:
        first = next((packet for packet in source.demux(stream) if packet.pts is not None), None)
        if first is None or first.pts is None or first.time_base is None or not first.is_keyframe:
            return False
        begin = float(first.pts * first.time_base) - origin_of(source, stream, path)
        if abs(begin - start_s) > 0.5 / float(stream.average_rate or 25):
            return False
        if stream.codec_context.has_b_frames:
            return False  # the last frames may need packets that are shown after the end
    # The first packet's decoding time becomes 0, and everything else moves with it.
    shift_s = float(min(first.pts, first.dts if first.dts is not None else first.pts) * first.time_base)
    source, stream = open_at(path, start_s)
    with source:
        return _copy_packets(source, stream, path, begin, end_s, shift_s, output)


def _copy_packets(
    source: InputContainer,
    stream: VideoStream,
    path: str | Path,
    begin: float,
    end_s: float,
    shift_s: float,
    output: Path,
) -> bool:
    import av

    origin = origin_of(source, stream, path)
    audio = next(iter(source.streams.audio), None)
    streams: list[Any] = [stream] if audio is None else [stream, audio]
    unfinished = {one.index for one in streams}
    with av.open(str(output), "w") as sink:
        try:
            copies = {one.index: sink.add_stream_from_template(one) for one in streams}
        except ValueError:  # the output's format does not take such sound
            return False
        for packet in source.demux(streams):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            if float(packet.dts * packet.time_base) - origin >= end_s:
                unfinished.discard(packet.stream_index)
                if not unfinished:
                    break
            at = float(packet.pts * packet.time_base) - origin
            if begin - 1e-6 <= at < end_s:
                shift = round(shift_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copies[packet.stream_index]
                sink.mux(packet)
    return True
