"""Videos that a browser plays."""

from __future__ import annotations

import math
from pathlib import Path

from vreloc_pyg.answers.encode import encode_part
from vreloc_pyg.errors import VideoError, reading
from vreloc_pyg.files import replacing
from vreloc_pyg.video.container import open_video

#: What browsers without licensed codecs, such as Debian's Chromium, play: by suffix, the codecs and the type.
PLAYED = {
    ".mp4": (("h264", "vp9", "av1"), "video/mp4"),
    ".m4v": (("h264",), "video/mp4"),
    ".mov": (("h264",), "video/mp4"),
    ".webm": (("vp8", "vp9", "av1"), "video/webm"),
}
#: Copies for a page are small.
MAX_HEIGHT, CRF = 360, 28


def is_playable(video: str | Path) -> bool:
    """Whether browsers play a file as it is; :class:`VideoError` if it cannot be read."""
    codecs, _ = PLAYED.get(Path(video).suffix.lower(), ((), ""))
    source, stream = open_video(video)
    with source, reading(f"{video} as a video", VideoError):
        codec = stream.codec_context.name.removeprefix("lib").split("-")[0]
        return codec in codecs and stream.pix_fmt in ("yuv420p", "yuvj420p")


def media_type(video: str | Path) -> str:
    """The media type to announce a playable file by."""
    return PLAYED.get(Path(video).suffix.lower(), ((), "video/mp4"))[1]


def playable_copy(
    video: str | Path,
    output: str | Path,
    start_s: float = 0.0,
    end_s: float = math.inf,
    max_height: int = MAX_HEIGHT,
) -> Path:
    """Encode a small copy ``output`` of a video, or of a part of it, in H.264, whole or not at all.

    Args:
        video: what is copied.
        output: an MP4 file.
        start_s, end_s: the part, in seconds.
        max_height: frames that are higher, in pixels, are made smaller.

    Raises:
        VideoError: if that fails.
    """
    try:
        with replacing(output) as unfinished:
            encode_part(video, start_s, end_s, unfinished, crf=CRF, max_height=max_height)
    except (
        Exception
    ) as error:  # FFmpeg has an error for everything, and Python's for numbers that are too large
        raise VideoError(f"Cannot make a copy of {video} that browsers play: {error}") from None
    return Path(output)
