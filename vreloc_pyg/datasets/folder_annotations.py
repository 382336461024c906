"""``annotations.csv`` of one's own data set: what the videos that are searched show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from vreloc_pyg.datasets.annotations import AnnotatedVideo, step_timing
from vreloc_pyg.datasets.folder_csv import Cells, Problem, read_rows
from vreloc_pyg.datasets.reading import Instance, check_instance
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import FeatureStore

COLUMNS = ("video", "start_s", "end_s", "label")
OPTIONAL = ("duration_s", "source")


@dataclass(frozen=True)
class Annotation:
    """A line: an instance, or with an empty label a video without any."""

    line: int
    video: str
    start_s: float
    end_s: float
    label: str
    duration_s: float | None
    sources: tuple[str, ...]


def read_annotations(path: Path) -> tuple[list[Annotation], list[Problem]]:
    """The lines that can be read, and what is wrong with the others."""
    return read_rows(path, COLUMNS, OPTIONAL, parse_annotation)


def parse_annotation(cells: Cells) -> Annotation:
    """The annotation of a line; :class:`DataError` where it is none."""
    video, label = cells["video"], cells["label"]
    if not video:
        raise DataError("has an empty video")
    duration_s = parse_duration(cells)
    about = duration_s, cells.names("source")
    if not any(cells[name] for name in ("start_s", "end_s", "label")):
        return Annotation(cells.line, video, 0.0, 0.0, "", *about)
    if not label:
        raise DataError("has an empty label")
    start_s, end_s = parse_segment(cells, video, duration_s)
    return Annotation(cells.line, video, start_s, end_s, label, *about)


def parse_duration(cells: Cells) -> float | None:
    """The duration in seconds, where there is one."""
    duration_s = cells.number("duration_s") if cells["duration_s"] else None
    if duration_s is not None and not 0 < duration_s < math.inf:
        raise DataError(f"has a duration_s that is not positive: {duration_s:g}")
    return duration_s


def parse_segment(cells: Cells, video: str, duration_s: float | None) -> tuple[float, float]:
    """Start and end in seconds."""
    start_s, end_s = cells.number("start_s"), cells.number("end_s")
    problem = "has no length" if start_s == end_s else check_instance(start_s, end_s, duration_s)
    if problem:
        raise DataError(f"the segment [{start_s:g}, {end_s:g}] of {video!r} {problem}")
    return start_s, end_s if duration_s is None else min(end_s, duration_s)


def by_video(rows: list[Annotation]) -> dict[str, list[Annotation]]:
    """The rows of every video, videos as they first appear."""
    videos: dict[str, list[Annotation]] = {}
    for row in rows:
        videos.setdefault(row.video, []).append(row)
    return videos


def make_video(video_id: str, rows: list[Annotation]) -> AnnotatedVideo:
    """A video, its instances, and the sources of all its lines."""
    instances: tuple[Instance, ...] = tuple(
        sorted((row.start_s, row.end_s, row.label) for row in rows if row.label)
    )
    duration_s = next((row.duration_s for row in rows if row.duration_s is not None), None)
    sources = tuple(dict.fromkeys(source for row in rows for source in row.sources))
    return AnnotatedVideo(video_id, duration_s, instances, sources=sources)


def check_annotations(rows: list[Annotation], apart: bool = False) -> list[Problem]:
    """What is wrong with rows taken together; ``apart``: queries are not among their instances."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str, float, float], int] = {}
    durations: dict[str, Annotation] = {}
    groups: dict[tuple[str, str], list[Annotation]] = {}
    labels: dict[str, list[Annotation]] = {}
    for row in rows:
        key = (row.video, row.label, row.start_s, row.end_s)
        if key in seen:
            problems.append(Problem(row.line, f"is line {seen[key]} again"))
            continue
        seen[key] = row.line
        if row.duration_s is not None:
            first = durations.setdefault(row.video, row)
            if first.duration_s != row.duration_s:
                given = f"gives {row.video!r} a duration of {row.duration_s:g} s"
                problems.append(Problem(row.line, f"{given}, line {first.line} of {first.duration_s:g} s"))
        if row.label:
            groups.setdefault((row.video, row.label), []).append(row)
            labels.setdefault(row.label, []).append(row)
    for (video, label), ours in groups.items():
        ours = sorted(ours, key=lambda row: (row.start_s, row.end_s))
        furthest = ours[0]
        for row in ours[1:]:
            if row.start_s < furthest.end_s:
                line, other = max(row.line, furthest.line), min(row.line, furthest.line)
                problems.append(Problem(line, f"overlaps line {other}: both are {label!r} in {video!r}"))
            furthest = max(furthest, row, key=lambda row: row.end_s)
    for label, ours in labels.items():
        if not apart and len({row.video for row in ours}) == 1:
            message = f"{label!r} is in one video only: there is no other to look for it in"
            problems.append(Problem(ours[0].line, message, "warning"))
    if rows and len(labels) < 3:
        message = f"there are {len(labels)} classes; training, validation and test need one each"
        problems.append(Problem(rows[0].line, message))
    return problems


def check_features(rows: list[Annotation], store: FeatureStore) -> list[Problem]:
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
