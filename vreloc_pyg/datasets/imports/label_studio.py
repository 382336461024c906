"""Exports of Label Studio in JSON: ranges on a timeline, and rectangles for as long as they are there.

Source: https://labelstud.io/tags/timelinelabels and https://labelstud.io/tags/videorectangle
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from vreloc_pyg.datasets.imports.action import Reading
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.video.facts import parse_rate


def read_label_studio(reading: Reading, tasks: list[Any]) -> None:
    """What people said of each task; predictions of tasks that nobody has looked at.

    The frame rate is the one that our own export puts beside the video, or that of a rectangle's
    ``framesCount`` and ``duration``, or as of :meth:`.Reading.facts`.
    """
    for number, task in enumerate(tasks, start=1):
        where = f"task {number}"
        if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
            raise reading.bad(where, "expected an object with 'data'")
        video = _video(reading, task["data"], where)
        said = _list(reading, task.get("annotations", task.get("completions")), where)
        said = [one for one in said if isinstance(one, dict) and not one.get("was_cancelled")]
        guessed = [] if said else _list(reading, task.get("predictions"), where)
        results = [
            result
            for one in (said or guessed)
            if isinstance(one, dict)
            for result in _list(reading, one.get("result"), where)
        ]
        rate = _rate(reading, task["data"], results, where)
        ours = reading if rate is None else replace(reading, rate=rate, _facts={})
        for place, result in enumerate(results, start=1):
            _read(ours, video, result, f"{where}, result {place}")


def _video(reading: Reading, data: dict[str, Any], where: str) -> str:
    names = [key for key in data if key.startswith("video")] + list(data)
    found = next((data[key] for key in names if isinstance(data[key], str) and data[key]), None)
    if found is None:
        raise reading.bad(where, "its 'data' name no video")
    return str(found)


def _rate(reading: Reading, data: dict[str, Any], results: list[Any], where: str) -> Fraction | None:
    if "frame_rate" in data:
        try:
            return parse_rate(str(data["frame_rate"]))
        except SettingsError as error:
            raise reading.bad(where, str(error)) from None
    for result in results:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict) and {"framesCount", "duration"} <= set(value):
            counted, lasting = (reading.number(value[key], where) for key in ("framesCount", "duration"))
            if counted > 0 and lasting > 0:
                return Fraction(counted) / Fraction(lasting)
    return None


def _read(reading: Reading, video: str, result: Any, where: str) -> None:
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(value, dict):
        raise reading.bad(where, "expected an object with a 'value'")
    if "timelinelabels" in value:
        labels = _list(reading, value["timelinelabels"], where)
        for one in _list(reading, value.get("ranges"), where):
            if not isinstance(one, dict):
                raise reading.bad(where, f"expected a range (got {one!r})")
            first, last = (reading.number(one.get(key), where) for key in ("start", "end"))
            frames = max(first - 1, 0), last
            for label in labels:
                reading.add_frames(video, frames, label, where)
    elif "sequence" in value:
        for frames in _enabled(reading, value, where):
            for label in _list(reading, value.get("labels"), where):
                reading.add_frames(video, frames, label, where)


def _enabled(reading: Reading, value: dict[str, Any], where: str) -> Iterator[tuple[float, float]]:
    """Frames ``[first, stop)`` from a keyframe that is enabled to the next that is not, that one included."""
    first = last = None
    for one in _list(reading, value["sequence"], where):
        if not isinstance(one, dict):
            raise reading.bad(where, f"expected a keyframe (got {one!r})")
        last = reading.number(one.get("frame"), where)
        first = last if first is None else first
        if not one.get("enabled", True):
            yield max(first - 1, 0), last
            first = None
    if first is not None and last is not None:
        yield max(first - 1, 0), max(last, reading.number(value.get("framesCount", last), where))


def _list(reading: Reading, value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise reading.bad(where, f"expected a list (got {value!r:.40})")
    return value
