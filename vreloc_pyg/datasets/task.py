"""What a data set is to the commands: its folds, its candidate windows, and how its splits are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vreloc_pyg.datasets.annotations import AnnotatedDataset
from vreloc_pyg.datasets.folds import ClassFold
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.features.metadata import FeatureMetadata
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
        skeleton, windows: in place of the task's own, where files decide them.
        features: what features were made with that it found by itself.
    """

    splits: dict[str, RelocalizationSplit]
    notes: Sequence[str] = ()
    durations_s: Mapping[str, float] = field(default_factory=dict)
    frame_rates: Mapping[str, float] | float = 1.0
    skeleton: Skeleton | None = None
    windows: SlidingWindows | None = None
    features: FeatureMetadata | None = None


@dataclass(frozen=True)
class Task:
    """A data set that systems are trained and evaluated on.

    Args:
        name: what commands call it; dashes may stand for its underscores.
        splits: reads or makes one fold.
        folds: number of class folds, or what finds it out in a root.
        windows: sliding windows that its references are searched with by default; training draws none
            shorter.
        longest: greatest length in steps of an answer that systems consider which search every segment.
            (default: that of the windows)
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
    folds: int | Callable[[Path], int] = 1
    windows: SlidingWindows = STEP_WINDOWS
    longest: int | None = None
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

    def num_folds(self, root: str | Path | None = None) -> int:
        """Number of class folds of the data set in ``root``."""
        return self.folds if isinstance(self.folds, int) else self.folds(Path(root or ""))


def suiting_windows(training: RelocalizationSplit) -> SlidingWindows:
    """Sliding windows for actions as long as those of a training split, or twice as long or half as long.

    They reach from half the length that 5 % of its instances fall short of to twice that which 5 % exceed.
    """
    steps = [one.steps_of(label) for one in training.references for label in sorted(set(one.labels))]
    lengths = torch.cat([one[:, 1] - one[:, 0] for one in steps]).double()
    low, high = lengths.quantile(0.05), lengths.quantile(0.95)
    shortest = max(2, int(low / 2))
    return SlidingWindows(shortest, max(shortest, round(2 * float(high))))


def annotated_task(name: str, annotations: Callable[[Path], AnnotatedDataset]) -> Task:
    """A data set of annotations and a feature store, split by classes."""

    def splits(request: Request) -> Loaded:
        dataset = annotations(request.root)
        found = dataset.splits(request.store, request.classes, request.seed, request.skip_missing)
        return Loaded(found, dataset.notes, dataset.durations_s, dataset.frame_rates or 1.0)

    return Task(name, splits, annotations=annotations)
