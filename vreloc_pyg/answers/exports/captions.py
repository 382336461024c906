"""Moments as subtitles, which any player shows over the video."""

from __future__ import annotations

from collections.abc import Iterator

from vreloc_pyg.answers.exports.content import Content, ExportFormat, one_line
from vreloc_pyg.clock import clock


def write_srt(content: Content) -> str:
    """SubRip, in order of time.

    Source: https://www.matroska.org/technical/subtitles.html#srt-subtitles
    """
    return "\n".join(
        f"{number}\n{start} --> {end}\n{text}\n".replace(".", ",", 2)
        for number, (start, end, text) in enumerate(_cues(content), start=1)
    )


def write_vtt(content: Content) -> str:
    """WebVTT, in order of time.

    Source: https://www.w3.org/TR/webvtt1/
    """
    blocks = ["WEBVTT\n"]
    for start, end, text in _cues(content):
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{start} --> {end}\n{escaped}\n")
    return "\n".join(blocks)


def _cues(content: Content) -> Iterator[tuple[str, str, str]]:
    """Start, end and text of each; a cue that would be no longer than 0 ms is one of 1 ms."""
    ranked = enumerate(content.moments, start=1)
    for rank, one in sorted(ranked, key=lambda pair: (pair[1].start_s, pair[1].end_s, pair[0])):
        label = one_line(one.label)
        text = f"{label}  " if label else ""
        start, end = round(1000 * one.start_s), round(1000 * one.end_s)
        times = clock(start / 1000).zfill(12), clock(max(end, start + 1) / 1000).zfill(12)
        yield *times, f"{text}#{rank}  score {one.score:.3f}"


SRT = ExportFormat(write_srt, one_video=True)
VTT = ExportFormat(write_vtt, one_video=True)
