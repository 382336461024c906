"""One's own data set: a folder with annotations, features, and what else there is to say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vreloc_pyg.datasets.annotations import AnnotatedDataset
from vreloc_pyg.datasets.class_splits import class_splits
from vreloc_pyg.datasets.folder_csv import Problem
from vreloc_pyg.datasets.folder_json import read_folds
from vreloc_pyg.datasets.folder_set import FOLDS, own_store, read_folder
from vreloc_pyg.datasets.folds import SPLITS, ClassFold
from vreloc_pyg.datasets.reading import SHOWN, find_file
from vreloc_pyg.datasets.splits import Query, RelocalizationSplit
from vreloc_pyg.datasets.task import STEP_WINDOWS, Loaded, Request, Task, suiting_windows
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.sequences.pose import Skeleton


class Folder(AnnotatedDataset):
    """The data set of a folder; docs/data.md shows every file.

    ``annotations.csv`` says what videos show, ``video, start_s, end_s, label`` and optionally ``duration_s``
    and ``source``. Beside it there may be ``queries.csv`` (query clips apart from the videos), ``pairs.csv``
    (which pairs are evaluated), ``folds.json`` (class splits) and ``skeleton.json`` (features are poses).

    Args:
        root: the folder, or its annotations alone.

    Raises:
        DataError: with the first errors that :func:`validate_folder` finds, and their files and lines.
    """

    name = "folder"

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.files = read_folder(self.root)
        refuse(self.files.problems)
        super().__init__(list(self.files.videos.values()))

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes, sorted, those of queries included."""
        return tuple(sorted(self.files.classes))

    @property
    def folds(self) -> list[ClassFold] | None:
        """The class splits of ``folds.json``, if there is one."""
        return self.files.folds

    @property
    def skeleton(self) -> Skeleton | None:
        """That of ``skeleton.json``, if there is one."""
        return None if self.files.skeleton is None else self.files.skeleton.skeleton

    def fitting(self, store: FeatureStore | None) -> FeatureStore | None:
        """A store as the systems read it: as pose features where there is a skeleton.

        Raises:
            DataError: if features are not as wide as the skeleton says, or as each other.
        """
        if store is None:
            return None
        refuse(self.files.misfits(store))
        return self.as_poses(store)

    def as_poses(self, store: FeatureStore) -> FeatureStore:
        """The store of :meth:`fitting`, unchecked."""
        return store if self.files.skeleton is None else self.files.skeleton.pose_store(store)

    def splits(
        self,
        store: FeatureStore | None = None,
        classes: ClassFold | None = None,
        seed: int = 0,
        skip_missing: bool = False,
        fold: int = 0,
    ) -> dict[str, RelocalizationSplit]:
        """As of :meth:`.AnnotatedDataset.splits`; with queries apart those are the queries.

        Args:
            store: features as they are in the files.
            classes: by default ``fold`` of ``folds.json``, or :meth:`class_split`.
            seed, skip_missing: as of :meth:`.AnnotatedDataset.splits`; a query without features counts too.
            fold: whose pairs are evaluated.
        """
        chosen = classes or (self.folds[fold] if self.folds else self.class_split(seed))
        fitting = self.fitting(store)
        references = self.references(fitting, skip_missing)
        queries = self._queries(fitting, skip_missing)
        pairs = None
        if self.files.pairs is not None:
            known = {clip.video_id for clip in (*references, *(queries or ()))}
            listed = [pair for pair in self.files.pairs if pair.fold in (None, fold)]
            pairs = [(one.query, one.reference) for one in listed if {one.query, one.reference} <= known]
        for key in SPLITS:
            if len(getattr(chosen, key)) == 1:
                self._notes.add("splits of one class, where looking at the query cannot be told to help", key)
        return class_splits(self.name, references, chosen, queries, pairs, seed, self._notes)

    def _queries(self, store: FeatureStore | None, skip_missing: bool) -> list[Query] | None:
        if self.files.queries is None:
            return None
        timed = [(query, query.timing(store)[2]) for query in self.files.queries]
        wrong = [f"{query.query} {problem}" for query, problem in timed if problem]
        if wrong and not skip_missing:
            shown = "; ".join(wrong[:SHOWN]) + (" …" if len(wrong) > SHOWN else "")
            raise DataError(
                f"{len(wrong)} queries without usable features: {shown}. --skip-missing leaves them out"
            )
        for one in wrong:
            self._notes.add("queries without usable features, left out", one)
        return [query.load(store) for query, problem in timed if not problem]


def validate_folder(root: str | Path, store: FeatureStore | None = None) -> list[Problem]:
    """Every problem of a data set's files, in one pass, by file and line.

    Args:
        root: the folder, or its annotations alone.
        store: features that must hold the clips; they also say how long a video is. (default: those in the
            folder, if there are any)
    """
    return read_folder(Path(root), own_store(Path(root)) if store is None else store).problems


def refuse(problems: Sequence[Problem]) -> None:
    """Raise :class:`DataError` with the first errors among problems, and their number."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        shown = "; ".join(
            f"{one.path}{f', line {one.line}' if one.line else ''}: {one.message}" for one in errors[:3]
        )
        more = f"; {len(errors) - 3} more, see `vreloc validate`" if len(errors) > 3 else ""
        raise DataError(f"{shown}{more}")


def count_folds(root: Path) -> int:
    """Number of class splits in a folder; one where it says nothing of them."""
    path = find_file(root, FOLDS)
    return 1 if path is None else len(read_folds(path))


def read(request: Request) -> Loaded:
    """One fold of a folder."""
    dataset = Folder(request.root)
    if dataset.folds and request.classes is not None:
        raise SettingsError(f"{request.root} has its own {FOLDS}: choose a fold, and give no class split")
    store = own_store(request.root) if request.store is None else request.store
    found = dataset.splits(store, request.classes, request.seed, request.skip_missing, request.fold)
    windows = suiting_windows(found["train"])
    if dataset.skeleton is None:  # steps of half a second or so, unless actions are longer
        windows = replace(STEP_WINDOWS, longest=max(STEP_WINDOWS.longest, windows.longest))
    return Loaded(
        found,
        dataset.notes,
        dataset.durations_s,
        skeleton=dataset.skeleton,
        windows=windows,
        features=None if store is None else dataset.as_poses(store).metadata,
    )


TASK = Task(Folder.name, read, folds=count_folds, annotations=Folder)
