"""Feature files: ActivityNet's HDF5, folders of arrays, and our own HDF5.

Rows are read when they are asked for, and only those; what was read is kept in a cache bounded in bytes.
Stores may be used from several threads, and after a fork or in another process, which opens the file anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError, VrelocError
from vreloc_pyg.features.metadata import FeatureMetadata

if TYPE_CHECKING:
    import h5py

#: Root attribute that marks our own HDF5 files, and its value.
FORMAT_KEY, FORMAT = "vreloc_features", 1
CACHE_BYTES = 2**28


class ByteCache:
    """The most recently used arrays, as many as fit into ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._arrays: OrderedDict[object, Tensor] = OrderedDict()

    def get(self, key: object) -> Tensor | None:
        """The tensor of a key, or ``None``."""
        found = self._arrays.get(key)
        if found is not None:
            self._arrays.move_to_end(key)
        return found

    def put(self, key: object, value: Tensor) -> None:
        """Keep a tensor, unless it alone is larger than the cache."""
        if value.nbytes > self.max_bytes or key in self._arrays:
            return
        self._arrays[key] = value
        self.num_bytes += value.nbytes
        while self.num_bytes > self.max_bytes:
            _, dropped = self._arrays.popitem(last=False)
            self.num_bytes -= dropped.nbytes


class FeatureStore(ABC):
    """Features of many videos, read when they are asked for.

    Args:
        path: the file or folder.
        metadata: what the features were made with.
        cache_bytes: the most that is kept in memory.

    Raises:
        DataError: if the file or folder cannot be read as its layout says.
    """

    def __init__(self, path: str | Path, metadata: FeatureMetadata, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = Path(path)
        self.metadata = metadata
        self.cache_bytes = cache_bytes
        self._refresh()

    def _refresh(self) -> None:
        """Forget what belongs to another process."""
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._cache = ByteCache(self.cache_bytes)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("_lock", "_cache")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._refresh()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def __contains__(self, video_id: str) -> bool:
        return self._find(video_id) is not None

    def __len__(self) -> int:
        return len(self.ids())

    @abstractmethod
    def ids(self) -> list[str]:
        """Ids of the videos, sorted."""

    @abstractmethod
    def _find(self, video_id: str) -> str | None:
        """The key of a video in the file, or ``None``."""

    @abstractmethod
    def _shape(self, key: str) -> tuple[int, int]:
        """Steps and width of a video, without reading its features."""

    @abstractmethod
    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        """Rows of a video."""

    def frame_rate(self, video_id: str) -> float | None:
        """Frames per second that the extractor saw of a video, where it is known."""
        return self.metadata.frame_rate

    @cached_property
    def num_features(self) -> int:
        """F; of the first video where the metadata does not say."""
        return self.metadata.dim or self._shape(self._key(self.ids()[0]))[1]

    def num_steps(self, video_id: str) -> int:
        """Length of a video in steps, without reading its features."""
        return self._shape(self._key(video_id))[0]

    def missing(self, video_ids: Iterable[str]) -> list[str]:
        """Those of the videos that the store lacks, sorted."""
        return sorted({video_id for video_id in video_ids if video_id not in self})

    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Steps ``start`` to ``stop`` of a video, ``[n, F]`` float32; the caller may change them.

        Raises:
            DataError: if the store lacks the video, or its file is damaged.
            FeatureError: if the steps lie outside the video, or the features are of another width than the
                store's or not finite.
        """
        if os.getpid() != self._process:
            self._refresh()
        key = self._key(video_id)
        with self._lock:
            num_steps, width = self._shape(key)
            stop = num_steps if stop is None else stop
            if not 0 <= start < stop <= num_steps:
                raise FeatureError(
                    f"Expected steps of {video_id!r} in {self.path} within [0, {num_steps}] "
                    f"(got [{start}, {stop}))"
                )
            if self.metadata.dim not in (None, width):
                raise FeatureError(
                    f"Expected F = {self.metadata.dim} for {video_id!r} in {self.path} (got {width})"
                )
            found = self._cache.get((key, start, stop))
            if found is None:
                array = np.ascontiguousarray(self._rows(key, start, stop), dtype=np.float32)
                found = torch.from_numpy(array)
                if not torch.isfinite(found).all():
                    step = start + int((~torch.isfinite(found)).any(1).nonzero()[0, 0])
                    raise FeatureError(
                        f"Features of {video_id!r} in {self.path} hold NaN or infinite values, at step {step}"
                    )
                self._cache.put((key, start, stop), found)
            return found.clone()

    def _key(self, video_id: str) -> str:
        key = self._find(video_id)
        if key is None:
            raise DataError(f"The feature store {self.path} has no video {video_id!r}")
        return key

    def _check_shape(self, shape: tuple[int, ...], kind: str, what: str) -> tuple[int, int]:
        """The shape of an array, or an error unless it is a matrix of numbers with at least one row."""
        if len(shape) != 2 or 0 in shape or kind not in "fiu":
            raise FeatureError(
                f"Expected {what} in {self.path} as a matrix [num_steps, F] of numbers with a step "
                f"(got shape {shape})"
            )
        return shape[0], shape[1]


class HDF5Store(FeatureStore):
    """Our own HDF5: a data set ``features/<id>`` per video, the metadata as attributes of the file.

    A data set may have the attributes ``frame_rate`` and ``content``. Written by :class:`StoreWriter`.
    """

    def __init__(self, path: str | Path, cache_bytes: int = CACHE_BYTES) -> None:
        with _opened(path) as file:
            version = file.attrs.get(FORMAT_KEY)
            if version != FORMAT:
                raise DataError(f"Expected {path} in version {FORMAT} of our layout (got {version})")
            metadata = _read_metadata(str(file.attrs.get("metadata", "{}")), path)
            self._ids = sorted(file["features"])
        if not self._ids:
            raise DataError(f"The feature store {path} holds no video")
        super().__init__(path, metadata, cache_bytes)

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
        if os.getpid() != self._process:
            self._refresh()
        with self._lock:
            if self._file is None:
                self._file = _open(self.path)
            try:
                return self._file["features"][key]
            except (KeyError, OSError, RuntimeError) as error:
                raise DataError(f"Cannot read {key!r} in {self.path}: {error}") from None

    def _shape(self, key: str) -> tuple[int, int]:
        dataset = self._dataset(key)
        return self._check_shape(dataset.shape, dataset.dtype.kind, f"features of {key!r}")

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        return _slice(self._dataset(key), slice(start, stop), key, self.path)

    def frame_rate(self, video_id: str) -> float | None:
        rate = self._dataset(self._key(video_id)).attrs.get("frame_rate")
        return self.metadata.frame_rate if rate is None else float(rate)

    def content(self, video_id: str) -> str | None:
        """Digest of the file that a video's features were made of, where it is known."""
        found = self._dataset(self._key(video_id)).attrs.get("content")
        return None if found is None else str(found)


class ActivityNetStore(HDF5Store):
    """ActivityNet's HDF5: a group ``v_<id>`` per video with the data set ``c3d_features``.

    Its rows see 16 frames each and are 8 frames apart (http://activity-net.org/download.html); every second
    one is kept, so that steps do not overlap, as Feng et al. do.

    Args:
        path: the file.
        subsample: keep every so many rows.
        cache_bytes: the most that is kept in memory.
    """

    STRIDE_FRAMES = 8

    def __init__(self, path: str | Path, subsample: int = 2, cache_bytes: int = CACHE_BYTES) -> None:
        if subsample < 1:
            raise DataError(f"Expected subsample >= 1 (got {subsample})")
        self.subsample = subsample
        with _opened(path) as file:
            self._ids = sorted(name.removeprefix("v_") for name in file if name.startswith("v_"))
            if not self._ids:
                raise DataError(f"Expected groups v_<id> in {path}, as in ActivityNet's file (found none)")
            try:
                width = int(file[f"v_{self._ids[0]}"]["c3d_features"].shape[1])
            except (KeyError, IndexError, AttributeError):
                raise DataError(f"v_{self._ids[0]} in {path} has no matrix c3d_features") from None
        metadata = FeatureMetadata("c3d", width, float(self.STRIDE_FRAMES * subsample))
        FeatureStore.__init__(self, path, metadata, cache_bytes)

    def _find(self, video_id: str) -> str | None:
        if video_id in self._known:
            return video_id
        bare = video_id.removeprefix("v_")
        return bare if bare in self._known else None

    def _dataset(self, key: str) -> h5py.Dataset:
        if os.getpid() != self._process:
            self._refresh()
        with self._lock:
            if self._file is None:
                self._file = _open(self.path)
            try:
                return self._file[f"v_{key}"]["c3d_features"]
            except (KeyError, OSError, RuntimeError) as error:
                raise DataError(f"Cannot read c3d_features of v_{key} in {self.path}: {error}") from None

    def _shape(self, key: str) -> tuple[int, int]:
        dataset = self._dataset(key)
        rows, width = self._check_shape(dataset.shape, dataset.dtype.kind, f"c3d_features of v_{key}")
        return -(-rows // self.subsample), width

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        rows = slice(start * self.subsample, (stop - 1) * self.subsample + 1, self.subsample)
        return _slice(self._dataset(key), rows, f"v_{key}", self.path)

    def frame_rate(self, video_id: str) -> float | None:
        return None


class DirectoryStore(FeatureStore):
    """A folder with one array per video: ``<id>.npy``, ``<id>.npz`` or ``<id>.safetensors``.

    An archive holds one array, or one of the name ``features``. ``metadata.json`` beside them, with keys of
    :class:`FeatureMetadata`, says what the numbers are. Pickled arrays are refused.
    """

    SUFFIXES = (".npy", ".npz", ".safetensors")

    def __init__(self, path: str | Path, cache_bytes: int = CACHE_BYTES) -> None:
        path = Path(path)
        self._files: dict[str, Path] = {}
        for file in sorted(path.iterdir()):
            if file.suffix.lower() not in self.SUFFIXES or file.name.startswith("."):
                continue
            if file.stem in self._files:
                other = self._files[file.stem].name
                raise DataError(
                    f"Two files in {path} hold features of {file.stem!r}: {other} and {file.name}"
                )
            self._files[file.stem] = file
        if not self._files:
            raise DataError(f"Found no {', '.join(self.SUFFIXES)} in the folder {path}")
        about = path / "metadata.json"
        text = about.read_text(encoding="utf-8") if about.exists() else "{}"
        super().__init__(path, _read_metadata(text, about), cache_bytes)

    def ids(self) -> list[str]:
        return sorted(self._files)

    def _find(self, video_id: str) -> str | None:
        return video_id if video_id in self._files else None

    def _shape(self, key: str) -> tuple[int, int]:
        shape, kind = self._guarded(self._header, self._files[key])
        return self._check_shape(shape, kind, self._files[key].name)

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        rows: NDArray[Any] = self._guarded(self._content, self._files[key], slice(start, stop))
        return rows

    def _header(self, file: Path) -> tuple[tuple[int, ...], str]:
        """Shape and kind of numbers of a file's array; the array is not read."""
        suffix = file.suffix.lower()
        if suffix == ".npy":
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            return array.shape, array.dtype.kind
        if suffix == ".npz":
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                with archive.open(f"{self._only(names, file)}.npy") as member:
                    first = np.lib.format.read_magic(member) == (1, 0)
                    read = (
                        np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(member)
                    return shape, dtype.kind
        with safe_open(file, "numpy") as tensors:
            part = tensors.get_slice(self._only(list(tensors.keys()), file))
            return tuple(part.get_shape()), "f" if "F" in part.get_dtype() else "i"

    def _content(self, file: Path, rows: slice) -> NDArray[Any]:
        """Rows of a file's array; a compressed archive has no rows and is read whole."""
        suffix = file.suffix.lower()
        if suffix == ".npy":
            return np.array(np.load(file, mmap_mode="r", allow_pickle=False)[rows])
        if suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                found: NDArray[Any] = archive[self._only(list(archive.files), file)][rows]
                return found
        with safe_open(file, "numpy") as tensors:
            return np.asarray(tensors.get_slice(self._only(list(tensors.keys()), file))[rows])

    def _guarded(self, read: Callable[..., Any], file: Path, *more: Any) -> Any:
        try:
            return read(file, *more)
        except VrelocError:
            raise
        except Exception as error:  # every reader has errors of its own for a damaged file
            raise DataError(f"Cannot read the features {file}: {error}") from None

    @staticmethod
    def _only(names: list[str], file: Path) -> str:
        """The name of the array that holds the features."""
        if "features" in names:
            return "features"
        if len(names) != 1:
            raise DataError(
                f"Expected one array, or one named features, in {file} (got {', '.join(names) or 'none'})"
            )
        return names[0]


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
    with _opened(path) as file:
        ours = FORMAT_KEY in file.attrs
    return HDF5Store(path, cache_bytes) if ours else ActivityNetStore(path, cache_bytes=cache_bytes)


@dataclass(frozen=True)
class FeatureSlice:
    """Steps ``start`` to ``stop`` of a stored video, read when they are asked for.

    Args:
        store: the feature store.
        video_id: a video of it.
        start, stop: half-open steps; ``stop`` ``None``: to its end.
    """

    store: FeatureStore
    video_id: str
    start: int = 0
    stop: int | None = None

    @property
    def num_steps(self) -> int:
        """Length in steps."""
        stop = self.store.num_steps(self.video_id) if self.stop is None else self.stop
        return stop - self.start

    @property
    def num_features(self) -> int | None:
        """F."""
        return self.store.num_features

    def read(self) -> Tensor:
        """``[num_steps, F]`` float32."""
        return self.store.read(self.video_id, self.start, self.stop)


class StoreWriter:
    """Writes our HDF5, video by video; a run that was cut off may go on where it stopped.

    The file is written beside its place and renamed when the ``with`` block ends well; until then what is
    done is kept in ``<name>.part``.

    Args:
        path: the file.
        metadata: what the features are made with.
        resume: go on with what an earlier run left.

    Raises:
        FeatureError: if what an earlier run left was made in another way.

    Example:
        >>> with StoreWriter("features.h5", FeatureMetadata("c3d", 500, 16.0)) as writer:  # doctest: +SKIP
        ...     writer.add("a_video", features, frame_rate=25.0)
    """

    def __init__(self, path: str | Path, metadata: FeatureMetadata, resume: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.metadata = metadata
        self.resume = resume
        self._file: h5py.File | None = None

    def __enter__(self) -> StoreWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            self.part.unlink(missing_ok=True)
        self._file = _open(self.part, "a")
        about = json.dumps(self.metadata.to_dict(), sort_keys=True)
        if self._file.attrs.get("metadata", about) != about:
            self._file.close()
            raise FeatureError(f"{self.part} was begun with other features: delete it, or do not resume")
        self._file.attrs[FORMAT_KEY], self._file.attrs["metadata"] = FORMAT, about
        self._file.require_group("features")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._file is not None
        self._file.close()
        if kind is None:
            self.part.replace(self.path)

    def __contains__(self, video_id: str) -> bool:
        assert self._file is not None
        return video_id in self._file["features"]

    def add(
        self,
        video_id: str,
        features: Tensor,
        frame_rate: float | None = None,
        content: str | None = None,
    ) -> None:
        """Append a video; it appears whole or not at all.

        Args:
            video_id: its key.
            features: ``[num_steps, F]``.
            frame_rate: frames per second the extractor saw.
            content: digest of the file they were made of.

        Raises:
            FeatureError: if the features are no matrix, not finite, or of a width that the metadata deny.
            DataError: if the id is empty or holds a slash, or is there already.
        """
        assert self._file is not None
        if not video_id or "/" in video_id or video_id in self:
            raise DataError(f"Cannot add {video_id!r} to {self.path}: empty, with a slash, or there already")
        array = features.detach().cpu().float().numpy()
        wrong = array.ndim != 2 or 0 in array.shape or self.metadata.dim not in (None, array.shape[-1])
        if wrong or not np.isfinite(array).all():
            raise FeatureError(
                f"Expected finite features of {video_id!r} as [num_steps, {self.metadata.dim or 'F'}] "
                f"(got shape {array.shape})"
            )
        group = self._file["features"]
        if ".unfinished" in group:  # of a run that was cut off
            del group[".unfinished"]
        unfinished = group.create_dataset(".unfinished", data=array)
        if frame_rate is not None:
            unfinished.attrs["frame_rate"] = frame_rate
        if content is not None:
            unfinished.attrs["content"] = content
        group.move(".unfinished", video_id)
        self._file.flush()


def write_store(
    path: str | Path, videos: Iterable[tuple[str, Tensor]], metadata: FeatureMetadata
) -> HDF5Store:
    """Write features of videos as our HDF5, whole or not at all, and open it."""
    with StoreWriter(path, metadata) as writer:
        for video_id, features in videos:
            writer.add(video_id, features)
    return HDF5Store(path)


def _open(path: Path, mode: str = "r") -> h5py.File:
    import h5py

    try:
        return h5py.File(path, mode)
    except (OSError, RuntimeError) as error:
        raise DataError(f"Cannot read {path}: truncated or no HDF5 file ({error})") from None


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    file = _open(Path(path))
    try:
        yield file
    finally:
        file.close()


def _slice(dataset: h5py.Dataset, rows: slice, key: str, path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = dataset[rows]
    except (OSError, RuntimeError) as error:
        raise DataError(f"Cannot read {key!r} in {path}: truncated or damaged ({error})") from None
    return array


def _read_metadata(text: str, path: str | Path) -> FeatureMetadata:
    try:
        values = json.loads(text)
        return FeatureMetadata.from_dict(values)
    except (json.JSONDecodeError, VrelocError, TypeError, AttributeError) as error:
        raise DataError(f"Cannot read the feature metadata of {path}: {error}") from None
