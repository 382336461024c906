import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import class_means, mean_interval, t_interval


def pairs_of(folds, labels, queries):
    return pd.DataFrame({"fold": folds, "label": labels, "query": queries})


def drawn(num_folds, num_classes, seed=0):
    """Pairs of queries of different numbers, in no order, and values of two columns."""
    rng = np.random.default_rng(seed)
    rows = [
        (fold, f"{fold}-{label}", 100 * label + query)
        for fold in range(num_folds)
        for label in range(num_classes)
        for query in range(rng.integers(1, 5))
        for _ in range(rng.integers(1, 4))
    ]
    pairs = pd.DataFrame(rows, columns=["fold", "label", "query"]).sample(frac=1, random_state=seed)
    return pairs.reset_index(drop=True), rng.random((len(rows), 2))


def fold_means(values, pairs):
    """By explicit loops: pairs to queries, queries to folds."""
    found = []
    for fold in sorted(set(pairs["fold"])):
        queries = sorted(set(pairs.loc[pairs["fold"] == fold, "query"]))
        own = [values[(pairs["fold"] == fold) & (pairs["query"] == query)].mean(0) for query in queries]
        found.append(np.mean(own, axis=0))
    return np.array(found)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(0, 99), st.sampled_from([0.5, 0.9, 0.95]))
def test_is_the_t_interval_of_the_means_of_folds(num_folds, num_classes, seed, confidence):
    pairs, values = drawn(num_folds, num_classes, seed)
    interval = t_interval(class_means(values, pairs), confidence)
    by_fold = fold_means(values, pairs)
    expected = stats.ttest_1samp(by_fold, 0).confidence_interval(confidence)
    np.testing.assert_allclose(interval.estimate, by_fold.mean(0))
    np.testing.assert_allclose((interval.low, interval.high), expected)
    np.testing.assert_allclose(interval, mean_interval(by_fold, confidence))


def test_no_fold_has_no_mean():
    with pytest.raises(DataError, match="at least one fold"):
        mean_interval(np.empty((0, 3)))


def test_hand_worked():
    # Queries of the first fold: (1 + 0) / 2 and 1; of the second: 0. Folds .75 and 0, whose half difference
    # is .375; t of one degree of freedom is 12.706.
    pairs = pairs_of([0, 0, 0, 1], ["a", "a", "b", "c"], [0, 0, 1, 0])
    estimate, low, high = t_interval(class_means([1.0, 0.0, 1.0, 0.0], pairs))
    assert estimate == pytest.approx([0.375])
    assert high - estimate == pytest.approx([12.7062 * 0.375], rel=1e-4)
    assert estimate - low == pytest.approx(high - estimate)


def test_of_one_fold_it_is_over_classes():
    pairs = pairs_of([3] * 6, ["a", "a", "b", "b", "c", "c"], range(6))
    values = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    interval = t_interval(class_means(values, pairs))
    expected = stats.ttest_1samp([0.5, 1.0, 0.0], 0).confidence_interval()
    assert (interval.low[0], interval.high[0]) == pytest.approx(tuple(expected))


def test_of_one_fold_the_estimate_is_that_of_queries_where_classes_differ_in_size():
    pairs = pairs_of([0] * 5, ["a", "a", "a", "a", "b"], range(5))
    interval = t_interval(class_means([1.0, 1.0, 1.0, 1.0, 0.0], pairs))
    assert interval.estimate == pytest.approx([0.8])
    # Parts of the classes: .8 (1 - .8) and .2 (0 - .8), of two groups.
    assert interval.high - 0.8 == pytest.approx([12.7062 * np.sqrt(2 * 2 * 0.16**2)], rel=1e-4)


def test_one_class_says_nothing_of_others():
    interval = t_interval(class_means([1.0, 0.0], pairs_of([0, 0], ["a", "a"], [0, 1])))
    assert interval.estimate == [0.5]
    assert np.isnan([interval.low, interval.high]).all()


def test_weights_and_groups():
    pairs, values = drawn(3, 2)
    means = class_means(values, pairs)
    assert means.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(means.membership @ means.weights, [1 / 3] * 3)
    assert means.groups.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(means.weights @ means.values, fold_means(values, pairs).mean(0))


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], np.zeros((2, 2, 2)), 1.0])
def test_refuses_values_it_cannot_average(values):
    with pytest.raises(DataError, match="finite values"):
        class_means(values, pairs_of([0, 0], "ab", [0, 1]))


def test_refuses_what_does_not_fit_together():
    pairs = pairs_of([0, 0], ["a", "b"], [0, 1])
    with pytest.raises(DataError, match=r"label and query of 3 values \(got 2 rows\)"):
        class_means([1.0, 2.0, 3.0], pairs)
    with pytest.raises(SettingsError, match=r"confidence < 1 \(got 1"):
        t_interval(class_means([1.0, 2.0], pairs), 1.0)
