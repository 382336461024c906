"""How far a mean could have come out with other classes: t-intervals over folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vreloc_pyg.errors import DataError, SettingsError

FloatArray = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and its confidence interval; an entry for each column of values."""

    estimate: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """Means of K columns over the queries of each of C classes, and what each class counts for.

    Args:
        values: mean over the class's queries, ``[C, K]``.
        weights: its share of the estimate, ``[C]``; they add up to 1.
        groups: number of the group it is in, from 0, ``[C]``: classes of one group may depend on each other,
            those of two groups may not.
    """

    values: FloatArray
    weights: FloatArray
    groups: NDArray[np.int64]

    @property
    def num_groups(self) -> int:
        """G, which is 1 where there is a single class."""
        return int(self.groups.max()) + 1

    @property
    def membership(self) -> FloatArray:
        """1 where a class is of a group, ``[G, C]``."""
        return (np.arange(self.num_groups)[:, None] == self.groups).astype(np.float64)


def class_means(values: ArrayLike, pairs: pd.DataFrame) -> ClassMeans:
    """Average pairs to queries, and queries to classes.

    Pairs of one query count as one, and each fold as much as any other, whatever its number of queries.
    Groups are folds, since classes of a fold are answered by one training; of a single fold they are its
    classes, so that what is said of it holds for other classes but for this one training.

    Args:
        values: one number per pair ``[N]``, or K columns of them ``[N, K]``.
        pairs: ``fold``, ``label`` and ``query`` of every pair, N rows. A query is known by its fold and
            number.

    Raises:
        DataError: if the values are empty, not finite, or there is not one row per value.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"Expected finite values as [N] or [N, K] with N >= 1 (got shape {array.shape})")
    if len(pairs) != len(array):
        raise DataError(f"Expected the fold, label and query of {len(array)} values (got {len(pairs)} rows)")
    columns = pd.DataFrame(array.reshape(len(array), -1))
    keys = [pairs[name].to_numpy() for name in ("fold", "label", "query")]
    of_queries = columns.groupby(keys, dropna=False).mean()  # index: fold, label, query
    by_class = of_queries.groupby(level=[0, 1], dropna=False)
    folds = by_class.size().index.get_level_values(0)
    numbers, groups = by_class.size().to_numpy(), folds.factorize()[0].astype(np.int64)
    num_folds = int(groups.max()) + 1
    weights = numbers / np.bincount(groups, numbers)[groups] / num_folds
    if num_folds == 1:
        groups = np.arange(len(numbers))
    return ClassMeans(by_class.mean().to_numpy(), weights, groups)


def t_interval(means: ClassMeans, confidence: float = 0.95) -> Interval:
    """The estimate, and a t-interval over groups: folds or, of a single fold, classes.

    With the share :math:`w_g` of G groups in the estimate and their means :math:`m_g`:

    .. math::
        m = \\sum_g w_g m_g, \\qquad m \\pm t_{G - 1} \\sqrt{\\frac{G}{G - 1} \\sum_g w_g^2 (m_g - m)^2}

    Folds weigh the same, which makes it the t-interval of their means. Classes are few and differ a lot, and
    those of a fold share one trained model: a t-interval over all classes, and a bootstrap of folds and
    queries, are too narrow, see ``docs/results/coverage.md``. Bounds may lie outside of what a mean can be.

    Returns:
        Arrays ``[K]``; bounds are NaN where there is one group only, which says nothing about others.

    Raises:
        SettingsError: unless ``0 < confidence < 1``.
    """
    from scipy.stats import t

    if not 0 < confidence < 1:
        raise SettingsError(f"Expected 0 < confidence < 1 (got {confidence})")
    membership, count = means.membership, means.num_groups
    sums = membership @ (means.weights[:, None] * means.values)  # [G, K]
    estimate = sums.sum(0)
    if count == 1:
        unknown = np.full_like(estimate, np.nan)
        return Interval(estimate, unknown, unknown)
    apart = sums - (membership @ means.weights)[:, None] * estimate
    spread = np.sqrt(count / (count - 1) * np.square(apart).sum(0))
    half = float(t.ppf((1 + confidence) / 2, count - 1)) * spread
    return Interval(estimate, estimate - half, estimate + half)


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """:func:`t_interval` of K numbers for each of G folds, that weigh the same and are independent.

    ``values`` are ``[G, K]``; NaN in a column makes all of its results NaN, and no fold is a
    :class:`DataError`.
    """
    array = np.asarray(values, dtype=np.float64)
    count = len(array)
    if not count:
        raise DataError("Expected values of at least one fold (got none)")
    return t_interval(ClassMeans(array, np.full(count, 1 / count), np.arange(count)), confidence)
