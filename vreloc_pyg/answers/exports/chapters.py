"""Moments as chapters in FFmpeg's metadata format.

``ffmpeg -i video.mp4 -i found.ffmeta -map_chapters 1 -codec copy chapters.mp4`` puts them into a file.

Source: https://ffmpeg.org/ffmpeg-formats.html#Metadata-2
"""

from __future__ import annotations

import re

from vreloc_pyg.answers.exports.content import Content, ExportFormat, by_time, one_line

#: Ticks of a second.
TICKS = 1_000_000


def write(content: Content) -> str:
    """A chapter a moment, in order of time."""
    blocks = [";FFMETADATA1"]
    for one in by_time(content.moments):
        start, end = round(TICKS * one.start_s), round(TICKS * one.end_s)
        title = _escaped(content.label(one))
        blocks.append(
            f"[CHAPTER]\nTIMEBASE=1/{TICKS}\nSTART={start}\nEND={max(end, start + 1)}\ntitle={title}"
        )
    if query := content.about.get("query"):
        blocks.insert(1, f"comment={_escaped(one_line(f'moments like {query}'))}")
    return "\n".join(blocks) + "\n"


def _escaped(text: str) -> str:
    escaped = re.sub(r"([=;#\\])", r"\\\1", text)
    return f"{escaped} " if text.endswith("\\") else escaped  # else FFmpeg reads on in the next line


CHAPTERS = ExportFormat(write, one_video=True)
