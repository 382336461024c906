"""The user's own videos: features, and one CSV of annotations."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vreloc_pyg.datasets.annotations import AnnotatedDataset, AnnotatedVideo, step_timing
from vreloc_pyg.datasets.reading import Instance, check_instance, only_file
from vreloc_pyg.datasets.task import annotated_task
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import FeatureStore

#: What is read of a folder.
FILES = ("annotations.csv", "*.csv")
COLUMNS = ("video", "start_s", "end_s", "label")
DURATION = "duration_s"


@dataclass(frozen=True)
class Problem:
    """Something wrong with a line of a CSV, counted from 1; a warning does not keep it from being used."""

    line: int
    message: str
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class Row:
    """A line that could be read."""

    line: int
    video: str
    start_s: float
    end_s: float
    label: str
    duration_s: float | None


class Folder(AnnotatedDataset):
    """Annotations of a CSV with the columns ``video, start_s, end_s, label``.

    ``video`` is the features' key, the file name without suffix; times are in seconds of the video. A column
    ``duration_s`` may give the video's duration; other columns are ignored, as are blank lines and lines
    that begin with ``#``.

    Args:
        root: the CSV, or a folder with ``annotations.csv`` or one other CSV.

    Raises:
        DataError: with the first errors that :func:`validate_csv` finds, and their lines.
    """

    name = "folder"

    def __init__(self, root: str | Path) -> None:
        self.path = only_file(Path(root), *FILES)
        rows, problems = read_rows(self.path)
        errors = [one for one in [*problems, *check_rows(rows)] if one.severity == "error"]
        if errors:
            shown = "; ".join(f"line {problem.line}: {problem.message}" for problem in errors[:3])
            more = f"; {len(errors) - 3} more, see `vreloc validate`" if len(errors) > 3 else ""
            raise DataError(f"{self.path}, {shown}{more}")
        super().__init__([make_video(video_id, ours) for video_id, ours in by_video(rows).items()])


def by_video(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of every video, videos as they first appear."""
    videos: dict[str, list[Row]] = {}
    for row in rows:
        videos.setdefault(row.video, []).append(row)
    return videos


def make_video(video_id: str, rows: list[Row]) -> AnnotatedVideo:
    """A video and its instances."""
    instances: tuple[Instance, ...] = tuple(sorted((row.start_s, row.end_s, row.label) for row in rows))
    duration_s = next((row.duration_s for row in rows if row.duration_s is not None), None)
    return AnnotatedVideo(video_id, duration_s, instances)


def validate_csv(path: str | Path, store: FeatureStore | None = None) -> list[Problem]:
    """Every problem of a CSV of annotations, in one pass, by line.

    Args:
        path: the CSV, or a folder that holds it.
        store: features that must hold the videos; they also say how long a video is.
    """
    rows, problems = read_rows(only_file(Path(path), *FILES))
    problems += check_rows(rows)
    if store is not None:
        problems += check_features(rows, store)
    return sorted(problems, key=lambda problem: problem.line)


def read_rows(path: Path) -> tuple[list[Row], list[Problem]]:
    """The lines that can be read, and what is wrong with the others."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[Row] = []
    problems: list[Problem] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
                continue
            cells = [cell.strip() for cell in cells]
            if header is None:
                header = [cell.lower() for cell in cells]
                wrong = check_header(header, line)
                if wrong:
                    return [], wrong
                continue
            try:
                rows.append(parse_row(header, cells, line))
            except DataError as error:
                problems.append(Problem(line, str(error)))
    except csv.Error as error:
        problems.append(Problem(reader.line_num, f"is no CSV: {error}"))
    if header is None:
        problems.append(Problem(1, f"the file is empty; expected the header {','.join(COLUMNS)}"))
    elif not rows and not problems:
        problems.append(Problem(1, "there is no annotation below the header"))
    return rows, problems


def check_header(header: list[str], line: int) -> list[Problem]:
    """Columns that are missing or there twice."""
    problems = []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        problems.append(Problem(line, f"lacks the column {', '.join(missing)}; expected {','.join(COLUMNS)}"))
    for name in sorted({name for name in header if header.count(name) > 1 and name in (*COLUMNS, DURATION)}):
        problems.append(Problem(line, f"has the column {name} twice"))
    return problems


def parse_row(header: list[str], cells: list[str], line: int) -> Row:
    """The row of a line, or a :class:`DataError` that says what is wrong with it."""
    if len(cells) < len(header):
        raise DataError(f"has {len(cells)} cells, expected {len(header)}: it may be cut off")
    named = dict(zip(header, cells, strict=False))
    for name in ("video", "label"):
        if not named[name]:
            raise DataError(f"has an empty {name}")
    start_s, end_s = number(named, "start_s"), number(named, "end_s")
    duration_s = number(named, DURATION) if named.get(DURATION) else None
    if duration_s is not None and not 0 < duration_s < math.inf:
        raise DataError(f"has a {DURATION} that is not positive: {duration_s:g}")
    problem = "has no length" if start_s == end_s else check_instance(start_s, end_s, duration_s)
    if problem:
        raise DataError(f"the segment [{start_s:g}, {end_s:g}] of {named['video']!r} {problem}")
    end_s = end_s if duration_s is None else min(end_s, duration_s)
    return Row(line, named["video"], start_s, end_s, named["label"], duration_s)


def number(named: dict[str, str], name: str) -> float:
    """The number of a cell, or a :class:`DataError` that says which is none."""
    try:
        return float(named[name])
    except ValueError:
        raise DataError(f"has a {name} that is no number: {named[name]!r}") from None


def check_rows(rows: list[Row]) -> list[Problem]:
    """What is wrong with rows taken together."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str, float, float], int] = {}
    durations: dict[str, Row] = {}
    groups: dict[tuple[str, str], list[Row]] = {}
    labels: dict[str, list[Row]] = {}
    for row in rows:
        labels.setdefault(row.label, []).append(row)
        key = (row.video, row.label, row.start_s, row.end_s)
        if key in seen:
            problems.append(Problem(row.line, f"is line {seen[key]} again"))
            continue
        seen[key] = row.line
        groups.setdefault((row.video, row.label), []).append(row)
        if row.duration_s is not None:
            first = durations.setdefault(row.video, row)
            if first.duration_s != row.duration_s:
                given = f"gives {row.video!r} a duration of {row.duration_s:g} s"
                problems.append(Problem(row.line, f"{given}, line {first.line} of {first.duration_s:g} s"))
    for (video, label), ours in groups.items():
        ours = sorted(ours, key=lambda row: (row.start_s, row.end_s))
        furthest = ours[0]
        for row in ours[1:]:
            if row.start_s < furthest.end_s:
                line, other = max(row.line, furthest.line), min(row.line, furthest.line)
                problems.append(Problem(line, f"overlaps line {other}: both are {label!r} in {video!r}"))
            furthest = max(furthest, row, key=lambda row: row.end_s)
    for label, ours in labels.items():
        if len({row.video for row in ours}) == 1:
            message = f"{label!r} is in one video only: there is no other to look for it in"
            problems.append(Problem(ours[0].line, message, "warning"))
    if rows and len(labels) < 3:
        message = f"there are {len(labels)} classes; training, validation and test need one each"
        problems.append(Problem(rows[0].line, message))
    return problems


def check_features(rows: list[Row], store: FeatureStore) -> list[Problem]:
    """Videos without features, and segments past the end of them."""
    problems: list[Problem] = []
    videos = by_video(rows)
    missing = {video for video in videos if video not in store}
    for video, ours in videos.items():
        if video in missing:
            message = f"{video!r} has no features in {store.path} ({len(missing)} such videos)"
            problems.append(Problem(ours[0].line, message))
            continue
        steps, step_s, problem = step_timing(make_video(video, ours), store)
        if problem:
            problems.append(Problem(ours[0].line, f"{video!r} {problem}"))
            continue
        for row in ours:
            past = check_instance(row.start_s, row.end_s, steps * step_s)
            if past:
                segment = f"the segment [{row.start_s:g}, {row.end_s:g}] of {video!r}"
                problems.append(Problem(row.line, f"{segment} {past}"))
    return problems


TASK = annotated_task(Folder.name, Folder)
