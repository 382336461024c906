"""Annotations of any tool, told by what is in the file, as the lines of ``annotations.csv``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vreloc_pyg import errors
from vreloc_pyg.datasets.activitynet import ActivityNet
from vreloc_pyg.datasets.folder_annotations import COLUMNS
from vreloc_pyg.datasets.imports.action import LARGEST, Action, Reading
from vreloc_pyg.datasets.imports.boris import COLUMNS as BORIS_COLUMNS
from vreloc_pyg.datasets.imports.boris import read_boris, read_boris_table
from vreloc_pyg.datasets.imports.cells import as_text, from_text
from vreloc_pyg.datasets.imports.cvat import read_cvat
from vreloc_pyg.datasets.imports.elan import read_elan
from vreloc_pyg.datasets.imports.label_studio import read_label_studio
from vreloc_pyg.datasets.imports.safe_xml import parse_xml
from vreloc_pyg.datasets.imports.timelines import read_edl, read_timeline
from vreloc_pyg.datasets.reading import Notes
from vreloc_pyg.errors import DataError
from vreloc_pyg.files import parse_json, read_text, write_text
from vreloc_pyg.moments import load_moments

KNOWN = (
    "ELAN, Label Studio, CVAT, BORIS, ActivityNet, OpenTimelineIO, an edit list, or moments as JSON or CSV"
)


def read_actions(
    paths: Sequence[str | Path],
    *,
    rate: Fraction | None = None,
    videos: str | Path | None = None,
    notes: Notes | None = None,
) -> list[Action]:
    """The labelled stretches of files of any of these tools, by video and time, each once.

    Args:
        paths: files; what they are is told by their content.
        rate: frames per second of videos in formats that count frames and do not say it.
        videos: folder of the videos, which then say it.
        notes: what was left out is added.

    Raises:
        DataError: if a file is none of these, or wrong; it names the file and the place in it.
    """
    noted, found = Notes() if notes is None else notes, dict[Action, None]()
    for path in map(Path, paths):
        reading = Reading(path, rate, None if videos is None else Path(videos), noted)
        with errors.reading(path):  # what a library, or a number that is too large, raises in spite of all
            _read(reading)
        for action in reading.actions:
            if action in found:
                noted.add("stretches that are there twice, taken once", f"{action.video} {action.label}")
            found[action] = None
    return sorted(found)


def write_annotations(path: str | Path, actions: Sequence[Action]) -> Path:
    """Write ``annotations.csv`` of a data set, with an apostrophe before what looks like a formula."""
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in actions:
        rows.writerow([as_text(one.video), repr(one.start_s), repr(one.end_s), as_text(one.label)])
    return write_text(path, file.getvalue())


def _read(reading: Reading) -> None:
    path = reading.path
    if path.is_file() and path.stat().st_size > LARGEST:
        raise DataError(f"{path} is larger than {LARGEST // 2**20} MB: annotations are not")
    text = read_text(path)
    start = text.lstrip()[:1]
    if start == "<":
        root, lines = parse_xml(text, path)
        if root.tag == "ANNOTATION_DOCUMENT":
            return read_elan(reading)
        if root.tag == "annotations":
            return read_cvat(reading, root, lines)
    elif start in ("{", "["):
        if _read_json(reading, text, parse_json(text, path)):
            return None
    elif re.match(r"\s*(TITLE:|FCM:|\d{3,6}\s+\S+\s+\S+\s+[CDWK])", text):
        return read_edl(reading, text)
    elif _read_table(reading, text):
        return None
    raise DataError(f"{path} is no file of {KNOWN}")


def _read_json(reading: Reading, text: str, values: Any) -> bool:
    if isinstance(values, list):
        if values and not (isinstance(values[0], dict) and "data" in values[0]):
            return False
        read_label_studio(reading, values)
        return True
    if "OTIO_SCHEMA" in values:
        read_timeline(reading, text)
    elif "observations" in values and "behaviors_conf" in values:
        read_boris(reading, values)
    elif "moments" in values:
        for number, one in enumerate(load_moments(reading.path), start=1):
            if one.verdict != "not found":
                reading.add(one.video, one.start_s, one.end_s, one.label, f"moment {number}")
    elif "data" in values and {"annotations", "predictions"} & set(values):
        read_label_studio(reading, [values])
    elif "database" in values or (values and all(key.startswith("v_") for key in values)):
        dataset = ActivityNet(reading.path)
        for video in dataset.videos:
            for start_s, end_s, label in video.instances:
                reading.actions.append(Action(video.video_id, start_s, end_s, label))
        for note in dataset.notes:
            reading.notes.add(note, reading.path.name)
    else:
        return False
    return True


def _read_table(reading: Reading, text: str) -> bool:
    text = text.lstrip()
    head = text.partition("\n")[0]
    separator = max("\t;,", key=head.count)
    if set(BORIS_COLUMNS) <= set(next(csv.reader([head], delimiter=separator), [])):
        read_boris_table(reading, text, separator)
        return True
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            return False
        for row in rows:
            where = f"line {rows.line_num}"
            start, end = (reading.number(row[name], where) for name in ("start_s", "end_s"))
            reading.add(from_text(row["video"] or ""), start, end, from_text(row["label"] or ""), where)
    except csv.Error as error:
        raise reading.bad(f"line {rows.line_num}", f"is no CSV: {error}") from None
    return True
