"""The same for every index: what is in it, what is found, and what a process that ends leaves."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.library import faiss_index, lance_index, vector_index
from vreloc_pyg.library.vector_index import INDEXES, open_index
from vreloc_pyg.library.windows import ids_of_video, window_ids, windows_of

kinds = pytest.mark.parametrize("kind", INDEXES)


def vectors(number, seed=0, dims=8):
    drawn = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(number, dims, generator=drawn), dim=1)


def batch(number, seed, count=6):
    start = torch.arange(count)
    return window_ids(number, torch.stack([start, start + 4], 1)), vectors(count, seed)


def nearest(batches, asked, count):
    """Brute force."""
    ids, rows = (torch.cat(one) for one in zip(*batches, strict=True))
    found = (asked @ rows.T).topk(count, dim=1)
    return ids[found.indices], found.values


def agrees(index, batches, count=5):
    asked = vectors(3, 99)
    ids, similarities = index.search(asked, count)
    expected, values = nearest(batches, asked, count)
    assert ids.tolist() == expected.tolist()
    torch.testing.assert_close(similarities, values, atol=1e-5, rtol=0)


@kinds
def test_finds_what_brute_force_finds_after_additions_and_removals(kind, tmp_path):
    one, two, three = batch(1, 1), batch(2, 2), batch(3, 3)
    index = open_index(kind, tmp_path, "", 8)
    state = index.update([], [one, two])
    index.settle()
    agrees(index, [one, two])
    again = open_index(kind, tmp_path, state, 8)
    agrees(again, [one, two])
    last = again.update([ids_of_video(1)], [three])
    agrees(again, [two, three])
    again.settle()
    agrees(open_index(kind, tmp_path, last, 8), [two, three])


@kinds
def test_an_update_that_no_catalog_heard_of_never_was(kind, tmp_path):
    one, two, three = batch(1, 1), batch(2, 2), batch(3, 3)
    index = open_index(kind, tmp_path, "", 8)
    state = index.update([], [one, two])
    index.settle()
    open_index(kind, tmp_path, state, 8).update([ids_of_video(1)], [three])  # and the process ends
    agrees(open_index(kind, tmp_path, state, 8), [one, two])
    other = open_index(kind, tmp_path, state, 8)
    last = other.update([], [batch(4, 4)])
    other.settle()
    agrees(open_index(kind, tmp_path, last, 8), [one, two, batch(4, 4)])


def test_what_a_killed_run_was_writing_goes(tmp_path):
    left = tmp_path / ".vectors-1.99-99.faiss"
    left.write_bytes(b"half")
    index = open_index("faiss", tmp_path, "", 8)
    index.update([], [batch(1, 1)])
    index.settle()
    assert [one.name for one in tmp_path.iterdir()] == ["vectors-1.faiss"]


@kinds
def test_a_batch_that_fails_leaves_the_state_before(kind, tmp_path):
    index = open_index(kind, tmp_path, "", 8)
    state = index.update([], [batch(1, 1)])
    index.settle()

    def broken():
        yield batch(2, 2)
        raise DataError("gone")

    with pytest.raises(Exception, match="gone"):
        open_index(kind, tmp_path, state, 8).update([], broken())
    agrees(open_index(kind, tmp_path, state, 8), [batch(1, 1)])


@kinds
def test_fewer_than_asked_for(kind, tmp_path):
    index = open_index(kind, tmp_path, "", 8)
    index.update([], [batch(1, 1)])
    ids, _ = index.search(vectors(1, 5), 50)
    assert sorted(one for one in ids[0].tolist() if one >= 0) == sorted(batch(1, 1)[0].tolist())


@kinds
def test_a_damaged_index_is_named(kind, tmp_path):
    index = open_index(kind, tmp_path, "", 8)
    state = index.update([], [batch(1, 1)])
    index.settle()
    pattern = "*.faiss" if kind == "faiss" else "**/*.manifest"
    for place in tmp_path.glob(pattern):
        place.write_bytes(place.read_bytes()[:50])
    with pytest.raises(DataError, match="damaged"):
        open_index(kind, tmp_path, state, 8)


def test_many_vectors_are_compressed_and_still_found(tmp_path, monkeypatch):
    for module in (vector_index, faiss_index, lance_index):
        monkeypatch.setattr(module, "LARGE", 2000)
    rows = vectors(4000, 7)
    start = torch.arange(4000)
    ids = window_ids(1, torch.stack([start, start + 4], 1))
    index = open_index("faiss", tmp_path, "", 8, 4000, rows)
    state = index.update([], [(ids, rows)])
    monkeypatch.setattr(faiss_index, "PROBED", 7)  # how far is looked is not kept in the file
    again = open_index("faiss", tmp_path, state, 8)
    assert (index._index.nprobe, again._index.nprobe) == (102, 7)
    again._index.nprobe = 64
    assert (tmp_path / "vectors-1.faiss").stat().st_size < 4000 * 8 * 4
    found, _ = again.search(rows[:50], 10)
    assert (found == ids[:50, None]).any(1).float().mean() >= 0.9
    exact, _ = nearest([(ids, rows)], rows[:50], 10)
    shared = [len(set(one) & set(other)) for one, other in zip(found.tolist(), exact.tolist(), strict=True)]
    assert sum(shared) / 500 > 0.5


def test_an_unknown_index(tmp_path):
    with pytest.raises(SettingsError, match="Unknown index 'annoy'; known are faiss, lance"):
        open_index("annoy", tmp_path, "", 8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**22), st.integers(0, 2**24 - 70_000), st.integers(1, 2**16 - 1))
def test_a_number_says_video_and_window(number, start, length):
    windows = torch.tensor([[start, start + length]])
    ids = window_ids(number, windows)
    numbers, back = windows_of(ids)
    assert numbers.tolist() == [number]
    assert back.tolist() == windows.tolist()
    first, last = ids_of_video(number)
    assert first <= int(ids) < last


def test_a_video_too_long_for_a_number():
    with pytest.raises(DataError, match="too long"):
        window_ids(1, torch.tensor([[0, 70_000]]))
