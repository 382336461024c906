"""Moments as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from vreloc_pyg.clock import clock
from vreloc_pyg.library.messages import shown
from vreloc_pyg.moments import Moment


def moment_table(moments: Sequence[Moment], videos: bool) -> list[str]:
    """A heading and a line for each moment, best first; verdicts where any is known.

    Args:
        moments: that were found.
        videos: whether each line ends with the moment's video.
    """
    judged = any(one.verdict is not None for one in moments)
    rows = [("score", "verdict", "video")]
    rows += [(f"{one.score:+.3f}", one.verdict or "-", shown(one.video)) for one in moments]
    times = ["rank  start        end        "]
    times += [
        f"{rank:4}  {clock(one.start_s):11}  {clock(one.end_s):11}"
        for rank, one in enumerate(moments, start=1)
    ]
    lines = []
    for time, (score, verdict, video) in zip(times, rows, strict=True):
        cells = [time, f"{score:6}", *([f"{verdict:9}"] if judged else []), *([video] if videos else [])]
        lines.append("  ".join(cells).rstrip())
    return lines
