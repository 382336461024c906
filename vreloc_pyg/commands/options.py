"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vreloc_pyg.errors import SettingsError

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
        features: feature store, an HDF5 file or a folder of .npy, .npz or .safetensors; by default, of data
            `folder`, the one in ROOT.
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

    def load_all(self) -> list[TaskData]:
        """The data of every name of a list, each of its own root; one without a comma is loaded alone."""
        from vreloc_pyg.datasets.tasks import default_root, find_task

        names = [name.strip() for name in self.data.split(",")]
        if len(names) == 1:
            return [self.load()]
        given = None if self.root is None else [root.strip() for root in self.root.split(",")]
        roots = [default_root(find_task(name)) for name in names] if given is None else given
        if len(roots) != len(names):
            raise SettingsError(f"Expected a root for each of {', '.join(names)} (got {self.root})")
        places = (None if root is None else str(root) for root in roots)
        return [replace(self, data=one, root=root).load() for one, root in zip(names, places, strict=True)]


class ReadingBar:
    """A progress bar for frames that are read of one file after the other, gone when it ends."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit=" frames", leave=False, delay=0.5)
        self._name = ""

    def __call__(self, name: str, frames: int, total: int | None) -> None:
        """Show ``frames`` more of a file that has ``total``, from which tqdm tells what is left."""
        if name != self._name:
            self._name = name
            self._bar.reset(total)
            self._bar.set_description(f"reading {name}", refresh=False)
        self._bar.update(frames)

    def __enter__(self) -> ReadingBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def words(values: Sequence[object] | int) -> list[str]:
    """One value or several as a list of words."""
    return [str(values)] if isinstance(values, (str, int)) else list(map(str, values))
