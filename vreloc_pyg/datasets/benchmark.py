"""The benchmarks that ship with the package, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vreloc_pyg.datasets.base import RelocalizationSplit
from vreloc_pyg.datasets.penn_action import PennAction, penn_action_reloc
from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.datasets.utkinect import UTKinect, utkinect_reloc
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.features.pose import Skeleton
from vreloc_pyg.proposals.sliding_window import SlidingWindows

BenchmarkName = Literal["synthetic", "penn_action", "utkinect"]
NUM_FOLDS = 5


@dataclass(frozen=True)
class Benchmark:
    """One fold of a benchmark.

    Args:
        name: for tables.
        splits: ``train``, ``validation`` and ``test``, of disjoint classes.
        proposals: candidate windows, in steps, that suit its actions.
        skeleton: of pose features; ``None`` for other features.
    """

    name: str
    splits: dict[str, RelocalizationSplit]
    proposals: SlidingWindows
    skeleton: Skeleton | None = None


def load_benchmark(
    name: BenchmarkName, root: str | Path | None = None, fold: int = 0, seed: int = 0
) -> Benchmark:
    """Read or generate one fold of a benchmark.

    Args:
        name: ``"synthetic"`` needs no files; ``"penn_action"`` and ``"utkinect"`` read theirs from ``root``.
        root: folder of the data set in its official layout.
        fold: 0 to 4; the synthetic benchmark has fold 0 only.
        seed: decides the folds and all draws.

    Raises:
        SettingsError: if the name or fold does not exist, ``root`` is missing or ``seed`` is negative.
        DataError: if the files cannot be read.
    """
    if name not in ("synthetic", "penn_action", "utkinect"):
        raise SettingsError(f"Unknown benchmark {name!r}; known are synthetic, penn_action, utkinect")
    num_folds = 1 if name == "synthetic" else NUM_FOLDS
    if not 0 <= fold < num_folds:
        raise SettingsError(f"Benchmark {name!r} has folds 0 to {num_folds - 1} (got {fold})")
    if seed < 0:
        raise SettingsError(f"Expected seed >= 0 (got {seed})")
    if name == "synthetic":
        return Benchmark(name, Synthetic(seed=seed).splits(), SlidingWindows(shortest=5, longest=64))
    if root is None:
        raise SettingsError(f"Benchmark {name!r} is read from files: give its folder as root")
    if name == "penn_action":
        splits = penn_action_reloc(PennAction(root).clips, fold, seed=seed)
        return Benchmark(name, splits, SlidingWindows(), PennAction.skeleton)
    splits = utkinect_reloc(UTKinect(root).recordings, fold, seed=seed)
    return Benchmark(name, splits, SlidingWindows(shortest=5, longest=80), UTKinect.skeleton)
