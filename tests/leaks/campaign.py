"""Leaks that are planted in a copy of the package, and tests that have to find them.

``python -m tests.leaks.campaign`` runs the tests of each plant twice: on the package as it is, where they
pass, and with the leak, where one has to fail. It ends with 1 if a leak stays unfound.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plant:
    """A leak.

    Args:
        what: leaks.
        file: of the package, whose text ``right`` becomes ``wrong``; it is there once.
        tests: that ought to find it.
    """

    what: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


PLANTS = (
    Plant(
        "test classes are trained on",
        "datasets/folds.py",
        "parts = turned[size + num_validation :], turned[size",
        "parts = turned[size + num_validation - 1 :] + turned[:1], turned[size",
        ("tests/datasets/test_folds.py",),
    ),
    Plant(
        "validation classes are test classes",
        "datasets/folds.py",
        "turned[size : size + num_validation], turned[:size]",
        "turned[size : size + num_validation], turned[: size + 1]",
        ("tests/datasets/test_folds.py",),
    ),
    Plant(
        "a query shares its source with a reference",
        "datasets/splits.py",
        "return not {self.video_id, *self.sources}.isdisjoint((query.video_id, *query.sources))",
        "return False",
        ("tests/datasets",),
    ),
    Plant(
        "training draws a query and a reference of one source",
        "datasets/sampling.py",
        "if other.video_id != match.video_id and not other.shares_source(query)",
        "if other.video_id != match.video_id",
        ("tests/datasets",),
    ),
    Plant(
        "the bank of the alignment holds test clips",
        "systems/rules/alignment_choice.py",
        'bank=training_bank(data.splits["train"])',
        'bank=training_bank(data.splits["test"])',
        ("tests/systems/test_alignment.py",),
    ),
    Plant(
        "test classes name the strongest rule",
        "systems/rules/strongest_rule.py",
        '[rule.fit(data) for rule in COMPARED], data.splits["validation"])',
        '[rule.fit(data) for rule in COMPARED], data.splits["test"])',
        ("tests/systems/test_strongest_rule.py",),
    ),
    Plant(
        "test classes choose how the window rule answers",
        "systems/rules/window_rule.py",
        'PairDataset(data.splits["validation"], data.proposals, CHOOSING_PAIRS)',
        'PairDataset(data.splits["test"], data.proposals, CHOOSING_PAIRS)',
        ("tests/systems/test_rules.py",),
    ),
    Plant(
        "lengths of test answers are learned",
        "systems/rules/query_blind.py",
        'PriorSegment().fit(data.splits["train"])',
        'PriorSegment().fit(data.splits["test"])',
        ("tests/systems/test_rules.py",),
    ),
    Plant(
        "test classes calibrate a model",
        "experiments/train.py",
        'calibrate(localizer, first.splits["validation"])',
        'calibrate(localizer, first.splits["test"])',
        ("tests/experiments/test_train.py",),
    ),
    Plant(
        "what a left-out data set asks is taught by its name elsewhere",
        "experiments/elsewhere.py",
        'asked = synonyms(data.splits["test"].classes)',
        'asked = frozenset(data.splits["test"].classes)',
        ("tests/experiments/test_elsewhere.py",),
    ),
    Plant(
        "training references of other data sets show what is asked",
        "experiments/elsewhere.py",
        "parts = [part for one in train.references for part in stretches_without(one, kept)]",
        "parts = list(train.references)",
        ("tests/experiments/test_elsewhere.py",),
    ),
)


def passes(root: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests that exist pass on the package in a folder."""
    there = list(dict.fromkeys(one for one in tests if (root / one).exists()))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *there]
    command += ["-m", "not slow and not very_slow"]
    place = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=root, env=place, capture_output=True, check=False).returncode == 0


def is_found(plant: Plant) -> bool:
    """Whether the tests fail on a copy of the package with the leak, and pass on one without."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("vreloc_pyg", "tests", "docs", "benchmarks", "examples", "configs"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
        for name in ("pyproject.toml", "setup.cfg", "README.md", "CONTRIBUTING.md", "Makefile"):
            shutil.copy(ROOT / name, root / name)
        if not passes(root, plant.tests):
            raise RuntimeError(f"{plant.tests} fail on the package as it is")
        path = root / "vreloc_pyg" / plant.file
        text = path.read_text(encoding="utf-8")
        if text.count(plant.right) != 1:
            raise RuntimeError(f"{plant.file} does not hold {plant.right!r} once")
        path.write_text(text.replace(plant.right, plant.wrong), encoding="utf-8")
        return not passes(root, plant.tests)


def main() -> int:
    """Plant every leak; 1 if one stays unfound."""
    unfound = 0
    for plant in PLANTS:
        found = is_found(plant)
        unfound += not found
        print(f"{'found' if found else 'NOT FOUND'}: {plant.what}", flush=True)
    print(f"{len(PLANTS) - unfound} of {len(PLANTS)} leaks were found")
    return int(unfound > 0)


if __name__ == "__main__":
    sys.exit(main())
