import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.graphs.pair_features import PAIR_FEATURES, pair_features

windows_of_twenty = st.lists(
    st.tuples(st.integers(0, 19), st.integers(1, 20)).map(lambda w: [w[0], min(20, w[0] + w[1])]),
    min_size=1,
    max_size=6,
)


def clip(num_steps, seed, width=3):
    return torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))


def moments(steps):
    """Means and standard deviations of every column, by explicit sums."""
    columns = list(zip(*steps, strict=True))
    means = [sum(column) / len(column) for column in columns]
    pairs = zip(columns, means, strict=True)
    return means + [
        math.sqrt(sum((value - mean) ** 2 for value in column) / len(column)) for column, mean in pairs
    ]


def row_by_loops(query, reference, window, speed):
    start, end = window
    theirs, own = moments(reference[start:end].tolist()), moments(query.tolist())
    distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(theirs, own, strict=True)))
    ratio = math.log((end - start) / (len(query) / speed))
    at_start, at_end = float(start <= 2), float(end >= len(reference) - 2)
    return [distance, ratio, abs(ratio), math.log(end - start), at_start, at_end]


@given(windows_of_twenty, st.integers(1, 9), st.floats(0.5, 2), st.integers(0, 99))
def test_equals_explicit_loops(windows, num_query, speed, seed):
    query, reference = clip(num_query, seed), clip(20, seed + 1)
    expected = torch.tensor([row_by_loops(query, reference, window, speed) for window in windows])
    result = pair_features(query, reference, torch.tensor(windows), speed)
    assert result.dtype == torch.float32
    assert result.shape == (len(windows), len(PAIR_FEATURES))
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_hand_worked():
    query = torch.tensor([[0.0], [2.0]])  # mean 1, deviation 1
    reference = torch.tensor([[9.0], [9.0], [9.0], [3.0], [5.0], [5.0], [7.0], [9.0], [9.0], [9.0]])
    deviation = math.sqrt((4 + 0 + 0 + 4) / 4)
    for speed, ratio in ((1.0, math.log(2)), (2.0, math.log(4))):  # at twice the speed it is half as long
        (row,) = pair_features(query, reference, torch.tensor([[3, 7]]), speed).tolist()
        distance = math.hypot(5 - 1, deviation - 1)
        assert row == pytest.approx([distance, ratio, ratio, math.log(4), 0, 0], rel=1e-5)
    itself = pair_features(reference[3:7], reference, torch.tensor([[3, 7]]))[0]
    torch.testing.assert_close(itself[:3], torch.zeros(3), rtol=0, atol=1e-3)


def test_windows_touch_the_ends_of_the_video():
    windows = torch.tensor([[0, 5], [2, 18], [3, 17], [3, 18], [15, 20]])
    rows = pair_features(clip(4, 0), clip(20, 1), windows)
    assert rows[:, PAIR_FEATURES.index("at_start")].tolist() == [1, 1, 0, 0, 0]
    assert rows[:, PAIR_FEATURES.index("at_end")].tolist() == [0, 1, 0, 1, 1]


def test_no_windows():
    empty = torch.zeros(0, 2, dtype=torch.long)
    assert pair_features(clip(4, 0), clip(20, 1), empty).shape == (0, 6)
