"""Single files of features."""

import os

import numpy as np
import pytest
import torch

from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store.directory import read_features


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_features_of_any_number_type_are_read(tmp_path, dtype, order):
    array = np.asarray(np.arange(12).reshape(4, 3), dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    features = read_features(tmp_path / "a.npy")
    assert features.dtype == torch.float32
    assert features.tolist() == array.tolist()


@pytest.mark.parametrize(
    "array",
    [
        *(np.zeros(shape) for shape in (5, (2, 3, 4), ())),
        *(np.ones((2, 2), dtype=kind) for kind in (bool, complex, "U1", [("x", "f4")])),
        np.zeros((2, 2), dtype="datetime64[s]"),
    ],
)
def test_arrays_that_are_no_matrix_of_numbers_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=r"^Expected a matrix \[num_steps, F\] of numbers in .*a\.npy$"):
        read_features(tmp_path / "a.npy")


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.array([Bomb(), 1], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"^Cannot read .*a\.npy: .*Python objects"):
        read_features(tmp_path / "a.npy")
    assert not (tmp_path / "exploded").exists()


def test_files_that_are_no_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 3)))
    truncated = (tmp_path / "a.npy").read_bytes()[:-8]
    for content in (b"", b"\x93NUMPY", b"text\n", b"PK\x03\x04", truncated):
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(DataError, match=r"^Cannot read .*a\.npy: "):
            read_features(tmp_path / "a.npy")
    for name in ("missing.npy", "."):
        with pytest.raises(DataError, match=r"^Cannot read "):
            read_features(tmp_path / name)
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2)))
    with pytest.raises(DataError, match=r"a\.npz: it is no \.npy file"):
        read_features(tmp_path / "a.npz")
