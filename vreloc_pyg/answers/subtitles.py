"""Answers as subtitles, which any player shows over the reference."""

from __future__ import annotations

from vreloc_pyg.answers.exports.captions import write_srt
from vreloc_pyg.answers.exports.content import Content
from vreloc_pyg.localization.locate import VideoAnswer


def subtitles(answer: VideoAnswer) -> str:
    """The segments in SubRip's format, in order of time."""
    return write_srt(Content(answer.moments))
