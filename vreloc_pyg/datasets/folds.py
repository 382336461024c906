"""Class-disjoint folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vreloc_pyg.errors import SettingsError


@dataclass(frozen=True)
class ClassFold:
    """Classes of one fold; the three are disjoint."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def class_folds(classes: Sequence[str], num_folds: int, num_validation: int, seed: int) -> list[ClassFold]:
    """Split classes into folds such that every class is a test class exactly once.

    The classes are permuted once; fold ``f`` tests the ``f``-th block, validates on the classes that
    follow it (cyclically) and trains on the rest.

    Args:
        classes: class names; their order matters only through the permutation.
        num_folds: number of folds; divides ``len(classes)``.
        num_validation: validation classes per fold.
        seed: decides the permutation.

    Raises:
        SettingsError: if the classes cannot be divided so.
    """
    size, rest = divmod(len(classes), num_folds) if num_folds > 0 else (0, 0)
    if rest or size == 0 or num_validation < 0 or size + num_validation >= len(classes):
        raise SettingsError(
            f"Cannot divide {len(classes)} classes into {num_folds} folds "
            f"with {num_validation} for validation"
        )
    order = [classes[i] for i in np.random.default_rng(seed).permutation(len(classes))]
    folds = []
    for start in range(0, len(order), size):
        turned = order[start:] + order[:start]
        test, validation = turned[:size], turned[size : size + num_validation]
        train = turned[size + num_validation :]
        folds.append(ClassFold(tuple(sorted(train)), tuple(sorted(validation)), tuple(sorted(test))))
    return folds
