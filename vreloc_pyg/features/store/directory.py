"""Features in a folder, an array for each video."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from vreloc_pyg.errors import DataError, VrelocError
from vreloc_pyg.features.store.feature_store import FeatureStore, read_metadata
from vreloc_pyg.files import read_text
from vreloc_pyg.numpy_files import npz_header, read_npy


class DirectoryStore(FeatureStore):
    """A folder with one array per video: ``<id>.npy``, ``<id>.npz`` or ``<id>.safetensors``.

    An archive holds one array, or one of the name ``features``. ``metadata.json`` beside them, with keys of
    :class:`FeatureMetadata`, says what the numbers are. Pickled arrays are refused.
    """

    SUFFIXES = (".npy", ".npz", ".safetensors")

    def __init__(self, path: str | Path) -> None:
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
        super().__init__(path, read_metadata(read_text(about) if about.exists() else "{}", about))

    def ids(self) -> list[str]:
        return sorted(self._files)

    def _find(self, video_id: str) -> str | None:
        for name in (video_id, f"v_{video_id}"):  # as ActivityNet calls its files
            if name in self._files:
                return name
        return None

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
            array = read_npy(file, "the features ")
            return array.shape, array.dtype.kind
        if suffix == ".npz":
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                shape, dtype = npz_header(archive, self._only(names, file), file)
                return shape, dtype.kind
        with safe_open(file, "pt") as tensors:
            part = tensors.get_slice(self._only(list(tensors.keys()), file))
            return tuple(part.get_shape()), "f" if "F" in part.get_dtype() else "i"

    def _content(self, file: Path, rows: slice) -> NDArray[Any]:
        """Rows of a file's array; a compressed archive has no rows and is read whole."""
        suffix = file.suffix.lower()
        if suffix == ".npy":
            return np.array(read_npy(file, "the features ")[rows])
        if suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                found: NDArray[Any] = archive[self._only(list(archive.files), file)][rows]
                return found
        with safe_open(file, "pt") as tensors:  # NumPy has no bfloat16
            part = tensors.get_slice(self._only(list(tensors.keys()), file))[rows]
            return np.asarray(part.float().numpy())

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


def read_features(path: str | Path) -> Tensor:
    """Finite features ``[num_steps, F]`` of a ``.npy`` file, never unpickled; else a :class:`DataError`."""
    array = read_npy(path, "the features ")
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(f"Expected a matrix [num_steps, F] of numbers in {path}")
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite there
        found = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
    if not torch.isfinite(found).all():
        raise DataError(f"The features in {path} hold NaN or infinite values")
    return found
