"""Times as people read and write them."""

from __future__ import annotations

import re

from vreloc_pyg.errors import SettingsError

_TIME = re.compile(r"(?:(?:(?P<hours>\d{1,9}):)?(?P<minutes>\d{1,9}):)?(?P<seconds>\d{1,12}(?:\.\d*)?|\.\d+)")


def clock(seconds: float) -> str:
    """``h:mm:ss.mmm``.

    Example:
        >>> clock(3725.5)
        '1:02:05.500'
    """
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def parse_time(time: float | str) -> float:
    """Seconds of a number, or a clock time ``m:ss`` or ``h:mm:ss``; :class:`SettingsError` if it is neither.

    Example:
        >>> parse_time("1:02:05.500")
        3725.5
    """
    found = _TIME.fullmatch(str(time).strip())
    if found is None:
        raise SettingsError(f"Expected a time in seconds or as h:mm:ss (got {time!r})")
    parts = found.groupdict(default="0")
    return 3600 * int(parts["hours"]) + 60 * int(parts["minutes"]) + float(parts["seconds"])
