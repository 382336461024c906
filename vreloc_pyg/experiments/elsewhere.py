"""Leave one data set out: the others of a suite, without the actions that the one left out asks about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from vreloc_pyg.datasets.class_splits import stretches_without
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import TaskData, default_root, find_task, load_task
from vreloc_pyg.errors import DataError, SettingsError

#: Actions of several pose data sets, by all their names there; other names occur in one set, or mean another.
SAME_ACTIONS: tuple[frozenset[str], ...] = (
    frozenset({"clap", "clapHands"}),
    frozenset({"golf", "golf_swing"}),
    frozenset({"pick", "pickUp"}),
    frozenset({"sit", "sitDown"}),
    frozenset({"stand", "standUp"}),
    frozenset({"throw", "baseball_pitch"}),
    frozenset({"wave", "waveHands"}),
)


def other_roots(suite: Sequence[str], data: str, root: str | Path | None) -> dict[str, Path]:
    """Folders of the other data sets of a suite: beside that of the one left out, or in ``$VRELOC_DATA``.

    Args:
        suite: names of data sets.
        data: the one left out.
        root: its folder.

    Raises:
        SettingsError: if the data set is none of the suite.
        DataError: if one of the others is at neither place.
    """
    if data not in suite:
        raise SettingsError(
            f"Expected one of the data sets {', '.join(suite)}, of which a system can be trained on the "
            f"others (got {data!r})"
        )
    found = {}
    for task in (find_task(name) for name in suite if name != data):
        beside = None if root is None else Path(root).absolute().parent / task.name
        places = [place for place in (beside, default_root(task)) if place is not None]
        there = [place for place in places if place.exists()]
        if not there:
            tried = " or ".join(map(str, dict.fromkeys(places))) or "$VRELOC_DATA, which is not set"
            raise DataError(
                f"A system that is asked about {data} is to be trained on {task.name} too, which is not at "
                f"{tried}; put it there, or leave the system out"
            )
        found[task.name] = there[0]
    return found


def load_others(
    suite: Sequence[str], data: TaskData, root: str | Path | None, fold: int, seed: int
) -> list[TaskData]:
    """A fold of each other data set of a suite, to be trained on and chosen by.

    What the test split of ``data`` asks about is left out of them, by any of its names.
    """
    asked = synonyms(data.splits["test"].classes)
    roots = other_roots(suite, data.name, root)
    return [leave_out(load_task(name, place, fold, seed), asked) for name, place in roots.items()]


def synonyms(classes: Collection[str]) -> frozenset[str]:
    """Classes, and what they are called in other data sets."""
    return frozenset(classes).union(*(names for names in SAME_ACTIONS if not names.isdisjoint(classes)))


def leave_out(data: TaskData, classes: Collection[str]) -> TaskData:
    """A data set that neither teaches nor asks about some classes; its test split stays as it is.

    Training references are cut so that none of them shows any; of validation only the pairs of the others
    are kept. If a split then asks for nothing, that is a :class:`DataError`.
    """
    train, validation = data.splits["train"], data.splits["validation"]
    kept = {label for one in train.references for label in one.labels}.difference(classes)
    queries = [query for query in train.queries if query.label in kept]
    parts = [part for one in train.references for part in stretches_without(one, kept)]
    pairs = [pair for pair in validation.pairs if validation.queries[pair[0]].label not in classes]
    if not queries or not pairs:
        raise DataError(
            f"Without {', '.join(sorted(classes))}, the {'validation' if queries else 'training'} classes of "
            f"{data.name} leave nothing to ask for; another fold may"
        )
    splits = {
        "train": RelocalizationSplit(train.name, queries, parts, []),
        "validation": replace(validation, pairs=pairs),
    }
    return replace(data, splits={**data.splits, **splits})
