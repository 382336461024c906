"""The data sets that the package trains and evaluates on, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from os import environ
from pathlib import Path

from vreloc_pyg.datasets.annotations import AnnotatedDataset
from vreloc_pyg.datasets.folds import ClassFold
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.task import Request, Task
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import open_store
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.sequences.pose import Skeleton

#: Modules of :mod:`vreloc_pyg.datasets` that end in a ``TASK``; a new data set is a file, and a line here.
READERS = (
    "synthetic",
    "penn_action",
    "jhmdb",
    "utkinect",
    "activitynet",
    "thumos14",
    "video_reloc",
    "folder",
)
_FOUND: list[Task] = [import_module(f"vreloc_pyg.datasets.{reader}").TASK for reader in READERS]
#: By name, in the order of messages.
TASKS: dict[str, Task] = {task.name: task for task in _FOUND}


@dataclass(frozen=True, eq=False)
class TaskData:
    """One fold of a data set, loaded.

    Args:
        name: for tables.
        splits: ``train``, ``validation`` and ``test``, of disjoint classes.
        proposals: candidate windows of its references.
        skeleton: of pose features; ``None`` for other features.
        shortest: least length in steps of a window drawn in training.
        longest: greatest length in steps of an answer that is considered.
        features: what its features were made with, where a store says so.
        proposals_given: the proposals were asked for; else they are its own sliding windows.
        notes: what was left out of the data set or mended, a sentence each.
    """

    name: str
    splits: dict[str, RelocalizationSplit]
    proposals: ProposalSource
    skeleton: Skeleton | None = None
    shortest: int = 2
    longest: int = 128
    features: FeatureMetadata | None = None
    proposals_given: bool = False
    notes: Sequence[str] = ()


def find_task(name: str) -> Task:
    """A data set by any of its names, as ``penn-action-reloc``; :class:`SettingsError` if none has it."""
    for task in TASKS.values():
        if name in task.names:
            return task
    raise SettingsError(f"Unknown data set {name!r}; known are {', '.join(TASKS)}")


def default_root(task: Task) -> Path | None:
    """The folder of a data set's name within ``$VRELOC_DATA``, for what is read from files."""
    place = environ.get("VRELOC_DATA")
    return Path(place) / task.name if place and task.needs_root else None


def load_task(
    data: str = "synthetic",
    root: str | Path | None = None,
    fold: int = 0,
    seed: int = 0,
    features: str | Path | None = None,
    classes: str | Path | None = None,
    proposals: str | Path | None = None,
    proposal_cache: str | Path | None = None,
    skip_missing: bool = False,
) -> TaskData:
    """Read or generate one fold of a data set.

    Args:
        data: its name, one of :data:`TASKS`.
        root: folder of the data set's files, in its official layout; synthetic needs none.
        fold: class fold, from 0.
        seed: decides classes, pairs and draws.
        features: feature store, an HDF5 file or a folder of .npy, .npz or .safetensors. (default: of a set of
            one's own the store in its folder; the pose data of the package make their own)
        classes: class split, a file of ``vreloc split``; by default it is drawn.
        proposals: candidate windows, see :func:`.load_proposals`; by default sliding.
        proposal_cache: folder that keeps the proposals of every video, so that they are made once.
        skip_missing: leave out videos without features, and say which.

    Raises:
        SettingsError: if a setting is unknown or does not go with the data.
        DataError: if files cannot be read, or features are missing.
    """
    task = find_task(data)
    num_folds = task.num_folds(root)
    if not 0 <= fold < num_folds:
        raise SettingsError(f"Data set {task.name!r} has folds 0 to {num_folds - 1} (got {fold})")
    if seed < 0:
        raise SettingsError(f"Expected seed >= 0 (got {seed})")
    for wrong, why in (
        (root is None and task.needs_root, "is read from files: give its folder as root"),
        (root is not None and not task.needs_root, "is generated: it reads no root"),
        (features and not task.reads_features, "makes its own features: it reads no feature store"),
        (classes and task.annotations is None, "has its own classes: it reads no class split"),
    ):
        if wrong:
            raise SettingsError(f"Data set {task.name!r} {why}")
    if proposals is None and proposal_cache is not None:
        raise SettingsError("proposal_cache keeps what proposals make: give both")
    store = None if features is None else open_store(features)
    chosen = None if classes is None else ClassFold.load(classes)
    loaded = task.splits(Request(Path(root or ""), fold, seed, store, chosen, skip_missing))
    windows = loaded.windows or task.windows
    source: ProposalSource = windows
    if proposals is not None:
        source = load_proposals(proposals, loaded.durations_s, loaded.frame_rates)
        if proposal_cache is not None:
            source = CachedProposals(source, proposal_cache)
    return TaskData(
        task.name,
        loaded.splits,
        source,
        loaded.skeleton or task.skeleton,
        windows.shortest,
        task.longest or windows.longest,
        loaded.features or (None if store is None else store.metadata),
        proposals is not None,
        loaded.notes,
    )


def open_annotations(data: str, root: str | Path) -> AnnotatedDataset:
    """The annotations of a data set that is split by classes; :class:`SettingsError` if it is another one."""
    annotations = find_task(data).annotations
    if annotations is None:
        known = ", ".join(task.name for task in TASKS.values() if task.annotations is not None)
        raise SettingsError(f"Expected data to be one of {known} (got {data!r})")
    return annotations(Path(root))
