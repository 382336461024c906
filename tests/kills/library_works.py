"""Filling a library, as runs that are killed do it; each notes what it took to come to something new."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.videos import Levels
from vreloc_pyg.features.store import HDF5Store
from vreloc_pyg.library.indexing import Indexing, index_features, index_videos
from vreloc_pyg.library.inputs import find_videos
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.windows import windows_of

#: Lines of processor seconds from a run's start to the first video that it had to read.
NOTES = "resumed"


class Slow(Levels):
    """Takes a while, and notes when it is first asked."""

    def __init__(self, note: Callable[[], object]) -> None:
        super().__init__()
        self._note = note

    def _compute(self, frames: torch.Tensor) -> torch.Tensor:
        self._note()
        time.sleep(0.01)
        return super()._compute(frames)


def fill_from_videos(folder: Path) -> None:
    """``vreloc index videos``."""
    noted = _first_call(folder)
    paths = find_videos([folder / "videos"])
    _fill(folder, lambda library: index_videos(library, paths, lambda: Slow(noted), progress=False))


def fill_from_store(folder: Path) -> None:
    """``vreloc index --features``."""
    store, noted = HDF5Store(folder / "features.h5"), _first_call(folder)

    def run(library: Library) -> Indexing:
        there = {entry.name for entry in library.entries()}

        def videos():
            for name in store.ids():
                if name not in there:
                    noted()
                yield name, store.read(name), 0.64

        return index_features(library, videos(), store.metadata)

    _fill(folder, run)


def _first_call(folder: Path) -> Callable[[], object]:
    began, times = time.process_time(), []

    def note() -> None:
        if not times:
            times.append(time.process_time() - began)
            with (folder / NOTES).open("a") as file:
                file.write(f"{times[0]}\n")

    return note


def _fill(folder: Path, run: Callable[[Library], Indexing]) -> None:
    """Go on; what was finished before must be there, and must not be read again."""
    library = Library(folder / "library", create=True)
    finished = {entry.name for entry in library.entries()}
    found = run(library)
    if set(found.kept) != finished or found.failed:
        raise RuntimeError(f"{finished} were finished, {found.kept} kept; failed: {found.failed}")


def left(folder: Path) -> list[object]:
    """All that is in a library, and which files lie in its folder."""
    library = Library(folder / "library")
    entries, found = library.entries(), library.searchable()
    place = {entry.number: at for at, entry in enumerate(entries)}  # a number is lost with a killed run
    ids, similarities = (one[0] for one in found.index.search(torch.ones(1, found.descriptors.dims), 10**5))
    numbers, windows = windows_of(ids[ids >= 0])
    rows = zip(numbers.tolist(), windows.tolist(), similarities.tolist(), strict=False)
    files = {one.relative_to(library.folder) for one in library.folder.rglob("*")}
    return [
        [(Path(one.name).name, one.content, one.num_steps, one.duration_s) for one in entries],
        sorted((place[number], window, round(similarity, 4)) for number, window, similarity in rows),
        sorted("vectors" if str(one).startswith("vectors-") else str(one) for one in files),
        [library.read(entry).tolist() for entry in entries],
    ]


def slowest_s(folder: Path) -> float:
    """Processor seconds that the slowest run in a folder took to come to something new."""
    notes = folder / NOTES
    return max(map(float, notes.read_text().split()), default=0.0) if notes.exists() else 0.0
