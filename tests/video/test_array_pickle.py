"""Pickles of arrays, and what else a pickle may be."""

import pickle
import struct
import time
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vreloc_pyg.errors import WeightsError
from vreloc_pyg.video.array_pickle import MOST_INSTRUCTIONS, read_arrays

NUMBERS = st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<i4", ">i8", "|u1", "|i1", "|b1"])


@given(
    st.dictionaries(
        st.text(max_size=5),
        hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_side=4))
        | st.lists(
            st.integers(-99, 99) | st.floats(allow_nan=False) | st.none() | st.text(max_size=3), max_size=3
        ),
        max_size=4,
    ),
    st.integers(0, 4),
)
def test_containers_of_arrays_come_back(tree, protocol):
    tree = {
        **tree,
        "twice": (tree, tree),
        "ordered": OrderedDict(a=np.asfortranarray(np.eye(3)), b=np.float32(2)),
    }
    found = read_arrays(pickle.dumps(tree, protocol=protocol))
    assert found["twice"][0] is found["twice"][1]
    assert found["ordered"]["b"] == 2
    np.testing.assert_array_equal(found["ordered"]["a"], np.eye(3))
    for name, value in tree.items():
        if isinstance(value, np.ndarray):
            assert type(found[name]) is np.ndarray
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)
        elif isinstance(value, list):
            assert found[name] == value


class Bomb:
    def __reduce__(self):
        return (__import__, ("os",))


def opcodes(*parts):
    return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts) + b"."


#: numpy.ndarray called with a buffer of its own, whose bytes are taken for pointers to objects.
POINTER = opcodes(
    "cnumpy\nndarray\n",
    b"(",
    b"K\x01\x85",
    "cnumpy\ndtype\n",
    b"(X\x01\x00\x00\x00Ott",
    b"C\x08",
    b"\x41" * 8,
    b"tR",
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (pickle.dumps(Bomb()), "asks for builtins.__import__"),
        (pickle.dumps(np.array([Bomb()], dtype=object)), "only plain numbers|asks for"),
        (pickle.dumps(np.zeros(2, dtype=[("a", "f4")])), "only plain numbers"),
        (pickle.dumps(np.array(["text"])), "only plain numbers"),
        (pickle.dumps(np.array(["2020-01-01"], dtype="M8[D]")), "only plain numbers"),
        (POINTER, None),
        (pickle.dumps(np.zeros(3)).replace(struct.pack("<H", 0x034B), struct.pack("<H", 0x094B)), None),
        (pickle.dumps(bytearray(9), protocol=5), "BYTEARRAY8"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**32) + b".", None),
        (b"\x80\x04N" + b"r\xff\xff\xff\x7f" + b".", "no"),
        (b"\x80\x04" + b"N0" * MOST_INSTRUCTIONS + b"N.", "instructions"),
        (b"\x80\x02\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000 + b".", "LONG4"),
        (b"(" * 100_000 + b"l" * 100_000 + b".", None),
    ],
)
def test_anything_else_is_refused_in_little_time(content, problem):
    began = time.process_time()
    if problem == "no":  # harmless: an index of the memo costs no memory
        assert read_arrays(content) is None
        return
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever pickle raises is mapped where files are read
        read_arrays(content)
    assert not isinstance(raised.value, MemoryError)
    if problem:
        assert isinstance(raised.value, WeightsError)
        assert any(word in str(raised.value) for word in problem.split("|"))
    assert time.process_time() - began < 10
