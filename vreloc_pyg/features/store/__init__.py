"""Feature files: ActivityNet's HDF5, folders of arrays, and our own HDF5.

Rows are read when they are asked for, and only those; what was read is kept in a cache bounded in bytes.
Stores may be used from several threads, and after a fork or in another process, which opens the file anew.
"""

from pathlib import Path

from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store.base import CACHE_BYTES, FeatureSlice, FeatureStore
from vreloc_pyg.features.store.directory import DirectoryStore
from vreloc_pyg.features.store.hdf5 import FORMAT_KEY, ActivityNetStore, HDF5Store, opened
from vreloc_pyg.features.store.writer import StoreWriter, write_store

__all__ = [
    "ActivityNetStore",
    "DirectoryStore",
    "FeatureSlice",
    "FeatureStore",
    "HDF5Store",
    "StoreWriter",
    "open_store",
    "write_store",
]


def open_store(path: str | Path, cache_bytes: int = CACHE_BYTES) -> FeatureStore:
    """The feature store at a path; which layout it has is told by looking.

    Raises:
        DataError: if there is none of a known layout.
    """
    path = Path(path)
    if path.is_dir():
        return DirectoryStore(path, cache_bytes)
    if not path.exists():
        raise DataError(f"There is no feature store {path}")
    with opened(path) as file:
        ours = FORMAT_KEY in file.attrs
    return HDF5Store(path, cache_bytes) if ours else ActivityNetStore(path, cache_bytes=cache_bytes)
