"""How far a mean over queries could have come out otherwise: the bootstrap."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vreloc_pyg.errors import DataError, SettingsError

Level = Literal["queries", "folds"]
FloatArray = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and its confidence interval; arrays where several columns were given at once."""

    estimate: FloatArray
    low: FloatArray
    high: FloatArray


def bootstrap_interval(
    values: ArrayLike,
    folds: ArrayLike | None = None,
    level: Level = "queries",
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of the mean over all queries (Efron and Tibshirani, 1993, chapter 13).

    Args:
        values: one number per query, for example 1 for a hit and 0 for a miss, ``[N]``; or K columns of them
            that are resampled together, ``[N, K]``. Of the differences between two systems query by query,
            the interval is that of their difference: what is hard for both does not widen it.
        folds: the fold of every query, ``[N]``; ``None`` for one fold.
        level: ``"queries"`` draws queries with replacement within every fold: other queries of the same
            classes. ``"folds"`` draws folds, then queries within each drawn fold: other classes too.
        confidence: share of the ``num_resamples`` bootstrap means inside the interval.
        seed: decides the samples; the same seed, folds and level give the same samples.

    Raises:
        DataError: if the values are empty, not finite, or there is not one fold per query.
        SettingsError: if a setting is impossible, or ``level="folds"`` finds fewer than two folds.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or len(array) == 0 or not np.isfinite(array).all():
        raise DataError(f"Expected finite values as [N] or [N, K] with N >= 1 (got shape {array.shape})")
    if num_resamples < 1 or not 0 < confidence < 1:
        raise SettingsError(
            f"Expected num_resamples >= 1 and 0 < confidence < 1 (got {num_resamples}, {confidence})"
        )
    labels = np.zeros(len(array)) if folds is None else np.asarray(folds)
    if labels.shape != (len(array),):
        raise DataError(f"Expected one fold per query, {len(array)} in all (got shape {labels.shape})")
    numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    means = resampled_means(array, numbers, level, num_resamples, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return Interval(array.mean(0), low, high)


def resampled_means(
    values: FloatArray, folds: NDArray[np.int64], level: Level, num_resamples: int, seed: int
) -> FloatArray:
    """Mean over queries of every bootstrap sample, ``[num_resamples]`` or ``[num_resamples, K]``.

    A sample is drawn as the number of times each query occurs in it, which is multinomial. A fold of n
    queries that was drawn c times contributes c n draws.
    """
    if level not in get_args(Level):
        raise SettingsError(f"Expected 'level' to be one of {get_args(Level)} (got {level!r})")
    rng = np.random.default_rng(seed)
    num_folds = int(folds.max()) + 1
    if level == "queries":
        drawn = np.ones((num_resamples, num_folds), dtype=np.int64)
    elif num_folds < 2:
        raise SettingsError(f"Expected at least two folds for level='folds' (got {num_folds})")
    else:
        drawn = rng.multinomial(num_folds, np.full(num_folds, 1 / num_folds), size=num_resamples)
    total = np.zeros((num_resamples, *values.shape[1:]))
    size = np.zeros(num_resamples)
    for fold in range(num_folds):
        members = values[folds == fold]
        draws = drawn[:, fold] * len(members)
        counts = rng.multinomial(draws, np.full(len(members), 1 / len(members)))  # [num_resamples, n]
        total += counts @ members
        size += draws
    return total / size.reshape(-1, *[1] * (values.ndim - 1))
