"""Moments as an edit decision list in CMX 3600, through OpenTimelineIO's adapter."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from vreloc_pyg.answers.exports.content import Content, ExportFormat, one_line
from vreloc_pyg.answers.exports.timeline import TITLE, make_timeline, ordered
from vreloc_pyg.errors import DataError

#: A time code tells no day: it begins anew after so many seconds.
DAY_S = 24 * 60 * 60
#: Names of reels that mean something else, and their longest length.
SPECIAL, REEL = ("BL", "BLACK", "BARS", "AX"), 8


def write(content: Content) -> str:
    """An event a moment, of its frames; record times follow each other from zero. Scores are comments.

    At 29.97 and 59.94 frames a second time codes drop frame numbers, as these rates are broadcast.
    """
    import opentimelineio

    if not content.moments:
        return f"TITLE: {TITLE}\n"
    rate = next(iter(content.facts.values())).rate
    _check_day(content)
    timeline = make_timeline(content)
    reels = reel_names(content.videos)
    for one, clip in zip(ordered(content), timeline.tracks[0], strict=True):
        comment = f"SCORE {one.score:g}" + (f" {one.verdict.upper()}" if one.verdict else "")
        clip.metadata["cmx_3600"] = {"reel": reels[one.video], "comments": [comment]}
        clip.media_reference.target_url = one_line(one.video)
    try:
        text: str = opentimelineio.adapters.write_to_string(timeline, "cmx_3600", rate=float(rate))
    except (ValueError, opentimelineio.exceptions.OTIOError) as error:
        why = f"{float(rate):g} frames a second have no time code ({error})"
        raise DataError(f"Cannot write an edit decision list: {why}; use otio or fcpxml") from None
    mode = "DROP FRAME" if drops_frames(content) else "NON-DROP FRAME"
    return text.replace("\n", f"\nFCM: {mode}\n", 1)


def drops_frames(content: Content) -> bool:
    """Whether the rate is one of those whose time code leaves out numbers."""
    rate = next(iter(content.facts.values())).rate
    return rate.denominator == 1001 and rate.numerator % 30_000 == 0


def reel_names(videos: list[str]) -> dict[str, str]:
    """Eight letters and digits at most that tell videos apart; the comments hold the whole names."""
    found: dict[str, str] = {}
    for number, video in enumerate(videos, start=1):
        name = re.sub(r"[^A-Z0-9]", "", PurePath(video).stem.upper())[:REEL]
        if not name or name in SPECIAL or name in found.values():
            name = f"{name[: REEL - len(str(number)) - 1]}V{number}"
        found[video] = name
    return found


def _check_day(content: Content) -> None:
    total = sum(one.duration_s for one in content.moments)
    last: Any = max(content.moments, key=lambda one: one.end_s)
    if max(total, last.end_s) >= DAY_S:
        where = f"a moment of {last.video} ends" if last.end_s >= total else "the moments together end"
        raise DataError(f"Cannot write an edit decision list: {where} after 24 hours; use otio or fcpxml")


EDL = ExportFormat(write, frames=True, one_rate=True, packages=("opentimelineio", "otio_cmx3600_adapter"))
