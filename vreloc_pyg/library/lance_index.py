"""Vectors in a table of LanceDB, on a local disk or in an object store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import DataError, MissingExtraError, reading
from vreloc_pyg.library.vector_index import LARGE, Batch

#: Partitions that a query looks into, and how many times as many candidates are compared exactly.
PROBED, REFINED = 64, 4


class LanceIndex:
    """A table of its own, ``windows-`` and a random number, whose versions are the states.

    An update that was cut off is undone by the next one, which begins from the state that counts. Versions
    stay until the index is built anew, in another table; each holds only what it changed. Tables that do not
    count any more are dropped on a disk, and stay in an object store, where they may be another library's.
    Above :data:`.LARGE` vectors the table gets an IVF-PQ index.
    """

    def __init__(
        self, place: str | Path, state: str, dims: int, expected: int, sample: Tensor | None
    ) -> None:
        place = str(place)
        self._place, self._shared = place, "://" in place
        lancedb = _lancedb()
        with reading(f"the database {place}"):
            self._database = lancedb.connect(place if self._shared else str(Path(place) / "lance"))
        self._dims, self._fresh = dims, not state
        self._table: Any = None
        if not state:
            return
        try:
            about = json.loads(state)
            self._table = self._database.open_table(about["table"])
            self._table.checkout(about["version"])
            count, width = self._table.count_rows(), self._table.schema.field("vector").type.list_size
        except Exception as error:  # LanceDB has many of its own
            raise DataError(
                f"The index in {place} is damaged or gone: {str(error).splitlines()[0]}"
            ) from None
        if (count, width) != (about["rows"], dims):
            raise DataError(f"The index in {place} is damaged: it has {count} rows of {width} dimensions")

    def update(self, gone: Sequence[tuple[int, int]], batches: Iterable[Batch]) -> str:
        import pyarrow

        schema = pyarrow.schema(
            [
                pyarrow.field("id", pyarrow.int64()),
                pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), self._dims)),
            ]
        )

        def rows() -> Iterator[Any]:
            for ids, vectors in batches:
                flat = pyarrow.array(np.ascontiguousarray(vectors.numpy()).reshape(-1))
                columns = [
                    pyarrow.array(ids.numpy()),
                    pyarrow.FixedSizeListArray.from_arrays(flat, self._dims),
                ]
                yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)

        reader = pyarrow.RecordBatchReader.from_batches(schema, rows())
        if self._table is None:
            self._table = self._database.create_table(f"windows-{uuid4().hex}", reader)
        else:
            self._table.restore()  # what came after the state that counts is undone
            for first, last in gone:
                self._table.delete(f"id >= {first} AND id < {last}")
            self._table.add(reader)
        count = self._table.count_rows()
        if count >= LARGE:
            self._table.create_index(
                metric="dot", vector_column_name="vector", num_sub_vectors=self._dims // 2, replace=True
            )
        return json.dumps({"table": self._table.name, "version": self._table.version, "rows": count})

    def search(self, vectors: Tensor, count: int) -> Batch:
        ids = torch.full((len(vectors), count), -1)
        similarities = torch.full((len(vectors), count), -torch.inf)
        for row, vector in enumerate(vectors.numpy()):
            asked = self._table.search(vector, vector_column_name="vector").distance_type("dot")
            with reading(f"the index in {self._place}"):
                found = asked.nprobes(PROBED).refine_factor(REFINED).limit(count).to_arrow()
            here = found.num_rows
            ids[row, :here] = torch.from_numpy(found["id"].to_numpy().copy())
            # LanceDB's distance is one less the inner product
            similarities[row, :here] = 1 - torch.from_numpy(found["_distance"].to_numpy().copy())
        return ids, similarities

    def settle(self) -> None:
        if self._table is None or self._shared:
            return
        for name in self._names():
            if name.startswith("windows-") and name != self._table.name:
                self._database.drop_table(name)

    def _names(self) -> list[str]:
        return list(self._database.list_tables().tables)


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError:
        raise MissingExtraError("This index needs LanceDB: pip install 'vreloc_pyg[lance]'") from None
    return lancedb
