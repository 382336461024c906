"""Cutting moments out of their videos, a clip each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.clock import clock
from vreloc_pyg.errors import DataError, VideoError, VrelocError
from vreloc_pyg.files import locked, read_json
from vreloc_pyg.moments import Moment


def cut_moments(
    moments: Sequence[Moment], folder: str | Path, marks: dict[str, Any] | None = None
) -> Iterator[tuple[Moment, Path, str | None]]:
    """Write a clip for each moment; gives the moment, its clip, and why there is none.

    A clip is called after its video and its time; one that is there already is never overwritten.

    Args:
        moments: of video files.
        folder: for the clips, made where it is not there.
        marks: size and date, in nanoseconds, of videos when they were searched; one of another is refused.

    Raises:
        DataError: if another process is cutting into the folder.
    """
    folder = Path(folder)
    with locked(folder / "clips"):
        for one in moments:
            place = free_name(folder, one)
            try:
                _check(one, marks or {})
                cut_clip(one.video, one.start_s, one.end_s, place)
            except (VrelocError, OSError) as error:
                yield one, place, str(error)
            else:
                yield one, place, None


def free_name(folder: Path, moment: Moment) -> Path:
    """Where the clip of a moment goes: ``name_0-01-05.500_0-01-09.000.mp4``, numbered if that is taken."""
    times = "_".join(clock(time).replace(":", "-") for time in (moment.start_s, moment.end_s))
    stem = re.sub(r"[^\w.-]+", "_", Path(moment.video).stem)[:100]
    place, number = folder / f"{stem}_{times}.mp4", 1
    while place.exists():
        number += 1
        place = folder / f"{stem}_{times}_{number}.mp4"
    return place


def marks_of(path: str | Path) -> dict[str, Any]:
    """Size and date of the videos of a file of moments, as far as it says."""
    about = read_json(path).get("about")
    files = about.get("files", {}) if isinstance(about, dict) else {}
    if not isinstance(files, dict):
        raise DataError(f"{path}: expected 'files' as sizes and dates by name")
    return files


def _check(moment: Moment, marks: dict[str, Any]) -> None:
    path = Path(moment.video)
    if not path.is_file():
        raise VideoError(f"There is no video file {path}")
    stat = path.stat()
    if moment.video in marks and [stat.st_size, stat.st_mtime_ns] != marks[moment.video]:
        raise VideoError(f"{path} has changed since it was searched: index and search again")
