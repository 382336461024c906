"""Arrays in NumPy's files, never unpickled, and never larger than what the file can hold."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.lib.format as npy
from numpy.typing import NDArray

from vreloc_pyg.errors import DataError

#: Stored values may claim so many times the bytes that they take: features are hardly ever compressed to a
#: tenth.
MOST_EXPANSION = 200
#: Values that claim no more than this, in bytes, are harmless.
SMALL_BYTES = 2**22
#: The largest code of a character: NumPy keeps any number in its place.
MOST_CODE = 0x10FFFF


def check_claim(claimed: int, stored: int, what: str) -> None:
    """Raise :class:`DataError` if values claim many more bytes than there are of them."""
    if claimed > MOST_EXPANSION * stored + SMALL_BYTES:
        raise DataError(f"{what} claims {claimed:,} bytes and holds {stored:,}")


def read_npy(path: str | Path, what: str = "") -> NDArray[Any]:
    """The array of a ``.npy`` file, mapped into memory: NumPy compares its size with the file's first.

    Raises :class:`DataError` if there is none; ``what`` it is, for the message.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(12)
        known = start.startswith(npy.MAGIC_PREFIX)
        if known and start[6:7] > b"\x01":  # NumPy makes room for as long a header as these tell
            check_claim(
                int.from_bytes(start[8:12], "little"), Path(path).stat().st_size, f"the header of {path}"
            )
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False) if known else np.empty(0)
    except Exception as error:  # of a damaged header NumPy raises nearly anything
        raise DataError(f"Cannot read {what}{path}: {error}") from None
    if not known:
        raise DataError(f"Cannot read {what}{path}: it is no .npy file")
    return array


def npz_header(
    archive: zipfile.ZipFile, name: str, path: str | Path
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array of an archive; :class:`DataError` if it claims more than is there."""
    about = archive.getinfo(f"{name}.npy")
    with archive.open(about) as member:
        first = npy.read_magic(member) == (1, 0)
        shape, _, dtype = (npy.read_array_header_1_0 if first else npy.read_array_header_2_0)(member)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > about.file_size:
        raise DataError(f"{name} in {path} claims {claimed:,} bytes and has {about.file_size:,}")
    check_claim(claimed, about.compress_size, f"{name} in {path}")
    return shape, dtype


def read_npz(path: str | Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Arrays of a ``.npz`` file by their names; :class:`DataError` if one is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                npz_header(archive, name, path)
        with np.load(path, allow_pickle=False) as content:
            found = [content[name] for name in names]
        for name, array in zip(names, found, strict=True):
            if array.dtype.kind == "U" and array.size and _codes(array).max() > MOST_CODE:
                raise DataError(f"{name} in {path} holds what is no text")
        return found
    except DataError:
        raise
    except Exception as error:  # zip, its packers and NumPy have errors of their own
        raise DataError(f"Cannot read the arrays {', '.join(names)} of {path}: {error}") from None


def _codes(array: NDArray[Any]) -> NDArray[np.uint32]:
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return plain.view(np.uint32)
