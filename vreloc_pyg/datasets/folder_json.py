"""``folds.json`` and ``skeleton.json`` of one's own data set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from vreloc_pyg.datasets.folds import SPLITS, ClassFold
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.features.store import FeatureStore, PoseStore
from vreloc_pyg.files import read_json
from vreloc_pyg.sequences.pose import Skeleton

#: What the features of poses are: joints, or what :func:`~vreloc_pyg.sequences.pose.pose_features` made.
PoseForm = Literal["joints", "pose"]
#: Keys of ``skeleton.json``, and the arguments of :class:`.Skeleton` that they are.
KEYS = {"joints": "num_joints", "dims": "num_dims", "centre": "centre", "mirror": "mirror"}


def read_folds(path: Path) -> list[ClassFold]:
    """The class splits of a list, each as :meth:`.ClassFold.save` writes one."""
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise DataError(f"Expected {path} as a list of class splits, each with {', '.join(SPLITS)}")
    return [ClassFold.of(value, f"fold {number} of {path}") for number, value in enumerate(values)]


def check_folds(folds: Sequence[ClassFold], shown: Collection[str]) -> list[str]:
    """Folds that a benchmark cannot have, as of :func:`check_fold`."""
    found = [(number, problem) for number, fold in enumerate(folds) for problem in check_fold(fold, shown)]
    return [f"fold {number} {problem}" for number, problem in found]


def check_fold(fold: ClassFold, shown: Collection[str]) -> list[str]:
    """What is wrong with a fold of a benchmark whose clips show some classes.

    With one class in a split no query can be told from one of another class, so that a system that does not
    look at the query would do as well.
    """
    problems = []
    for key in SPLITS:
        classes = getattr(fold, key)
        if len(classes) < 2:
            named = f"one class only, {classes[0]!r}," if classes else "no class"
            problems.append(f"has {named} in {key}; each split needs two or more")
    known = {label for key in SPLITS for label in getattr(fold, key)}
    for label in sorted(known - set(shown)):
        problems.append(f"names the class {label!r}, which nothing shows")
    for label in sorted(set(shown) - known):
        problems.append(f"does not name the class {label!r}, which is shown")
    return problems


class OwnSkeleton(NamedTuple):
    """A ``skeleton.json``: the skeleton, and what the features are."""

    path: Path
    skeleton: Skeleton
    form: PoseForm

    def pose_store(self, store: FeatureStore) -> FeatureStore:
        """The store as pose features, made of joints where it holds joints."""
        return PoseStore(store, self.skeleton) if self.form == "joints" else store

    def problem(self, width: int) -> str:
        """Why features of a width do not fit; empty where they do."""
        joints, dims = self.skeleton.num_joints, self.skeleton.num_dims
        widths = {"joints": joints * dims, "pose": self.skeleton.num_features}
        if width == widths[self.form]:
            return ""
        hint = next((f'; is "features": "{form}" meant?' for form in widths if widths[form] == width), "")
        return (
            f"has features of width {width}, expected {widths[self.form]}: {joints} joints in {dims} "
            f'dimensions and "features": "{self.form}", as {self.path} says{hint}'
        )


def read_skeleton(path: Path) -> OwnSkeleton:
    """The skeleton of a file; :class:`DataError` if it is none, with the key."""
    values = read_json(path)
    expected = f"Expected the keys {', '.join(KEYS)} and features in {path}, and at most groups besides"
    if not isinstance(values, dict) or not {*KEYS, "features"} <= set(values) <= {
        *KEYS,
        "features",
        "groups",
    }:
        raise DataError(expected)
    form = values["features"]
    if form not in ("joints", "pose"):
        raise DataError(f'Expected features in {path} as "joints" or "pose" (got {form!r})')
    named = {argument: values[key] for key, argument in KEYS.items()}
    try:
        groups = tuple(tuple(group) for group in values.get("groups", ()))
        return OwnSkeleton(path, Skeleton(**named, groups=groups), form)
    except (SettingsError, TypeError) as error:
        raise DataError(f"The skeleton in {path} is impossible: {error}") from None
