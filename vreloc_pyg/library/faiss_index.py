"""Vectors in a file of FAISS: all of them compared while they are few, cells of short codes when many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import DataError, MissingExtraError, reading
from vreloc_pyg.files import replacing
from vreloc_pyg.library.vector_index import LARGE, Batch

#: Cells of a large index, how many of them a query looks into, and dimensions a byte of a code stands for. Of
#: 64 cells, queries that nothing in a library is made of lose a tenth of what comparing all vectors finds.
CELLS, PROBED, DIMS_PER_BYTE = 4096, 1024, 2


class FaissIndex:
    """A file ``vectors-N.faiss`` a state; the newest is in memory while the index is open.

    Flat below :data:`.LARGE` vectors, where similarities are exact. Above, an inverted file with product
    quantisation (Jegou et al., "Product quantization for nearest neighbor search", 2011), which takes
    ``D / 2 + 8`` bytes a vector.
    """

    def __init__(
        self, place: str | Path, state: str, dims: int, expected: int, sample: Tensor | None
    ) -> None:
        self._faiss = _faiss()
        self._folder = Path(place)
        self._state, self._number = state, 0
        self._index: Any = self._read(dims) if state else self._new(dims, expected, sample)
        if isinstance(self._index, self._faiss.IndexIVF):
            self._index.nprobe = min(PROBED, self._index.nlist)

    def _new(self, dims: int, expected: int, sample: Tensor | None) -> Any:
        faiss = self._faiss
        if expected < LARGE or sample is None:
            return faiss.IndexIDMap2(faiss.IndexFlatIP(dims))
        cells = min(CELLS, max(1, len(sample) // 39))  # FAISS wants 39 examples a cell
        codes = dims if dims % DIMS_PER_BYTE else dims // DIMS_PER_BYTE
        index = faiss.IndexIVFPQ(faiss.IndexFlatIP(dims), dims, cells, codes, 8, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.niter = 0, 8
        index.train(sample.numpy())
        return index

    def _read(self, dims: int) -> Any:
        with reading(f"the state of the index in {self._folder}"):
            about = json.loads(self._state)
            place, written = self._folder / Path(about["file"]).name, int(about["bytes"])
            self._number = int(about["number"])
        try:
            size = place.stat().st_size
            if size != written:
                raise DataError(f"it has {size:,} bytes and was written with {written:,}")
            with _room(self._faiss, max(size, 1)):  # no vector holds more than the file, whatever it claims
                # Tables that distances other than inner products would need are not made.
                index = self._faiss.read_index(str(place), self._faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
            self._check(index)
        except (OSError, RuntimeError, MemoryError, DataError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"The index {place} is damaged: {why}") from None
        if index.d != dims:
            raise DataError(
                f"The index {place} is damaged: its vectors have {index.d} dimensions, not {dims}"
            )
        return index

    def _check(self, index: Any) -> None:
        """Raise :class:`DataError` for what is never written here: FAISS would read beyond its memory."""
        faiss = self._faiss
        if isinstance(index, faiss.IndexIDMap2):
            flat = faiss.downcast_index(index.index)
            sound = isinstance(flat, faiss.IndexFlatIP) and index.id_map.size() == flat.ntotal == index.ntotal
        else:
            sound = isinstance(index, faiss.IndexIVFPQ)
        if not sound:
            raise DataError("it is of another kind, or names other vectors than it has")

    def update(self, gone: Sequence[tuple[int, int]], batches: Iterable[Batch]) -> str:
        for first, last in gone:
            self._index.remove_ids(self._faiss.IDSelectorRange(first, last))
        for ids, vectors in batches:
            self._index.add_with_ids(np.ascontiguousarray(vectors.numpy()), ids.numpy())
        number = self._number + 1
        while (place := self._folder / f"vectors-{number}.faiss").exists():
            number += 1
        try:
            with replacing(place) as unfinished:
                self._faiss.write_index(self._index, str(unfinished))
        except RuntimeError as error:  # FAISS's own, of a disk that is full
            raise OSError(
                None, f"The index cannot be written ({str(error).split(': ')[-1]})", str(place)
            ) from None
        about = {"file": place.name, "bytes": place.stat().st_size, "number": number}
        self._state, self._number = json.dumps(about), number
        return self._state

    def search(self, vectors: Tensor, count: int) -> Batch:
        if self._index.ntotal == 0:
            return torch.full((len(vectors), 0), -1), torch.empty(len(vectors), 0)
        count = min(count, self._index.ntotal)
        similarities, ids = self._index.search(np.ascontiguousarray(vectors.numpy()), count)
        return torch.from_numpy(ids), torch.from_numpy(similarities)

    def settle(self) -> None:
        kept = json.loads(self._state)["file"] if self._state else None
        for pattern in (
            "vectors-*.faiss",
            ".vectors-*.faiss",
        ):  # whole ones, and what a killed run was writing
            for other in self._folder.glob(pattern):
                if other.name != kept:
                    other.unlink(missing_ok=True)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("A library needs faiss-cpu: pip install 'vreloc_pyg[library]'") from None
    return faiss


@contextmanager
def _room(faiss: Any, most: int) -> Iterator[None]:
    """At most so many bytes for a vector that FAISS reads; older releases know no limit."""
    if not hasattr(faiss, "set_deserialization_vector_byte_limit"):
        yield
        return
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(most)
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)
