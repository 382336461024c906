"""Features in HDF5 files: our own layout and ActivityNet's."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from vreloc_pyg.errors import DataError, reading
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import hdf5_probe
from vreloc_pyg.features.store.feature_store import FeatureStore, read_metadata
from vreloc_pyg.numpy_files import check_claim

if TYPE_CHECKING:
    import h5py

#: HDF5 reads whole chunks: the largest in bytes.
MOST_CHUNK_BYTES = 2**28

#: Root attribute that marks our own HDF5 files, and its value.
FORMAT_KEY, FORMAT = "vreloc_features", 1

#: Processor seconds for the first look at a file, and one more for so many bytes.
PROBE_S, PROBE_BYTES_A_SECOND = 3, 10**8
#: Files that were looked at: path, bytes, time of the last change.
_known: set[tuple[str, int, int]] = set()


class HDF5Store(FeatureStore):
    """Our own HDF5: a data set ``features/<id>`` per video, the metadata as attributes of the file.

    A data set may have the attributes ``frame_rate`` and ``content``. Written by :class:`StoreWriter`.
    """

    def __init__(self, path: str | Path) -> None:
        with reading(path), open_file(path) as file:
            version = file.attrs.get(FORMAT_KEY)
            if version != FORMAT:
                raise DataError(f"Expected {path} in version {FORMAT} of our layout (got {version})")
            metadata = read_metadata(str(file.attrs.get("metadata", "{}")), path)
            self._ids = sorted(find_group(file, "features", path))
        if not self._ids:
            raise DataError(f"The feature store {path} holds no video")
        super().__init__(path, metadata)

    def _refresh(self) -> None:
        super()._refresh()
        self._file: h5py.File | None = None
        self._known = set(self._ids)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "_file"}

    def ids(self) -> list[str]:
        return list(self._ids)

    def _find(self, video_id: str) -> str | None:
        return video_id if video_id in self._known else None

    def _dataset(self, key: str) -> h5py.Dataset:
        return self._open_dataset("features", key, repr(key))

    def _open_dataset(self, group: str, name: str, what: str) -> h5py.Dataset:
        """A data set of the file, which each process opens for itself; ``what`` it is, for messages."""
        if os.getpid() != self._process:
            self._refresh()
        with self._lock:
            if self._file is None:
                self._file = open_file(self.path)
            return find_dataset(self._file, f"{group}/{name}", what, self.path)

    def _shape(self, key: str) -> tuple[int, int]:
        with reading(self.path):
            dataset = self._dataset(key)
            return self._check_shape(dataset.shape, dataset.dtype.kind, f"features of {key!r}")

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        return read_rows(self._dataset(key), slice(start, stop), key, self.path)

    def frame_rate(self, video_id: str) -> float | None:
        with reading(self.path):
            rate = self._dataset(self._key(video_id)).attrs.get("frame_rate")
        if rate is None:
            return self.metadata.frame_rate
        try:
            found = float(rate)
        except (TypeError, ValueError):
            raise DataError(f"The frame_rate of {video_id!r} in {self.path} is no number") from None
        if not 0 < found < math.inf:
            raise DataError(f"The frame_rate of {video_id!r} in {self.path} is {found:g}, not above 0")
        return found

    def content(self, video_id: str) -> str | None:
        """Digest of the file that a video's features were made of, where it is known."""
        with reading(self.path):
            found = self._dataset(self._key(video_id)).attrs.get("content")
        return None if found is None else str(found)


class ActivityNetStore(HDF5Store):
    """ActivityNet's HDF5: a group ``v_<id>`` per video with the data set ``c3d_features``.

    Its rows see 16 frames each and are 8 frames apart (http://activity-net.org/download.html); every second
    one is kept, so that steps do not overlap, as Feng et al. do.
    """

    STRIDE_FRAMES, SUBSAMPLE = 8, 2

    def __init__(self, path: str | Path) -> None:
        with reading(path), open_file(path) as file:
            self._ids = sorted(name.removeprefix("v_") for name in file if name.startswith("v_"))
            if not self._ids:
                raise DataError(f"Expected groups v_<id> in {path}, as in ActivityNet's file (found none)")
            first = f"v_{self._ids[0]}"
            shape = find_dataset(file, f"{first}/c3d_features", f"c3d_features of {first}", path).shape
            if len(shape) != 2:
                raise DataError(f"{first} in {path} has no matrix c3d_features")
            width = int(shape[1])
        metadata = FeatureMetadata("c3d", width, float(self.STRIDE_FRAMES * self.SUBSAMPLE))
        FeatureStore.__init__(self, path, metadata)

    def _find(self, video_id: str) -> str | None:
        if video_id in self._known:
            return video_id
        bare = video_id.removeprefix("v_")
        return bare if bare in self._known else None

    def _dataset(self, key: str) -> h5py.Dataset:
        return self._open_dataset(f"v_{key}", "c3d_features", f"c3d_features of v_{key}")

    def _shape(self, key: str) -> tuple[int, int]:
        with reading(self.path):
            dataset = self._dataset(key)
            rows, width = self._check_shape(dataset.shape, dataset.dtype.kind, f"c3d_features of v_{key}")
        return -(-rows // self.SUBSAMPLE), width

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        rows = slice(start * self.SUBSAMPLE, (stop - 1) * self.SUBSAMPLE + 1, self.SUBSAMPLE)
        return read_rows(self._dataset(key), rows, f"v_{key}", self.path)

    def frame_rate(self, video_id: str) -> float | None:
        return None


def open_file(path: str | Path, mode: str = "r") -> h5py.File:
    """An HDF5 file, to be closed by the caller or a ``with`` block; :class:`DataError` if it is none.

    One that this process has not seen before is looked at in another process first (:mod:`.hdf5_probe`),
    which
    takes a tenth of a second: HDF5's own code may loop, and nothing could end that here.
    """
    import h5py

    if Path(path).is_file():
        probe(path)
    try:
        return h5py.File(path, mode)
    except Exception as error:  # of a damaged file HDF5 raises nearly anything
        raise DataError(f"Cannot read {path}: truncated or no HDF5 file ({error})") from None


def probe(path: str | Path) -> None:
    """Raise :class:`DataError` if HDF5 does not come to an end of a file, or breaks down."""
    version = _version(path)
    if version in _known:
        return
    seconds = PROBE_S + version[1] // PROBE_BYTES_A_SECOND
    program = [
        sys.executable,
        "-I",
        hdf5_probe.__file__,
        *map(str, (Path(path).resolve(), seconds, version[1])),
    ]
    try:
        code = subprocess.run(program, capture_output=True, timeout=10 * seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        code = -1
    except OSError:  # there can be no other process
        code = 0
    if code < 0:
        raise DataError(f"Cannot read {path}: it is damaged, and HDF5 does not come to an end of it")
    mark_known(path)


def mark_known(path: str | Path) -> None:
    """Remember a file that was looked at, or that this process wrote."""
    _known.add(_version(path))


def _version(path: str | Path) -> tuple[str, int, int]:
    about = Path(path).stat()
    return str(Path(path).resolve()), about.st_size, about.st_mtime_ns


def is_hdf5(path: str | Path) -> bool:
    """Whether a file can be opened as HDF5."""
    try:
        open_file(path).close()
    except DataError:
        return False
    return True


def find_group(file: h5py.File, name: str, path: str | Path) -> h5py.Group:
    """A group of a file, which no link leads to; else a :class:`DataError`."""
    import h5py

    found = _find(file, name, f"the group {name}", path)
    if not isinstance(found, h5py.Group):
        raise DataError(f"Expected {name} in {path} as a group")
    return found


def find_dataset(file: h5py.File, name: str, what: str, path: str | Path) -> h5py.Dataset:
    """A data set that lies in the file itself; ``what`` it is, for messages.

    HDF5 can make a data set of other files: by links, external storage or virtual sources. A file from
    elsewhere could so be made to show what its author may not read; and it can claim any size, or hold
    chunks that fill the memory when one row of them is read.

    Raises:
        DataError: if there is none, or it is of one of these kinds.
    """
    import h5py

    found = _find(file, name, what, path)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"Cannot read {what} in {path}: it is no data set")
    with reading(f"{what} in {path}"):
        if found.external or found.is_virtual:
            raise DataError(f"Cannot read {what} in {path}: it consists of other files, which are not read")
        check_claim(
            (found.size or 0) * found.dtype.itemsize, found.id.get_storage_size(), f"{what} in {path}"
        )
        chunk = 0 if found.chunks is None else math.prod(found.chunks) * found.dtype.itemsize
        if chunk > MOST_CHUNK_BYTES:
            raise DataError(f"Cannot read {what} in {path}: its chunks have {chunk:,} bytes")
    return found


def _find(file: h5py.File, name: str, what: str, path: str | Path) -> Any:
    import h5py

    place: Any = file
    problem = ""
    for part in name.split("/"):
        try:
            link = place.get(part, getlink=True) if isinstance(place, h5py.Group) else None
            place = place[part] if isinstance(link, h5py.HardLink) else None
        except Exception as error:  # of a damaged file HDF5 raises nearly anything
            raise DataError(f"Cannot read {what} in {path}: {error}") from None
        if link is None:
            problem = f"there is no {name}"
        elif place is None:
            problem = f"{part} is a link, which is not followed"
        if problem:
            raise DataError(f"Cannot read {what} in {path}: {problem}")
    return place


def read_rows(dataset: h5py.Dataset, rows: slice, key: str, path: Path) -> NDArray[Any]:
    """Rows of a data set, or :class:`DataError` if the file is damaged there."""
    try:
        array: NDArray[Any] = dataset[rows]
        return array
    except Exception as error:
        raise DataError(f"Cannot read {key!r} in {path}: truncated or damaged ({error})") from None
