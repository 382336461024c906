"""The user's own videos: features, and one CSV of annotations."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vreloc_pyg.datasets.annotations import (
    AnnotatedDataset,
    AnnotatedVideo,
    Instance,
    check_instance,
    find_file,
    step_timing,
)
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import FeatureStore

COLUMNS = ("video", "start_s", "end_s", "label")
DURATION = "duration_s"


@dataclass(frozen=True)
class Problem:
    """Something wrong with a line of a CSV.

    Args:
        line: its number, from 1; the header's is 1.
        message: what is wrong and where.
        severity: an error keeps the file from being used, a warning does not.
    """

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
        DataError: if :func:`validate_csv` finds an error; the first are named, with their lines.
    """

    name = "folder"

    def __init__(self, root: str | Path) -> None:
        self.path = annotation_csv(Path(root))
        rows, problems = read_rows(self.path)
        problems += check_rows(rows)
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors:
            shown = "; ".join(f"line {problem.line}: {problem.message}" for problem in errors[:3])
            more = f"; {len(errors) - 3} more, see `vreloc validate`" if len(errors) > 3 else ""
            raise DataError(f"{self.path}, {shown}{more}")
        videos: dict[str, list[Row]] = {}
        for row in rows:
            videos.setdefault(row.video, []).append(row)
        super().__init__([make_video(video_id, ours) for video_id, ours in videos.items()])


def annotation_csv(root: Path) -> Path:
    """The CSV in a folder, or the file itself."""
    if not root.is_dir():
        return root
    found = find_file(root, "annotations.csv")
    others = [path for path in sorted(root.iterdir()) if path.suffix.lower() == ".csv"]
    if found is None and len(others) != 1:
        raise DataError(f"Expected annotations.csv in {root} (found {len(others)} CSV files)")
    return found or others[0]


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

    Raises:
        DataError: if the file cannot be read at all.
    """
    rows, problems = read_rows(annotation_csv(Path(path)))
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
            row, message = parse_row(header, cells, line)
            if row is None:
                problems.append(Problem(line, message))
            else:
                rows.append(row)
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


def parse_row(header: list[str], cells: list[str], line: int) -> tuple[Row | None, str]:
    """The row of a line, or what is wrong with it."""
    if len(cells) < len(header):
        return None, f"has {len(cells)} cells, expected {len(header)}: it may be cut off"
    named = dict(zip(header, cells, strict=False))
    for name in ("video", "label"):
        if not named[name]:
            return None, f"has an empty {name}"
    numbers: dict[str, float | None] = {}
    for name in ("start_s", "end_s", DURATION):
        text = named.get(name, "")
        if name == DURATION and not text:
            numbers[name] = None
            continue
        try:
            numbers[name] = float(text)
        except ValueError:
            return None, f"has a {name} that is no number: {text!r}"
    start_s, end_s, duration_s = numbers["start_s"], numbers["end_s"], numbers[DURATION]
    assert start_s is not None
    assert end_s is not None
    if duration_s is not None and not 0 < duration_s < math.inf:
        return None, f"has a {DURATION} that is not positive: {duration_s:g}"
    problem = check_instance(start_s, end_s, duration_s)
    if start_s == end_s:
        problem = "has no length"
    if problem:
        return None, f"the segment [{start_s:g}, {end_s:g}] of {named['video']!r} {problem}"
    end_s = end_s if duration_s is None else min(end_s, duration_s)
    return Row(line, named["video"], start_s, end_s, named["label"], duration_s), ""


def check_rows(rows: list[Row]) -> list[Problem]:
    """What is wrong with rows taken together."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str, float, float], int] = {}
    durations: dict[str, Row] = {}
    for row in rows:
        key = (row.video, row.label, row.start_s, row.end_s)
        if key in seen:
            problems.append(Problem(row.line, f"is line {seen[key]} again"))
            continue
        seen[key] = row.line
        if row.duration_s is not None:
            first = durations.setdefault(row.video, row)
            if first.duration_s != row.duration_s:
                problems.append(
                    Problem(
                        row.line,
                        f"gives {row.video!r} a duration of {row.duration_s:g} s, line {first.line} of "
                        f"{first.duration_s:g} s",
                    )
                )
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if seen.get((row.video, row.label, row.start_s, row.end_s)) == row.line:
            groups.setdefault((row.video, row.label), []).append(row)
    for (video, label), ours in groups.items():
        ours = sorted(ours, key=lambda row: (row.start_s, row.end_s))
        furthest = ours[0]
        for row in ours[1:]:
            if row.start_s < furthest.end_s:
                line, other = max(row.line, furthest.line), min(row.line, furthest.line)
                problems.append(Problem(line, f"overlaps line {other}: both are {label!r} in {video!r}"))
            if row.end_s > furthest.end_s:
                furthest = row
    labels: dict[str, set[str]] = {}
    for row in rows:
        labels.setdefault(row.label, set()).add(row.video)
    for label, videos in labels.items():
        if len(videos) == 1:
            line = next(row.line for row in rows if row.label == label)
            message = f"{label!r} is in one video only: there is no other to look for it in"
            problems.append(Problem(line, message, "warning"))
    if rows and len(labels) < 3:
        message = f"there are {len(labels)} classes; training, validation and test need one each"
        problems.append(Problem(rows[0].line, message))
    return problems


def check_features(rows: list[Row], store: FeatureStore) -> list[Problem]:
    """Videos without features, and segments past the end of them."""
    problems: list[Problem] = []
    videos: dict[str, list[Row]] = {}
    for row in rows:
        videos.setdefault(row.video, []).append(row)
    missing = [video for video in videos if video not in store]
    for video in missing:
        line = videos[video][0].line
        problems.append(
            Problem(line, f"{video!r} has no features in {store.path} ({len(missing)} such videos)")
        )
    for video in set(videos) - set(missing):
        steps, step_s, problem = step_timing(make_video(video, videos[video]), store)
        if problem:
            problems.append(Problem(videos[video][0].line, f"{video!r} {problem}"))
            continue
        for row in videos[video]:
            past = check_instance(row.start_s, row.end_s, steps * step_s)
            if past:
                problems.append(
                    Problem(row.line, f"the segment [{row.start_s:g}, {row.end_s:g}] of {video!r} {past}")
                )
    return problems
