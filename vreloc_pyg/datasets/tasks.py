"""The data sets that the package trains and evaluates on, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vreloc_pyg.datasets.activitynet import ActivityNet
from vreloc_pyg.datasets.annotations import AnnotatedDataset
from vreloc_pyg.datasets.folder import Folder
from vreloc_pyg.datasets.folds import ClassFold
from vreloc_pyg.datasets.penn_action import PennAction, penn_action_reloc
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.datasets.thumos14 import Thumos14
from vreloc_pyg.datasets.utkinect import UTKinect, utkinect_reloc
from vreloc_pyg.datasets.video_reloc import VideoReloc
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import open_store
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.proposals.pools import SSNPools
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.sequences.pose import Skeleton

BenchmarkName = Literal[
    "synthetic", "penn_action", "utkinect", "activitynet", "thumos14", "video_reloc", "folder"
]
#: Those that are read from annotations and a feature store and split by classes.
AnnotatedName = Literal["activitynet", "thumos14", "folder"]
CandidatesName = Literal["all", "ssn_pools"]
NUM_FOLDS = 5

#: Of features that an extractor made of a video: a step lasts about half a second.
STEP_WINDOWS = SlidingWindows(shortest=2, longest=128)
WINDOWS = {
    "synthetic": SlidingWindows(shortest=5, longest=64),
    "penn_action": SlidingWindows(),
    "utkinect": SlidingWindows(shortest=5, longest=80),
}
SKELETONS = {"penn_action": PennAction.skeleton, "utkinect": UTKinect.skeleton}


@dataclass(frozen=True)
class Benchmark:
    """One fold of a benchmark.

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


def load_benchmark(
    data: BenchmarkName = "synthetic",
    root: str | Path | None = None,
    fold: int = 0,
    seed: int = 0,
    features: str | Path | None = None,
    classes: str | Path | None = None,
    proposals: str | Path | None = None,
    proposal_cache: str | Path | None = None,
    candidates: CandidatesName = "all",
    skip_missing: bool = False,
) -> Benchmark:
    """Read or generate one fold of a benchmark.

    Args:
        data: the benchmark; synthetic needs no files, the others read theirs from ``root``.
        root: folder of the data set's files, in its official layout; not for synthetic.
        fold: class fold, 0 to 4, of the pose data; the others have fold 0 only.
        seed: decides classes, pairs and draws.
        features: feature store, an HDF5 file or a folder of .npy, .npz or .safetensors; not for pose data.
        classes: class split, a file of ``vreloc split``; by default it is drawn.
        proposals: candidate windows, see :func:`.load_proposals`; by default sliding.
        proposal_cache: folder that keeps the proposals of every video, so that they are made once.
        candidates: all proposals of a reference; ssn_pools is a diagnostic that knows the answers.
        skip_missing: leave out videos without features, and say which.

    Raises:
        SettingsError: if a setting is unknown or does not go with the data.
        DataError: if files cannot be read, or features are missing.
    """
    _check_settings(data, root, fold, seed, features, classes, candidates)
    store = None if features is None else open_store(features)
    notes: Sequence[str] = ()
    durations_s: Mapping[str, float] = {}
    frame_rates: Mapping[str, float] | float = 1.0
    if root is None:
        splits = Synthetic(seed=seed).splits()
    elif data == "penn_action":
        splits = penn_action_reloc(PennAction(root).clips, fold, seed=seed)
    elif data == "utkinect":
        splits = utkinect_reloc(UTKinect(root).recordings, fold, seed=seed)
    elif data == "video_reloc":
        reloc = VideoReloc(root, store, skip_missing)
        splits, notes, durations_s = reloc.splits(), reloc.notes, reloc.durations_s
    else:
        dataset = open_annotations(data, root)
        chosen = None if classes is None else ClassFold.load(classes)
        splits = dataset.splits(store, chosen, seed, skip_missing)
        notes, durations_s = dataset.notes, dataset.durations_s
        frame_rates = dataset.frame_rates or 1.0
    windows = WINDOWS.get(data, STEP_WINDOWS)
    source: ProposalSource = windows
    if proposals is not None:
        source = load_proposals(proposals, durations_s, frame_rates)
        if proposal_cache is not None:
            source = CachedProposals(source, proposal_cache)
    elif proposal_cache is not None:
        raise SettingsError("proposal_cache keeps what proposals make: give both")
    if candidates == "ssn_pools":
        answers = {one.video_id: one.segments for split in splits.values() for one in split.references}
        source = SSNPools(source, answers)
    return Benchmark(
        data,
        splits,
        source,
        SKELETONS.get(data),
        windows.shortest,
        windows.longest,
        None if store is None else store.metadata,
        proposals is not None or candidates != "all",
        notes,
    )


def _check_settings(
    data: str,
    root: str | Path | None,
    fold: int,
    seed: int,
    features: str | Path | None,
    classes: str | Path | None,
    candidates: str,
) -> None:
    known = get_args(BenchmarkName)
    if data not in known:
        raise SettingsError(f"Unknown benchmark {data!r}; known are {', '.join(known)}")
    if candidates not in get_args(CandidatesName):
        raise SettingsError(f"Expected candidates to be all or ssn_pools (got {candidates!r})")
    num_folds = NUM_FOLDS if data in SKELETONS else 1
    if not 0 <= fold < num_folds:
        raise SettingsError(f"Benchmark {data!r} has folds 0 to {num_folds - 1} (got {fold})")
    if seed < 0:
        raise SettingsError(f"Expected seed >= 0 (got {seed})")
    if (data == "synthetic") != (root is None):
        wanted = "is generated: it reads no root" if root else "is read from files: give its folder as root"
        raise SettingsError(f"Benchmark {data!r} {wanted}")
    if features is not None and data in WINDOWS:
        raise SettingsError(f"Benchmark {data!r} makes its own features: it reads no feature store")
    if classes is not None and data in (*WINDOWS, "video_reloc"):
        raise SettingsError(f"Benchmark {data!r} has its own classes: it reads no class split")


def open_annotations(data: str, root: str | Path) -> AnnotatedDataset:
    """The annotations of a data set that is split by classes.

    Raises:
        SettingsError: if the data set is another one.
        DataError: if they cannot be read.
    """
    readers: dict[str, Callable[[str | Path], AnnotatedDataset]] = {
        "activitynet": ActivityNet,
        "thumos14": Thumos14,
        "folder": Folder,
    }
    if data not in readers:
        raise SettingsError(f"Expected data to be one of {', '.join(readers)} (got {data!r})")
    return readers[data](root)
