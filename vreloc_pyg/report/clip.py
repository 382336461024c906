"""Cutting a segment out of a video file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vreloc_pyg.errors import VideoError
from vreloc_pyg.files import replacing

if TYPE_CHECKING:
    from av.container import InputContainer


def cut_clip(video: str | Path, start_s: float, end_s: float, output: str | Path) -> bool:
    """Write ``[start_s, end_s)`` of a video as a file of its own, whole or not at all.

    Its packets are copied where a keyframe lies within half a frame of the start; else its frames are encoded
    again as H.264, without sound.

    Returns:
        Whether packets were copied.

    Raises:
        VideoError: if the video cannot be read, or the output cannot be written in its format.
    """
    import av

    try:
        with replacing(output) as unfinished, av.open(str(video)) as source:
            copied = _copy(source, start_s, end_s, unfinished)
            if not copied:
                _encode(source, start_s, end_s, unfinished)
            return copied
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"Cannot cut {video} into {output}: {error}") from None


def _seek(source: InputContainer, start_s: float) -> tuple[Any, float]:
    """The video stream, at its last keyframe before the start; and where its clock begins."""
    origin = (source.start_time or 0) / 1e6
    source.seek(round((start_s + origin) * 1e6), backward=True)
    return source.streams.video[0], origin


def _copy(source: InputContainer, start_s: float, end_s: float, output: Path) -> bool:
    import av

    stream, origin = _seek(source, start_s)
    packets = source.demux(stream)
    first = next((packet for packet in packets if packet.pts is not None), None)
    if first is None or first.time_base is None:
        return False
    begin = float(first.pts * first.time_base) - origin
    if abs(begin - start_s) > 0.5 / float(stream.average_rate or 25) or not first.is_keyframe:
        return False
    shift = min(first.pts, first.dts if first.dts is not None else first.pts)
    with av.open(str(output), "w") as sink:
        copy = sink.add_stream_from_template(stream)
        _mux(sink, first, copy, shift)
        for packet in packets:
            if packet.dts is None or packet.pts is None:
                continue
            if float(packet.dts * packet.time_base) - origin >= end_s:
                break
            if float(packet.pts * packet.time_base) - origin < end_s:
                _mux(sink, packet, copy, shift)
    return True


def _mux(sink: Any, packet: Any, stream: Any, shift: int) -> None:
    packet.pts, packet.dts = packet.pts - shift, None if packet.dts is None else packet.dts - shift
    packet.stream = stream
    sink.mux(packet)


def _encode(source: InputContainer, start_s: float, end_s: float, output: Path) -> None:
    import av

    stream, origin = _seek(source, start_s)
    rate = stream.average_rate or 25
    with av.open(str(output), "w") as sink:
        encoder: Any = sink.add_stream("libx264", rate=rate, options={"crf": "20"})
        encoder.width, encoder.height = stream.width // 2 * 2, stream.height // 2 * 2
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = encoder.codec_context.time_base = stream.time_base
        for frame in source.decode(stream):
            at = frame.time - origin
            if at >= end_s:
                break
            if at < start_s - 1e-6:
                continue
            fresh = frame.reformat(encoder.width, encoder.height, format="yuv420p")
            fresh.pts = round((at - start_s) / float(stream.time_base))
            fresh.time_base = stream.time_base
            sink.mux(encoder.encode(fresh))
        sink.mux(encoder.encode(None))
