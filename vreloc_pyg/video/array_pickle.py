"""Published pickles of NumPy arrays, read without running or trusting anything in them.

A pickle is a program. Here it may build dictionaries, lists and tuples of numbers, text and arrays: every
instruction is looked at before one is carried out, and arrays are made of stand-ins that check what they are
given, never by NumPy's own constructors.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vreloc_pyg.errors import WeightsError

#: Instructions that a pickle of arrays consists of.
INSTRUCTIONS = frozenset((
    "PROTO", "FRAME", "STOP", "MARK", "POP", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1",
    "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "EMPTY_LIST",
    "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT",
    "SETITEM", "SETITEMS", "GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
))  # fmt: skip
#: The most instructions of a pickle; a network of a hundred arrays has some thousands.
MOST_INSTRUCTIONS = 200_000
#: Element types, by NumPy's short names without a byte order.
NUMBERS = frozenset((
    "b1", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "bool", "int8", "int16",
    "int32", "int64", "uint8", "float16", "float32", "float64",
))  # fmt: skip


class _DType:
    """Stands in for ``numpy.dtype``: plain numbers only."""

    def __init__(self, name: object = "", align: object = False, copy: object = False) -> None:
        if str(name).lstrip("<>|=") not in NUMBERS:
            raise WeightsError(f"The pickle holds an array of {name!r}: only plain numbers are read")
        self.dtype = np.dtype(str(name))

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(one is not None for one in state[2:5]):
            raise WeightsError("The pickle holds an array of structures: only plain numbers are read")
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands in for ``numpy.ndarray``: made empty, and filled by :meth:`__setstate__`."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise WeightsError("The pickle holds an array that is not as NumPy writes it")
        _, shape, dtype, fortran, content = state
        self.array = _from_bytes(dtype, content, shape, "F" if fortran else "C")


def _from_bytes(dtype: object, content: object, shape: object, order: Any = "C") -> NDArray[Any]:
    whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if not isinstance(dtype, _DType) or not isinstance(content, bytes) or not whole:
        raise WeightsError("The pickle holds an array that is not as NumPy writes it")
    assert isinstance(shape, tuple)
    if math.prod(shape) * dtype.dtype.itemsize != len(content):
        raise WeightsError(f"The pickle holds an array of shape {shape} in {len(content)} bytes")
    return np.frombuffer(content, dtype.dtype).reshape(shape, order=order).copy()


def _reconstruct(kind: object, *_: object) -> _Array:
    if kind is not _Array:
        raise WeightsError("The pickle holds an array that is not as NumPy writes it")
    return _Array()


def _scalar(dtype: object, content: object = b"") -> Any:
    return _from_bytes(dtype, content, ())[()]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise WeightsError("The pickle holds bytes that are not as Python writes them")
    return text.encode("latin1")


#: What a pickle may name, and what it gets.
KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    **{
        (f"numpy.{core}.multiarray", name): made
        for core in ("core", "_core")
        for name, made in (("_reconstruct", _reconstruct), ("scalar", _scalar))
    },
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): OrderedDict,
}


class _ArrayUnpickler(pickle._Unpickler):
    """Python's own, not C's: its memo is a dictionary, which a large index does not fill."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise WeightsError(f"The pickle asks for {module}.{name}: only NumPy arrays are read")
        return KNOWN[module, name]


def read_arrays(content: bytes) -> Any:
    """What a pickle of containers of arrays holds.

    If it is none, that is a :class:`WeightsError`, or whatever Python's unpickler raises.
    """
    for count, (instruction, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
        if instruction.name not in INSTRUCTIONS:
            raise WeightsError(f"The pickle holds the instruction {instruction.name}, which no array needs")
        if count > MOST_INSTRUCTIONS:
            raise WeightsError(f"The pickle has more than {MOST_INSTRUCTIONS} instructions")
        if isinstance(argument, int) and argument.bit_length() > 64:
            raise WeightsError("The pickle holds a number of more than 64 bits")
    return _plain(_ArrayUnpickler(io.BytesIO(content), encoding="latin1").load(), {})


def _plain(value: Any, known: dict[int, Any]) -> Any:
    """The same with arrays in the place of their stand-ins; what occurs twice is made once."""
    if isinstance(value, _Array):
        if value.array is None:
            raise WeightsError("The pickle holds an array without content")
        return value.array
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, dict):
        made: Any = {}
        known[id(value)] = made
        made.update({_plain(key, known): _plain(one, known) for key, one in value.items()})
    elif isinstance(value, list):
        made = known[id(value)] = []
        made.extend(_plain(one, known) for one in value)
    else:
        made = tuple(_plain(one, known) for one in value)
        known[id(value)] = made
    return made
