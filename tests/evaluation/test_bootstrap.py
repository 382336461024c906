import numpy as np
import pytest

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import bootstrap_interval
from vreloc_pyg.evaluation.bootstrap import resampled_means


def coins(count, p=0.4, seed=0):
    return (np.random.default_rng(seed).random(count) < p).astype(float)


def test_agrees_with_the_normal_approximation():
    values = coins(400)
    interval = bootstrap_interval(values, num_resamples=20_000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert interval.estimate == values.mean()
    assert interval.low == pytest.approx(values.mean() - half, abs=0.004)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.004)


def test_shrinks_with_more_queries_and_less_confidence():
    def width(count, **settings):
        interval = bootstrap_interval(np.tile(coins(50), count), **settings)
        return interval.high - interval.low

    assert width(16) == pytest.approx(width(1) / 4, rel=0.15)
    assert width(1, confidence=0.5) < width(1)


@pytest.mark.parametrize("level", ["queries", "folds"])
def test_has_the_distribution_of_explicit_resampling(level):
    rng = np.random.default_rng(1)
    folds = np.repeat([0, 1, 2], [4, 9, 6])
    values = rng.random(19) + folds
    naive = []
    for _ in range(20_000):
        drawn = rng.integers(3, size=3) if level == "folds" else range(3)
        naive.append(
            np.concatenate([rng.choice(values[folds == f], (folds == f).sum()) for f in drawn]).mean()
        )
    means = resampled_means(values, folds, level, 20_000, seed=0)
    assert means.mean() == pytest.approx(np.mean(naive), abs=0.02)
    assert means.std() == pytest.approx(np.std(naive), rel=0.03)
    assert np.quantile(means, [0.1, 0.9]) == pytest.approx(np.quantile(naive, [0.1, 0.9]), abs=0.03)


def test_only_the_folds_level_sees_differences_between_folds():
    values, folds = np.repeat([0.0, 1.0], 50), np.repeat(["a", "b"], 50)
    within = bootstrap_interval(values, folds)
    assert (within.low, within.estimate, within.high) == (0.5, 0.5, 0.5)
    means = resampled_means(values, np.repeat([0, 1], 50), "folds", 4000, seed=0)
    assert sorted(set(means)) == [0.0, 0.5, 1.0]
    assert [(means == x).mean() for x in (0.0, 0.5, 1.0)] == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_columns_are_resampled_together():
    values = np.stack([coins(60), coins(60, 0.7, seed=1)], axis=1)
    both = bootstrap_interval(values, seed=3)
    for k in (0, 1):
        alone = bootstrap_interval(values[:, k], seed=3)
        assert (both.low[k], both.high[k]) == (alone.low, alone.high)


def test_the_seed_decides_and_a_single_query_has_no_width():
    values = np.random.default_rng(0).random(30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    interval = bootstrap_interval([0.3])
    assert (interval.low, interval.high) == (pytest.approx(0.3), pytest.approx(0.3))


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], np.zeros((2, 2, 2)), 1.0])
def test_refuses_values_it_cannot_average(values):
    with pytest.raises(DataError, match="finite values"):
        bootstrap_interval(values)


def test_refuses_what_does_not_fit_together():
    with pytest.raises(DataError, match="one fold per query, 3 in all"):
        bootstrap_interval([1.0, 2.0, 3.0], [0, 1])
    with pytest.raises(SettingsError, match="at least two folds"):
        bootstrap_interval([1.0, 2.0], level="folds")


@pytest.mark.parametrize("settings", [{"level": "videos"}, {"num_resamples": 0}, {"confidence": 1.0}])
def test_refuses_impossible_settings(settings):
    with pytest.raises(SettingsError, match="got"):
        bootstrap_interval([1.0, 2.0], **settings)
