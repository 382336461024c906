"""Class-disjoint folds and splits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.files import read_json, write_text

SPLITS = ("train", "validation", "test")
#: What a reader of a table over class folds must know.
SELECTION = (
    "Every class is a test class of exactly one fold; validation classes choose the checkpoint and how "
    "answers are asked for. The recommended settings were chosen on validation classes of some fold: no "
    "model was trained or selected on its own test classes, but over all folds every class has informed the "
    "settings."
)


@dataclass(frozen=True)
class ClassFold:
    """Classes of one fold; the three are disjoint."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def save(self, path: str | Path, name: str = "", seed: int | None = None) -> Path:
        """Write the classes as JSON to share, with the data set's name and the seed that drew them."""
        values = {"name": name, "seed": seed, **{key: sorted(getattr(self, key)) for key in SPLITS}}
        return write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> ClassFold:
        """The classes of a file of :meth:`save`; :class:`DataError` if it is none, or names a class twice."""
        return cls.of(read_json(path), str(path))

    @classmethod
    def of(cls, values: object, where: str) -> ClassFold:
        """The classes of what :meth:`save` wrote, read from JSON; ``where`` is for its errors."""
        if not isinstance(values, dict) or not set(SPLITS) <= set(values) <= {*SPLITS, "name", "seed"}:
            raise DataError(
                f"Expected the keys {', '.join(SPLITS)} in {where}, besides name and seed no other"
            )
        seen: dict[str, str] = {}
        for key in SPLITS:
            if not isinstance(values[key], list) or not all(isinstance(one, str) for one in values[key]):
                raise DataError(f"Expected {key} in {where} as a list of class names")
            for label in values[key]:
                if label in seen:
                    raise DataError(f"{where} names the class {label!r} twice, in {seen[label]} and {key}")
                seen[label] = key
        return cls(*(tuple(sorted(values[key])) for key in SPLITS))


def class_folds(classes: Sequence[str], num_folds: int, num_validation: int, seed: int) -> list[ClassFold]:
    """Split classes into folds such that every class is a test class exactly once.

    The classes are permuted once; fold ``f`` tests the ``f``-th block, validates on the ``num_validation``
    classes that follow it (cyclically) and trains on the rest. Blocks differ by at most one class in size.

    Raises:
        SettingsError: if there are too few classes for so many folds, or none is left for training.
    """
    largest = -(-len(classes) // num_folds) if num_folds > 0 else 0
    if not 0 < num_folds <= len(classes) or not 0 <= num_validation < len(classes) - largest:
        raise SettingsError(
            f"Cannot divide {len(classes)} classes into {num_folds} folds "
            f"with {num_validation} for validation"
        )
    order = [classes[i] for i in np.random.default_rng(seed).permutation(len(classes))]
    folds, start = [], 0
    for block in np.array_split(np.arange(len(order)), num_folds):
        turned, size = order[start:] + order[:start], len(block)
        parts = turned[size + num_validation :], turned[size : size + num_validation], turned[:size]
        folds.append(ClassFold(*(tuple(sorted(part)) for part in parts)))
        start += size
    return folds


def class_split(
    classes: Sequence[str],
    sizes: tuple[int, int, int] | None = None,
    seed: int = 0,
    together: Sequence[Sequence[str]] = (),
) -> ClassFold:
    """Training, validation and test classes, drawn with a seed.

    Args:
        classes: class names; their order does not matter.
        sizes: numbers of training, validation and test classes; by default a fifth of the classes, and at
            least one, for validation and as many for test.
        seed: decides the draw.
        together: sets of classes that must come to lie on one side.

    Raises:
        DataError: if there are fewer than three classes, or the sizes cannot be met.
    """
    names = sorted(set(classes))
    if sizes is None:
        held_out = max(1, round(len(names) / 5))
        sizes = (len(names) - 2 * held_out, held_out, held_out)
    if sum(sizes) != len(names) or min(sizes) < 1:
        raise DataError(
            f"Cannot split {len(names)} classes into {sizes[0]} for training, {sizes[1]} for validation and "
            f"{sizes[2]} for test: each needs at least one"
        )
    bound = [sorted(set(group) & set(names)) for group in together]
    bound = [group for group in bound if len(group) > 1]
    loose = [[name] for name in names if not any(name in group for group in bound)]
    rng = np.random.default_rng(seed)
    order = [loose[i] for i in rng.permutation(len(loose))]
    room = dict(zip(SPLITS, sizes, strict=True))
    sides: dict[str, list[str]] = {key: [] for key in SPLITS}
    # What belongs together goes first, to a side drawn by its room; single classes fill the rest.
    for group in bound:
        fitting = [key for key in SPLITS if room[key] - len(sides[key]) >= len(group)]
        if not fitting:
            raise DataError(f"No side of a split into {sizes} has room for {', '.join(group)} together")
        left = np.array([room[key] - len(sides[key]) for key in fitting], dtype=float)
        sides[fitting[int(rng.choice(len(fitting), p=left / left.sum()))]] += group
    for key in ("test", "validation", "train"):
        while len(sides[key]) < room[key]:
            sides[key] += order.pop()
    return ClassFold(*(tuple(sorted(sides[key])) for key in SPLITS))
