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
    variances = [
        sum((value - mean) ** 2 for value in column) / len(column)
        for column, mean in zip(columns, means, strict=True)
    ]
    return means + [math.sqrt(variance) for variance in variances]


def row_by_loops(query, reference, window, speed):
    start, end = window
    theirs, own = moments(reference[start:end].tolist()), moments(query.tolist())
    distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(theirs, own, strict=True)))
    ratio = math.log((end - start) / (len(query) / speed))
    return [
        distance,
        ratio,
        abs(ratio),
        math.log(end - start),
        float(start <= 2),
        float(end >= len(reference) - 2),
    ]


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
    (row,) = pair_features(query, reference, torch.tensor([[3, 7]]), speed=1.0).tolist()
    deviation = math.sqrt((4 + 0 + 0 + 4) / 4)
    assert row == pytest.approx(
        [math.hypot(5 - 1, deviation - 1), math.log(2), math.log(2), math.log(4), 0, 0], rel=1e-5
    )


def test_a_window_that_is_the_query_is_at_distance_zero():
    reference = clip(20, seed=0)
    row = pair_features(reference[4:11], reference, torch.tensor([[4, 11]]))[0]
    torch.testing.assert_close(row[:3], torch.zeros(3), rtol=0, atol=1e-3)


def test_windows_touch_the_ends_of_the_video():
    windows = torch.tensor([[0, 5], [2, 18], [3, 17], [3, 18], [15, 20]])
    rows = pair_features(clip(4, 0), clip(20, 1), windows)
    assert rows[:, PAIR_FEATURES.index("at_start")].tolist() == [1, 1, 0, 0, 0]
    assert rows[:, PAIR_FEATURES.index("at_end")].tolist() == [0, 1, 0, 1, 1]


def test_a_query_that_plays_twice_as_fast_is_half_as_long():
    query, reference, windows = clip(8, 0), clip(20, 1), torch.tensor([[3, 7], [1, 12]])
    fast, plain = pair_features(query, reference, windows, 2.0), pair_features(query, reference, windows)
    torch.testing.assert_close(fast[:, 1], plain[:, 1] + math.log(2))
    assert float(fast[0, 2]) == pytest.approx(0, abs=1e-6)  # 4 steps, as long as the query plays
    unchanged = [0, 3, 4, 5]
    assert torch.equal(fast[:, unchanged], plain[:, unchanged])


def test_order_and_sign_of_features_do_not_matter():
    query, reference, windows = clip(8, 0), clip(20, 1), torch.tensor([[3, 7], [1, 12]])
    order, sign = torch.tensor([2, 0, 1]), torch.tensor([1.0, -1.0, -1.0])
    turned = pair_features(query[:, order] * sign, reference[:, order] * sign, windows)
    torch.testing.assert_close(turned, pair_features(query, reference, windows))


def test_no_windows():
    empty = torch.zeros(0, 2, dtype=torch.long)
    assert pair_features(clip(4, 0), clip(20, 1), empty).shape == (0, 6)
