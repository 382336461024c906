"""Which layout a feature store has."""

from __future__ import annotations

from pathlib import Path

from vreloc_pyg.errors import DataError, reading
from vreloc_pyg.features.store.directory import DirectoryStore
from vreloc_pyg.features.store.feature_store import FeatureStore
from vreloc_pyg.features.store.hdf5 import FORMAT_KEY, ActivityNetStore, HDF5Store, open_file


def open_store(path: str | Path) -> FeatureStore:
    """The feature store at a path, of whichever layout; :class:`DataError` if there is none."""
    path = Path(path)
    if path.is_dir():
        return DirectoryStore(path)
    if not path.exists():
        raise DataError(f"There is no feature store {path}")
    with reading(path), open_file(path) as file:
        ours = FORMAT_KEY in file.attrs
    return HDF5Store(path) if ours else ActivityNetStore(path)
