import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.proposals.conftest import video
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.sliding_window import SlidingWindows, window_lengths

shapes = st.builds(
    lambda shortest, extra, ratio, overlap: SlidingWindows(shortest, shortest + extra, ratio, overlap),
    st.integers(1, 30),
    st.integers(0, 100),
    st.floats(1.05, 3),
    st.floats(0, 0.95),
)


@given(shapes, st.integers(1, 200))
def test_windows_are_distinct_sorted_and_cover_the_video(make, num_steps):
    windows = make(num_steps)
    start, end = windows.unbind(1)
    assert windows.dtype == torch.long
    assert (start >= 0).all()
    assert (end <= num_steps).all()
    assert set((end - start).tolist()) == {min(length, num_steps) for length in make.lengths}
    rows = [tuple(row) for row in windows.tolist()]
    assert rows == sorted(set(rows))
    for length in set((end - start).tolist()):
        own = windows[end - start == length]
        assert own[0, 0] == 0
        assert own[-1, 1] == num_steps
        # No step is left out, since a stride is at most a window.
        assert (own[1:, 0] <= own[:-1, 1]).all()


@given(st.integers(1, 50), st.integers(0, 300), st.floats(1.05, 3))
def test_lengths_grow_by_the_ratio(shortest, extra, ratio):
    lengths = window_lengths(shortest, shortest + extra, ratio)
    exact = [shortest * ratio**power for power in range(200)]
    assert lengths[0] == shortest
    assert lengths[-1] <= shortest + extra
    assert all(min(abs(length - value) for value in exact) <= 0.5 + 1e-6 for length in lengths)
    assert lengths == sorted(set(lengths))


def test_hand_worked():
    windows = SlidingWindows(shortest=2, longest=4, ratio=2, overlap=0.5)(5)
    assert windows.tolist() == [[0, 2], [0, 4], [1, 3], [1, 5], [2, 4], [3, 5]]
    windows = SlidingWindows(shortest=2, longest=3, ratio=1.5, overlap=0.0)(5)
    assert windows.tolist() == [[0, 2], [0, 3], [2, 4], [2, 5], [3, 5]]


def test_defaults_and_a_video_shorter_than_every_window():
    assert SlidingWindows().lengths == [8, 11, 15, 20, 27, 36, 48, 65, 88, 119, 161]
    assert SlidingWindows()(1).tolist() == [[0, 1]]
    assert SlidingWindows()(7).tolist() == [[0, 7]]
    with pytest.raises(SettingsError, match="num_steps >= 1"):
        SlidingWindows()(0)
    with pytest.raises(SettingsError, match="got"):
        SlidingWindows(shortest=9, longest=8)


def test_as_a_source_of_proposals():
    windows = SlidingWindows(shortest=3, longest=9)
    assert torch.equal(windows.propose(video(20)), windows(20))
    assert windows.fingerprint() == SlidingWindows(shortest=3, longest=9).fingerprint()
    assert windows.fingerprint() != SlidingWindows(shortest=3, longest=9, overlap=0.5).fingerprint()
