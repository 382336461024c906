"""Projects of BORIS, and the tables of aggregated events that it exports.

Source: https://www.boris.unito.it/user_guide/
"""

from __future__ import annotations

import csv
import io
from typing import Any

from vreloc_pyg.datasets.imports.action import Reading
from vreloc_pyg.datasets.imports.cells import from_text

#: Columns that tell a table of aggregated events.
COLUMNS = ("Behavior", "Start (s)", "Stop (s)")
#: Columns that may say which video it is, best first.
VIDEOS = ("Media file name", "Media file", "Media file path", "Observation id")


def read_boris(reading: Reading, project: dict[str, Any]) -> None:
    """State events, whose begins and ends follow each other in turn; point events last no time."""
    try:
        kinds = {one["code"]: one["type"] for one in project["behaviors_conf"].values()}
        for name, observation in project["observations"].items():
            _read_observation(reading, str(name), observation, kinds)
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, ValueError):  # a DataError of ours is one, and says more
            raise
        raise reading.bad("observations", f"is no project of BORIS: {error!r}") from None


def _read_observation(reading: Reading, name: str, observation: Any, kinds: dict[str, str]) -> None:
    where = f"observation {name!r}"
    files = observation.get("file") or {}
    media = list(files.get("1") or []) if isinstance(files, dict) else []
    lengths = (observation.get("media_info") or {}).get("length") or {}
    offset = reading.number(observation.get("time offset", 0), where)
    begun: dict[tuple[str, ...], float] = {}
    for number, event in enumerate(sorted(observation["events"], key=lambda one: one[0]), start=1):
        place = f"{where}, event {number}"
        code = str(event[2])
        if not kinds.get(code, "").startswith("State"):
            reading.notes.add("point events, which last no time, left out", f"{name} {code}")
            continue
        key = tuple(str(part) for part in event[1:4])
        time = reading.number(event[0], place) - offset
        if key not in begun:
            begun[key] = time
            continue
        start = begun.pop(key)
        if start == time:
            reading.notes.add("state events of no length, left out", f"{name} {code}")
            continue
        video, before = _medium(media, lengths, start, name)
        reading.add(video, start - before, time - before, code, place)
    for key in begun:
        reading.notes.add("state events without an end, left out", f"{name} {key[1]}")


def _medium(media: list[str], lengths: dict[str, float], time: float, name: str) -> tuple[str, float]:
    """The file that is played at a second of an observation, and the second at which it began."""
    before = 0.0
    for medium in media[:-1]:
        length = float(lengths.get(medium, 0))
        if time < before + length:
            return medium, before
        before += length
    return (media[-1], before) if media else (name, 0.0)


def read_boris_table(reading: Reading, text: str, separator: str) -> None:
    """A table of aggregated events, whose cells are parted by commas, semicolons or tabs."""
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in rows:
            where = f"line {rows.line_num}"
            if str(row.get("Behavior type") or "STATE").upper().startswith("POINT"):
                reading.notes.add("point events, which last no time, left out", where)
                continue
            video = next((row[name] for name in VIDEOS if row.get(name)), reading.path.stem)
            start, end = (reading.number(row[column], where) for column in COLUMNS[1:])
            reading.add(from_text(video), start, end, from_text(row["Behavior"] or ""), where)
    except csv.Error as error:
        raise reading.bad(f"line {rows.line_num}", f"is no CSV: {error}") from None
