"""``queries.csv`` and ``pairs.csv`` of one's own data set: what is looked for, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vreloc_pyg.datasets.annotations import AnnotatedVideo, features_of, step_timing
from vreloc_pyg.datasets.folder_annotations import parse_duration, parse_segment
from vreloc_pyg.datasets.folder_csv import Cells, Problem, read_rows
from vreloc_pyg.datasets.reading import check_instance
from vreloc_pyg.datasets.splits import Query, StoredQuery
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.segments import seconds_to_steps


@dataclass(frozen=True)
class QueryClip:
    """A line of ``queries.csv``.

    Args:
        line: of the file.
        query: its id.
        label: its class.
        video: key of the features it is cut from.
        segment: start and end in seconds of those; ``None``: all of them.
        duration_s: of all of them, where it is given.
        sources: what must not be searched with it, the video among them if it is not the id.
    """

    line: int
    query: str
    label: str
    video: str
    segment: tuple[float, float] | None
    duration_s: float | None
    sources: tuple[str, ...]

    def timing(self, store: FeatureStore | None) -> tuple[int, float, str]:
        """Steps, seconds per step and what is wrong of the features that it is cut from."""
        if store is not None and self.video not in store:
            return 0, 0.0, f"has no features in {store.path}"
        video = AnnotatedVideo(self.video, self.duration_s, ())
        steps, step_s, problem = step_timing(video, store)
        if not problem and self.segment is not None:
            problem = check_instance(*self.segment, steps * step_s)
        return steps, step_s, problem

    def load(self, store: FeatureStore | None) -> Query:
        """The clip; its features are read when they are asked for."""
        steps, step_s, problem = self.timing(store)
        if problem:
            raise DataError(f"Query {self.query!r} {problem}")
        first, last = 0, steps
        if self.segment is not None:
            bounds = torch.tensor([self.segment], dtype=torch.float64)
            ((first, last),) = seconds_to_steps(bounds, step_s, steps).tolist()
        features = features_of(store, self.video, first, last)
        return StoredQuery(features, step_s, self.label, self.query, self.sources)


def read_queries(path: Path) -> tuple[list[QueryClip], list[Problem]]:
    """The lines that can be read, and what is wrong with the others."""
    columns, optional = ("query", "label"), ("video", "start_s", "end_s", "duration_s", "source")
    return read_rows(path, columns, optional, parse_query)


def parse_query(cells: Cells) -> QueryClip:
    """The clip of a line; :class:`DataError` where it is none."""
    query, label = cells["query"], cells["label"]
    for name in ("query", "label"):
        if not cells[name]:
            raise DataError(f"has an empty {name}")
    video, duration_s = cells["video"] or query, parse_duration(cells)
    segment = parse_segment(cells, video, duration_s) if cells["start_s"] or cells["end_s"] else None
    sources = (() if video == query else (video,)) + cells.names("source")
    return QueryClip(cells.line, query, label, video, segment, duration_s, sources)


def check_queries(
    rows: Sequence[QueryClip], videos: Mapping[str, AnnotatedVideo], store: FeatureStore | None
) -> list[Problem]:
    """Ids that are there twice, clips without features, and those that no reference can answer."""
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    showing: dict[str, list[AnnotatedVideo]] = {}
    for video in videos.values():
        for label in video.labels:
            showing.setdefault(label, []).append(video)
    for row in rows:
        if row.query in seen:
            problems.append(Problem(row.line, f"has the query {row.query!r} of line {seen[row.query]} again"))
        seen.setdefault(row.query, row.line)
        if store is not None and (problem := row.timing(store)[2]):
            problems.append(Problem(row.line, f"query {row.query!r} {problem}"))
        answers = showing.get(row.label, [])
        if all(common_source(row, video) for video in answers):
            why = "of another source " if answers else ""
            message = f"no video {why}shows {row.label!r}: there is none to look for {row.query!r} in"
            problems.append(Problem(row.line, message, "warning"))
    return problems


def common_source(query: QueryClip, video: AnnotatedVideo) -> str | None:
    """What a query and a video share, if anything."""
    theirs = {video.video_id, *video.sources}
    return next((source for source in (query.query, *query.sources) if source in theirs), None)


@dataclass(frozen=True)
class ListedPair:
    """A line of ``pairs.csv``; without a fold it is of every fold."""

    line: int
    query: str
    reference: str
    fold: int | None


def read_pairs(path: Path) -> tuple[list[ListedPair], list[Problem]]:
    """The lines that can be read, and what is wrong with the others."""
    return read_rows(path, ("query", "reference"), ("fold",), parse_pair)


def parse_pair(cells: Cells) -> ListedPair:
    """The pair of a line; :class:`DataError` where it is none."""
    for name in ("query", "reference"):
        if not cells[name]:
            raise DataError(f"has an empty {name}")
    fold = cells["fold"]
    if fold and not (fold.isdecimal() and len(fold) < 10):
        raise DataError(f"has a fold that is no number from 0: {fold!r}")
    return ListedPair(cells.line, cells["query"], cells["reference"], int(fold) if fold else None)


def check_pairs(
    pairs: Sequence[ListedPair],
    queries: Sequence[QueryClip],
    videos: Mapping[str, AnnotatedVideo],
    num_folds: int,
) -> list[Problem]:
    """Pairs of unknown ids, of a common source, of folds that are not there, and those listed twice."""
    problems: list[Problem] = []
    clips = {query.query: query for query in reversed(queries)}
    seen: dict[tuple[str, str, int | None], int] = {}
    for pair in pairs:
        query, video = clips.get(pair.query), videos.get(pair.reference)
        if query is None:
            problems.append(Problem(pair.line, f"names the query {pair.query!r}, which queries.csv lacks"))
        if video is None:
            message = f"names the reference {pair.reference!r}, which the annotations lack"
            problems.append(Problem(pair.line, message))
        if query is not None and video is not None and (shared := common_source(query, video)):
            message = f"searches {pair.query!r} in {pair.reference!r}, which share the source {shared!r}"
            problems.append(Problem(pair.line, message))
        if pair.fold is not None and pair.fold >= num_folds:
            problems.append(Problem(pair.line, f"is of fold {pair.fold}; there are 0 to {num_folds - 1}"))
        key = (pair.query, pair.reference, pair.fold)
        if key in seen or (pair.query, pair.reference, None) in seen:
            first = seen.get(key, seen.get((pair.query, pair.reference, None)))
            problems.append(Problem(pair.line, f"is line {first} again"))
        seen.setdefault(key, pair.line)
    return problems
