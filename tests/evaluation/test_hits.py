from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import THRESHOLDS
from vreloc_pyg.evaluation.hits import best_tiou, hits, passes

intervals = st.tuples(st.integers(0, 60), st.integers(1, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def exact_tiou(a, b):
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return Fraction(shared, a[1] - a[0] + b[1] - b[0] - shared)


@given(
    st.lists(intervals, min_size=1, max_size=4),
    st.lists(intervals, min_size=1, max_size=3),
    st.sampled_from([1.0, 2 / 30, 1 / 15, 16 / 25, 8 / 29.97, 0.1]),
)
def test_equals_exact_arithmetic_in_any_unit(segments, truths, seconds_per_step):
    thresholds = [Fraction(k, 20) for k in range(1, 20)]
    exact = [[max(exact_tiou(s, t) for t in truths) > limit for limit in thresholds] for s in segments]
    in_seconds = torch.tensor(segments, dtype=torch.float64) * seconds_per_step
    truths_s = torch.tensor(truths, dtype=torch.float64) * seconds_per_step
    assert hits(in_seconds, truths_s, [float(limit) for limit in thresholds]).tolist() == exact


@given(st.lists(st.floats(0, 1), min_size=1), st.lists(st.floats(0, 0.99), min_size=2, max_size=9))
def test_never_rises_with_the_threshold(tious, thresholds):
    recall = passes(torch.tensor(tious), sorted(thresholds)).double().mean(0)
    assert (recall.diff() <= 0).all()


def test_hand_worked():
    truths = torch.tensor([[10.0, 20.0], [40.0, 50.0]])
    segments = torch.tensor([[10.0, 20.0], [10.0, 15.0], [40.0, 48.0], [0.0, 10.0]])
    assert best_tiou(segments, truths).tolist() == [1.0, 0.5, 0.8, 0.0]
    assert hits(segments, truths, (0.5, 0.75, 0.8)).tolist() == [
        [True, True, True],
        [False, False, False],  # exactly .5
        [True, True, False],  # exactly .8, of the second instance
        [False, False, False],
    ]


def test_default_thresholds_are_those_of_the_paper():
    assert hits(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]])).shape == (1, 8)
    assert THRESHOLDS == (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_refuses_missing_truths():
    with pytest.raises(DataError, match="at least one true segment"):
        hits(torch.tensor([[0.0, 1.0]]), torch.zeros(0, 2))
