"""Results as moments: those of an answer, and those of a file of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_json
from vreloc_pyg.moments import Moment, Verdict, load_moments


def load_results(path: str | Path) -> tuple[list[Moment], dict[str, Any]]:
    """The moments of a file, best first, and what they are of.

    Args:
        path: JSON of :func:`.save_moments`, or of ``vreloc locate --json``.

    Raises:
        DataError: if it is neither, with the number of a wrong moment.
    """
    values = read_json(path)
    if isinstance(values, dict) and "moments" in values:
        about = values.get("about")
        about = about if isinstance(about, dict) else {}
        if not isinstance(about.get("files", {}), dict):
            raise DataError(f"{path}: expected 'files' as sizes and dates by name")
        return load_moments(path), about
    if not isinstance(values, dict) or not {"reference", "segments"} <= set(values):
        raise DataError(f"{path} holds no results: expected 'moments', or the 'segments' of `vreloc locate`")
    try:
        found = _moments(values)
    except (TypeError, KeyError, AttributeError, DataError) as error:
        raise DataError(f"{path} holds a wrong segment: {error}") from None
    return found, {"query": str(values.get("query", "")), "system": str(values.get("system", ""))}


def _moments(values: dict[str, Any]) -> list[Moment]:
    """A segment without a verdict of its own has that of the answer, where that found nothing."""
    verdict: Verdict | None = "not found" if values.get("match") is False else None
    video = str(values["reference"])
    return [
        Moment(video, one["start_s"], one["end_s"], one["score"], one.get("verdict", verdict))
        for one in values["segments"]
    ]
