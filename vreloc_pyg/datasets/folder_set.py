"""The files of one's own data set, read and checked together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from vreloc_pyg.datasets.annotations import AnnotatedVideo
from vreloc_pyg.datasets.folder_annotations import (
    Annotation,
    by_video,
    check_annotations,
    check_features,
    make_video,
    read_annotations,
)
from vreloc_pyg.datasets.folder_csv import Problem
from vreloc_pyg.datasets.folder_json import OwnSkeleton, check_folds, read_folds, read_skeleton
from vreloc_pyg.datasets.folder_queries import (
    ListedPair,
    QueryClip,
    check_pairs,
    check_queries,
    read_pairs,
    read_queries,
)
from vreloc_pyg.datasets.folds import ClassFold
from vreloc_pyg.datasets.reading import find_file, only_file
from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.store import FeatureStore, open_store

ANNOTATIONS, QUERIES, PAIRS = "annotations.csv", "queries.csv", "pairs.csv"
FOLDS, SKELETON = "folds.json", "skeleton.json"
#: Where features are looked for that are not given.
FEATURES = ("features", "features.h5", "features.hdf5")


@dataclass
class FolderSet:
    """What was found in the files of a data set; ``None`` where there is no such file.

    Args:
        path: of the annotations.
        annotations: their lines.
        videos: the same by video.
        queries, pairs, folds, skeleton: of the files of those names.
        problems: everything that is wrong with the files.
    """

    path: Path
    annotations: list[Annotation]
    videos: dict[str, AnnotatedVideo]
    queries: list[QueryClip] | None = None
    pairs: list[ListedPair] | None = None
    folds: list[ClassFold] | None = None
    skeleton: OwnSkeleton | None = None
    problems: list[Problem] = field(default_factory=list)

    def misfits(self, store: FeatureStore) -> list[Problem]:
        """Features that do not fit the skeleton, or are not as wide as those of the first video."""
        problem_of = WidthCheck(store, self.skeleton)
        annotations = [(row.line, row.video) for row in self.annotations]
        queries = [(row.line, row.video) for row in self.queries or ()]
        found: list[Problem] = []
        for path, rows in ((self.path, annotations), (self.path.with_name(QUERIES), queries)):
            seen: set[str] = set()
            for line, video in rows:
                if video in store and video not in seen and (problem := problem_of(video)):
                    found.append(Problem(line, f"{video!r} {problem}", path=str(path)))
                seen.add(video)
        return found

    def add(self, path: Path, problems: Iterable[Problem]) -> None:
        """More problems, of one file, by line."""
        ordered = sorted(problems, key=lambda problem: problem.line)
        self.problems += [replace(problem, path=str(path)) for problem in ordered]

    @property
    def classes(self) -> set[str]:
        """Every class that a video or a query shows."""
        shown = {row.label for row in self.annotations if row.label}
        return shown | {query.label for query in self.queries or ()}


def read_folder(root: Path, store: FeatureStore | None = None) -> FolderSet:
    """Read every file of a data set.

    Args:
        root: its folder, or its annotations alone.
        store: features that must fit.

    Raises:
        DataError: if a file cannot be read at all; what is wrong with lines is among the ``problems``.
    """
    path = find_file(root, ANNOTATIONS) or only_file(root, ANNOTATIONS, "*.csv")
    files = {name: find_file(root, name) for name in (QUERIES, PAIRS, FOLDS, SKELETON)}
    rows, wrong = read_annotations(path)
    videos = {video_id: make_video(video_id, ours) for video_id, ours in by_video(rows).items()}
    found = FolderSet(path, rows, videos)
    wrong += check_annotations(rows, apart=files[QUERIES] is not None)
    queries_wrong: list[Problem] = []
    if (place := files[QUERIES]) is not None:
        found.queries, queries_wrong = read_queries(place)
    if (place := files[SKELETON]) is not None:
        found.skeleton = read_skeleton(place)
    if store is not None:
        found.problems += found.misfits(store)
        wrong += check_features(rows, store)
    found.add(path, wrong)
    if (place := files[QUERIES]) is not None:
        found.add(place, [*queries_wrong, *check_queries(found.queries or (), videos, store)])
    if (place := files[FOLDS]) is not None:
        found.folds = read_folds(place)
        found.add(place, [Problem(0, problem) for problem in check_folds(found.folds, found.classes)])
    if (place := files[PAIRS]) is not None:
        if found.queries is None:
            raise DataError(f"{place} names queries: expected a {QUERIES} beside it that says what they are")
        found.pairs, problems = read_pairs(place)
        known = check_pairs(found.pairs, found.queries, videos, len(found.folds or [0]))
        found.add(place, [*problems, *known])
    return found


class WidthCheck:
    """Why features do not fit the skeleton, or are not as wide as those of the first video.

    Args:
        store: the features.
        skeleton: what they must fit, if there is one.
    """

    def __init__(self, store: FeatureStore, skeleton: OwnSkeleton | None) -> None:
        self.store, self.skeleton = store, skeleton
        self.first: tuple[str, int] | None = None

    def __call__(self, video: str) -> str:
        """What is wrong with the features of a video; empty if nothing is."""
        try:
            width = self.store.width(video)
        except FeatureError as error:
            return f"has unusable features: {error}"
        if self.skeleton is not None:
            return self.skeleton.problem(width)
        self.first = self.first or (video, width)
        other, expected = self.first
        return (
            "" if width == expected else f"has features of width {width}, those of {other!r} are {expected}"
        )


def own_store(root: Path) -> FeatureStore | None:
    """The features beside the annotations of a data set, if there are any."""
    found = (root / name for name in FEATURES) if root.is_dir() else iter(())
    return next((open_store(path) for path in found if path.exists()), None)
