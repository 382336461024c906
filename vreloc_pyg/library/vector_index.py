"""What a library asks of an index of vectors, and the indexes there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from torch import Tensor

from vreloc_pyg.errors import SettingsError

#: Numbers of windows ``[M]`` int64, and their vectors ``[M, D]`` float32 of length 1.
Batch = tuple[Tensor, Tensor]

#: From so many vectors on an index is compressed and searched in part; fewer are compared one by one.
LARGE = 500_000


class VectorIndex(Protocol):
    """Vectors by number, kept on disk. A *state* names what was in it after an update.

    The library's catalog holds the state that counts. An update leaves every state before it readable, so
    that a process may end at any point: what the catalog does not name is as if it had never been written.
    """

    def update(self, gone: Sequence[tuple[int, int]], batches: Iterable[Batch]) -> str:
        """Take half-open ranges of numbers out and batches in; returns the new state."""

    def search(self, vectors: Tensor, count: int) -> Batch:
        """Numbers and similarities ``[Q, count]`` of what is nearest to vectors ``[Q, D]``, best first.

        Where there are fewer, numbers are -1.
        """

    def settle(self) -> None:
        """The catalog holds the state of the last update: whatever else was written may go."""


#: Name of each index, and where it is; a module is imported when its index is asked for.
INDEXES = {
    "faiss": "vreloc_pyg.library.faiss_index:FaissIndex",
    "lance": "vreloc_pyg.library.lance_index:LanceIndex",
}


def open_index(
    kind: str, place: str | Path, state: str, dims: int, expected: int = 0, sample: Tensor | None = None
) -> VectorIndex:
    """An index in a state; the empty state is that of a new one.

    Args:
        kind: of :data:`INDEXES`.
        place: folder, or for LanceDB the address of a database such as ``s3://bucket/library``.
        state: which of what was written there counts.
        dims: D.
        expected: number of vectors that a new one will hold.
        sample: vectors ``[S, D]`` that a new one of many may be fitted to.

    Raises:
        SettingsError: for an unknown kind.
        DataError: if the state cannot be read.
        MissingExtraError: if its package is not installed.
    """
    if kind not in INDEXES:
        raise SettingsError(f"Unknown index {kind!r}; known are {', '.join(INDEXES)}")
    module, _, name = INDEXES[kind].partition(":")
    made: VectorIndex = getattr(import_module(module), name)(place, state, dims, expected, sample)
    return made
