"""Arrays in MATLAB's files, never larger than what the file can hold.

SciPy allocates what the file claims; so the claims are looked at first. The layout is level 5 of
https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vreloc_pyg.errors import DataError, reading
from vreloc_pyg.numpy_files import MOST_EXPANSION, SMALL_BYTES, check_claim

HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
#: Classes of matrices that hold numbers or text; the others hold matrices of their own.
PLAIN = range(4, 16)
SPARSE = 5
#: Types of the parts of a matrix: its flags, its sizes, its name, and its numbers or its text.
FLAGS, SIZES, NAME = (6,), (5,), (1,)
KNOWN_FLAGS = 0x06FF  # the class, whether it is logical, and whether it is global; not whether it is complex
NUMBERS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18)


def read_mat(path: str | Path, names: Sequence[str]) -> dict[str, Any]:
    """Arrays of a MATLAB 5 file by their names, those that it has; :class:`DataError` if it is damaged.

    A file that claims more bytes than it has, or holds cells, structures or sparse matrices, is refused.
    """
    from scipy.io import loadmat

    with reading(f"{path}: not a MATLAB 5 file or damaged"):
        check_mat(Path(path).read_bytes(), path)
        found: dict[str, Any] = loadmat(path, variable_names=list(names))
    return found


def check_mat(content: bytes, path: str | Path) -> None:
    """Raise :class:`DataError` unless every matrix of a file's content fits into it."""
    mark = content[HEADER_BYTES - 2 : HEADER_BYTES]
    if mark not in (b"IM", b"MI") or 0 in content[:4]:
        raise DataError(f"Cannot read {path}: not a MATLAB 5 file or damaged")
    order = "<" if mark == b"IM" else ">"
    for kind, part in _elements(content[HEADER_BYTES:], order, path):
        if kind == COMPRESSED:
            unpacking = zlib.decompressobj()
            whole = unpacking.decompress(part, MOST_EXPANSION * len(part) + SMALL_BYTES)
            if unpacking.unconsumed_tail:
                raise DataError(f"Cannot read {path}: a matrix unpacks to more than {len(whole):,} bytes")
            for inner, matrix in _elements(whole, order, path):
                _check_matrix(inner, matrix, order, path)
        else:
            _check_matrix(kind, part, order, path)


def _check_matrix(kind: int, content: bytes, order: str, path: str | Path) -> None:
    parts = list(_elements(content, order, path))
    if kind != MATRIX or len(parts) < 3:
        raise DataError(f"Cannot read {path}: it holds something that is no matrix")
    flags, sizes = parts[0][1], parts[1][1]
    expected = (FLAGS, SIZES, NAME)
    if any(kind not in kinds for (kind, _), kinds in zip(parts, expected, strict=False)) or any(
        kind not in NUMBERS for kind, _ in parts[3:]
    ):
        raise DataError(f"Cannot read {path}: it holds a matrix whose parts are not as MATLAB writes them")
    word = struct.unpack(order + "I", flags[:4])[0]
    class_of = word & 0xFF
    if word & ~KNOWN_FLAGS or len(parts) > 4:
        raise DataError(f"Cannot read {path}: it holds a matrix of complex numbers, or a damaged one")
    if class_of not in PLAIN or class_of == SPARSE:
        raise DataError(
            f"{path} lacks or damages an array: it holds a matrix that is none of numbers or text"
        )
    dims = struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
    if any(size < 0 for size in dims):
        raise DataError(f"Cannot read {path}: it holds a matrix of shape {dims}")
    check_claim(8 * math.prod(dims), len(content), f"a matrix of {path}")


def _elements(content: bytes, order: str, path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Type and content of one element after the other; their sizes are multiples of 8 but for compressed ones."""  # noqa: E501
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack(order + "II", content[at : at + 8])
        begin = at + 8
        if kind >> 16:  # a small one: both in four bytes, the content in the other four
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
            at += 8
        else:
            at = begin + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(content):
            raise DataError(f"Cannot read {path}: it is cut off, or claims {size:,} bytes that it has not")
        yield kind, content[begin : begin + size]
