"""What a data set is to the commands: its folds, its candidate windows, and how its splits are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vreloc_pyg.datasets.annotations import AnnotatedDataset
from vreloc_pyg.datasets.folds import ClassFold
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import Skeleton

#: For features that an extractor made of a video: a step lasts about half a second.
STEP_WINDOWS = SlidingWindows(shortest=2, longest=128)


@dataclass(frozen=True)
class Request:
    """What is asked of a data set.

    Args:
        root: its folder; ``.`` for one that needs none.
        fold: class fold, 0 to one less than the task's number of them.
        seed: decides classes, pairs and draws.
        store: features, where they were given.
        classes: class split, where it was given.
        skip_missing: leave out videos without features, and say which.
    """

    root: Path = Path()
    fold: int = 0
    seed: int = 0
    store: FeatureStore | None = None
    classes: ClassFold | None = None
    skip_missing: bool = False


@dataclass(frozen=True)
class Loaded:
    """What a data set answers.

    Args:
        splits: ``train``, ``validation`` and ``test``, of disjoint classes.
        notes: what was left out or mended, a sentence each.
        durations_s: seconds of every video that the annotations know, for lists of proposals.
        frame_rates: frames per second of every video, or of all of them.
    """

    splits: dict[str, RelocalizationSplit]
    notes: Sequence[str] = ()
    durations_s: Mapping[str, float] = field(default_factory=dict)
    frame_rates: Mapping[str, float] | float = 1.0


@dataclass(frozen=True)
class Task:
    """A data set that systems are trained and evaluated on.

    Args:
        name: what commands call it; dashes may stand for its underscores.
        splits: reads or makes one fold.
        folds: number of class folds.
        windows: sliding windows that its references are searched with by default; training draws none
            shorter, and answers are none longer.
        skeleton: of pose features; ``None`` for other features.
        aliases: further names.
        needs_root: it is read from files.
        reads_features: features come from a feature store; else it makes its own.
        annotations: reader of a data set whose classes are split by a seed or a file; ``None`` for one that
            has its own class split.
        caveats: what a reader of its tables must know, a sentence or more each.
    """

    name: str
    splits: Callable[[Request], Loaded]
    folds: int = 1
    windows: SlidingWindows = STEP_WINDOWS
    skeleton: Skeleton | None = None
    aliases: tuple[str, ...] = ()
    needs_root: bool = True
    reads_features: bool = True
    annotations: Callable[[Path], AnnotatedDataset] | None = None
    caveats: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it may be called."""
        return (self.name, self.name.replace("_", "-"), *self.aliases)


def annotated_task(name: str, annotations: Callable[[Path], AnnotatedDataset]) -> Task:
    """A data set of annotations and a feature store, split by classes."""

    def splits(request: Request) -> Loaded:
        dataset = annotations(request.root)
        found = dataset.splits(request.store, request.classes, request.seed, request.skip_missing)
        return Loaded(found, dataset.notes, dataset.durations_s, dataset.frame_rates or 1.0)

    return Task(name, splits, annotations=annotations)
