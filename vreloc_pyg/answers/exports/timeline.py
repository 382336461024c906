"""Moments as a timeline of OpenTimelineIO, from which editors' files are made.

Source: https://opentimelineio.readthedocs.io
"""

from __future__ import annotations

from typing import Any

from vreloc_pyg.answers.exports.content import Content, ExportFormat, address, by_time
from vreloc_pyg.moments import Moment

#: Under this name our own values stand in metadata.
OURS = "vreloc_pyg"
TITLE = "moments"


def ordered(content: Content) -> list[Moment]:
    """Moments as they follow each other on a track: video by video, each by time."""
    return [one for video in content.videos for one in by_time(content.of(video))]


def make_timeline(content: Content) -> Any:
    """One video track, on which the moments follow each other; each clip is the frames of one moment."""
    from opentimelineio.opentime import RationalTime, TimeRange
    from opentimelineio.schema import Clip, ExternalReference, Timeline, Track, TrackKind

    timeline, track = Timeline(TITLE), Track("V1", kind=TrackKind.Video)
    for one in ordered(content):
        facts = content.facts[one.video]
        first, stop = facts.frames(one.start_s, one.end_s)
        rate = float(facts.rate)
        lasting = max(stop, facts.num_frames or 0)
        media = ExternalReference(
            address(one.video), TimeRange(RationalTime(0, rate), RationalTime(lasting, rate))
        )
        frames = TimeRange(RationalTime(first, rate), RationalTime(stop - first, rate))
        ours = {"score": float(one.score), "verdict": one.verdict or "", "rate": str(facts.rate)}
        track.append(Clip(content.label(one), media, frames, metadata={OURS: ours}))
    timeline.tracks.append(track)
    return timeline


def write(content: Content) -> str:
    """OpenTimelineIO's own JSON."""
    import opentimelineio

    text: str = opentimelineio.adapters.write_to_string(make_timeline(content), "otio_json")
    return text + "\n"


OTIO = ExportFormat(write, frames=True, packages=("opentimelineio",))
