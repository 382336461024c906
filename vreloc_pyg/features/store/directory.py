"""Features in a folder, an array for each video."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.lib.format as npy
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from vreloc_pyg.errors import DataError, VrelocError
from vreloc_pyg.features.store.feature_store import FeatureStore, read_metadata


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
        text = about.read_text(encoding="utf-8") if about.exists() else "{}"
        super().__init__(path, read_metadata(text, about))

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
                    first = npy.read_magic(member) == (1, 0)
                    read = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
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


def read_features(path: str | Path) -> Tensor:
    """Features ``[num_steps, F]`` of a ``.npy`` file, never unpickled; :class:`DataError` if it has none."""
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"Cannot read the features {path}: {error}") from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(f"Expected a matrix [num_steps, F] of numbers in {path}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
