"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vreloc_pyg.datasets.tasks import TaskData

#: Settings to replace, by name: ``--model.hidden-channels 64``.
Override = dict[str, Any]
#: Settings to replace, by system: ``--training.cgbm '{epochs: 5}'``.
PerSystem = dict[str, Override]


@dataclass(frozen=True)
class TaskOptions:
    """The data of a command; each field is an option of its name.

    Args:
        data: data set; synthetic needs no files, the others read theirs from ROOT. Known are {tasks}.
        root: folder of the data set's files, in its official layout, or a file of annotations.
        fold: class fold, counted from 0, of data that have folds.
        seed: decides classes, pairs, weights and draws.
        features: feature store, an HDF5 file or a folder of .npy, .npz or .safetensors; not for pose data.
        classes: class split, a file of `vreloc split`; by default it is drawn.
        proposals: candidate windows, a list or a folder of `vreloc train-actionness`; by default sliding.
        proposal_cache: folder that keeps the proposals of every video, so that they are made once.
        skip_missing: leave out videos without features, and say which.
    """

    data: str = "synthetic"
    root: str | None = None
    fold: int = 0
    seed: int = 0
    features: str | None = None
    classes: str | None = None
    proposals: str | None = None
    proposal_cache: str | None = None
    skip_missing: bool = False

    def load(self) -> TaskData:
        """The data; what was left out of them or mended is printed."""
        from vreloc_pyg.datasets.tasks import load_task

        options: dict[str, Any] = vars(self)
        found = load_task(**options)
        for note in found.notes:
            print(f"Note: {note}")
        return found


def words(values: Sequence[object] | int) -> list[str]:
    """One value or several as a list of words."""
    return [str(values)] if isinstance(values, (str, int)) else list(map(str, values))
