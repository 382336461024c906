"""Timelines of OpenTimelineIO and edit decision lists: marked stretches, or the clips themselves."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from vreloc_pyg.datasets.imports.action import Reading
from vreloc_pyg.errors import MissingExtraError
from vreloc_pyg.video.facts import TYPED, nearest_rate


def read_timeline(reading: Reading, text: str) -> None:
    """OpenTimelineIO's JSON: markers that last, of clips that have such; else the clips, by their names."""
    otio = _library()
    try:
        timeline = otio.adapters.read_from_string(text, "otio_json")
        clips = list(timeline.find_clips())
    except Exception as error:  # its reader raises errors of many kinds
        raise reading.bad("the timeline", f"cannot be read: {' '.join(str(error).split())}") from None
    _read_clips(reading, clips)


def read_edl(reading: Reading, text: str) -> None:
    """The source frames of every event. A list does not say its rate: that of its first video is taken."""
    otio = _library()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "FROM CLIP:" in line]
    rate = reading.facts(names[0] if names else reading.path.stem).rate
    if not any(line[:1].isdigit() for line in text.splitlines()):
        return
    try:
        timeline = otio.adapters.read_from_string(
            text, "cmx_3600", rate=float(rate), ignore_timecode_mismatch=True
        )
        clips = list(timeline.find_clips())
    except Exception as error:  # as above
        raise reading.bad("the edit list", f"cannot be read: {' '.join(str(error).split())}") from None
    _read_clips(reading, clips, rate)


def _read_clips(reading: Reading, clips: list[Any], rate: Fraction | None = None) -> None:
    for number, clip in enumerate(clips, start=1):
        where = f"clip {number}"
        video = getattr(clip.media_reference, "target_url", None) or clip.name or reading.path.stem
        marked = [(one.name, one.marked_range) for one in clip.markers if one.marked_range.duration.value > 0]
        try:
            shown = marked or [(clip.name, clip.trimmed_range())]
        except Exception as error:  # as above, where nothing has a range
            raise reading.bad(where, f"has no range: {' '.join(str(error).split())}") from None
        for name, found in shown:
            try:
                start, end = (_seconds(time, rate) for time in (found.start_time, found.end_time_exclusive()))
            except (ValueError, OverflowError, ZeroDivisionError):
                raise reading.bad(where, f"has times that are no numbers: {found}") from None
            reading.add(video, start, end, name, where)


def _seconds(time: Any, rate: Fraction | None) -> float:
    exact = rate or nearest_rate(Fraction(time.rate).limit_denominator(10_000), TYPED)
    return float(Fraction(time.value) / exact)


def _library() -> Any:
    try:
        import opentimelineio
    except ImportError:
        raise MissingExtraError(
            "Timelines are read with OpenTimelineIO: pip install 'vreloc_pyg[exports]'"
        ) from None
    return opentimelineio
