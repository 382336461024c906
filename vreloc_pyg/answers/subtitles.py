"""Answers as subtitles, which any player shows over the reference."""

from __future__ import annotations

from vreloc_pyg.clock import clock
from vreloc_pyg.localization.locate import VideoAnswer


def subtitles(answer: VideoAnswer) -> str:
    """The segments in SubRip's format, in order of time.

    Source: https://www.matroska.org/technical/subtitles.html#srt-subtitles
    """
    assert answer.segments.scores is not None
    rows = [
        (start, end, f"#{rank}  score {score:.3f}")
        for rank, ((start, end), score) in enumerate(
            zip(answer.segments, answer.segments.scores.tolist(), strict=True), start=1
        )
    ]
    blocks = [
        f"{number}\n{_time(start)} --> {_time(end)}\n{text}\n"
        for number, (start, end, text) in enumerate(sorted(rows), start=1)
    ]
    return "\n".join(blocks)


def _time(seconds: float) -> str:
    return clock(seconds).zfill(12).replace(".", ",")
