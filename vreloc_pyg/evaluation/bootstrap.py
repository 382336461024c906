"""How far a mean over queries could have come out otherwise: the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vreloc_pyg.errors import DataError, SettingsError

Level = Literal["queries", "folds"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
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
            that are resampled together, ``[N, K]``.
        folds: the fold of every query, ``[N]``; ``None`` for one fold.
        level: ``"queries"`` draws queries with replacement within every fold: other queries of the same
            classes. ``"folds"`` draws folds, then queries within each drawn fold: other classes too.
        num_resamples: number of bootstrap samples.
        confidence: share of bootstrap means inside the interval.
        seed: decides the samples; the same seed, folds and level give the same samples.

    Returns:
        Estimate and bounds, scalars or ``[K]``.

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
    means = resampled_means(array, fold_numbers(folds, len(array)), level, num_resamples, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return Interval(array.mean(0), low, high)


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    folds: ArrayLike | None = None,
    level: Level = "queries",
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the difference in mean between two systems on the same queries.

    Resampling the queries' differences keeps what is hard for both systems from widening the interval.

    Args:
        first, second: one number per query, in the same order, ``[N]`` or ``[N, K]``; the difference is
            first minus second.
        folds, level, num_resamples, confidence, seed: see :func:`bootstrap_interval`.

    Raises:
        DataError: if the two differ in shape.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise DataError(f"Expected two systems on the same queries (got shapes {a.shape} and {b.shape})")
    return bootstrap_interval(a - b, folds, level, num_resamples, confidence, seed)


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


def fold_numbers(folds: ArrayLike | None, num_queries: int) -> NDArray[np.int64]:
    """Fold labels of any type as numbers from 0, ``[N]``."""
    if folds is None:
        return np.zeros(num_queries, dtype=np.int64)
    labels = np.asarray(folds)
    if labels.shape != (num_queries,):
        raise DataError(f"Expected one fold per query, {num_queries} in all (got shape {labels.shape})")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
