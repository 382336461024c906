"""Cutting moments out of their videos, a clip each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.clock import clock
from vreloc_pyg.errors import VideoError, VrelocError
from vreloc_pyg.files import locked
from vreloc_pyg.moments import Moment


def cut_moments(
    moments: Sequence[Moment], folder: str | Path, about: Mapping[str, Any] | None = None
) -> Iterator[tuple[Moment, Path, str | None]]:
    """Write a clip for each moment; gives the moment, its clip, and why there is none.

    A clip is called after its video and its time; one that is there already is never overwritten.

    Args:
        moments: of video files.
        folder: for the clips, made where it is not there.
        about: what is kept beside them: size and date, in nanoseconds, of the ``files`` when they were
            searched, as far as it says. A video of another is not cut.

    Raises:
        DataError: if another process is cutting into the folder.
    """
    folder, marks = Path(folder), (about or {}).get("files", {})
    with locked(folder / "clips"):
        for one in moments:
            place = free_name(folder, one)
            try:
                check_unchanged(one, marks)
                cut_clip(one.video, one.start_s, one.end_s, place)
            except (VrelocError, OSError) as error:
                yield one, place, str(error)
            else:
                yield one, place, None


def clip_name(moment: Moment) -> str:
    """What the clip of a moment is called, without a suffix: ``name_0-01-05.500_0-01-09.000``."""
    times = "_".join(clock(time).replace(":", "-") for time in (moment.start_s, moment.end_s))
    stem = re.sub(r"[^\w.-]+", "_", Path(moment.video).stem)[:100]
    return f"{stem}_{times}"


def free_name(folder: Path, moment: Moment) -> Path:
    """Where the clip of a moment goes: numbered if its name is taken."""
    place, number = folder / f"{clip_name(moment)}.mp4", 1
    while place.exists():
        number += 1
        place = folder / f"{clip_name(moment)}_{number}.mp4"
    return place


def check_unchanged(moment: Moment, marks: Mapping[str, Any]) -> None:
    """Raise :class:`VideoError` if a moment's video is gone, or of another size or date than it was."""
    path = Path(moment.video)
    if not path.is_file():
        raise VideoError(f"There is no video file {path}")
    stat = path.stat()
    if moment.video in marks and [stat.st_size, stat.st_mtime_ns] != marks[moment.video]:
        raise VideoError(f"{path} has changed since it was searched: index and search again")
