"""Whether a system knows that the action is there at all: judged by references with and without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vreloc_pyg.evaluation.aligned import joined
from vreloc_pyg.evaluation.intervals import mean_interval

#: Columns of a table, and whether more is better.
PRESENCE = {"AUROC": True, "calibration error": False}
BINS = 10


def auroc(present: ArrayLike, absent: ArrayLike) -> float:
    """Share of pairs of scores in which that of a reference with the action is the higher; a tie is half.

    .. math::
        \\frac{1}{n\\,m} \\sum_{i, j} [p_i > a_j] + \\tfrac12 [p_i = a_j]

    of scores ``[n]`` and ``[m]``: the area under the curve of true over false alarms (Hanley and McNeil,
    Radiology 143, 1982). One half is chance; NaN where a score is unknown, or there are none of one kind.
    """
    with_it, without = np.asarray(present, dtype=np.float64), np.asarray(absent, dtype=np.float64)
    if not len(with_it) or not len(without) or np.isnan([*with_it, *without]).any():
        return float("nan")
    ordered = np.sort(without)
    below = np.searchsorted(ordered, with_it, "left") + np.searchsorted(ordered, with_it, "right")
    return float(below.mean() / (2 * len(without)))


def calibration_error(present: ArrayLike, absent: ArrayLike) -> float:
    """How far probabilities are from how often the action is there: the expected calibration error.

    .. math::
        \\sum_b w_b\\,|\\bar p_b - \\bar y_b|

    over ten bins of as much weight each, ordered by probability (Naeini et al., AAAI 2015; equal mass). Both
    kinds of references weigh the same, as in :func:`~vreloc_pyg.localization.calibration.fit_calibration`.

    Args:
        present, absent: probabilities in [0, 1] for references with and without the action, ``[n]``, ``[m]``.

    Returns:
        In [0, 1]; NaN where a probability is unknown, or there are none of one kind.
    """
    parts = [np.asarray(part, dtype=np.float64) for part in (present, absent)]
    if not len(parts[0]) or not len(parts[1]) or np.isnan(np.concatenate(parts)).any():
        return float("nan")
    weights = np.concatenate([np.full(len(part), 0.5 / len(part)) for part in parts])
    frame = pd.DataFrame({"p": np.concatenate(parts), "weight": weights, "seen": weights})
    frame.loc[len(parts[0]) :, "seen"] = 0.0
    # Equal probabilities stay together: their order would decide the bins.
    equal = frame.groupby("p", as_index=False).sum()
    equal["gap"] = equal["weight"] * equal["p"] - equal["seen"]
    middle = equal["weight"].cumsum() - equal["weight"] / 2
    return float(equal.groupby((BINS * middle).astype(int))["gap"].sum().abs().sum())


def presence_table(frames: pd.DataFrame | Sequence[pd.DataFrame]) -> pd.DataFrame:
    """AUROC and calibration error of every system, in percent, with 95 % intervals.

    Each is taken over the pairs of a fold, with the action and without, and averaged over seeds, then folds;
    intervals are t-intervals over folds, unknown for one fold. A system that gives no answer says that the
    action is not there.

    Returns:
        ``system``, and of each ``...``, ``... low`` and ``... high``; all NaN where a system gives no score,
        or no probability, or was not asked about references without the action.
    """
    frame = joined(frames)
    rows = []
    for system, own in frame.groupby("system", sort=False):
        runs = [(fold, _measured(one)) for (fold, _), one in own.groupby(["fold", "seed"])]
        folds = dict.fromkeys(fold for fold, _ in runs)
        by_fold = [np.mean([both for other, both in runs if other == fold], axis=0) for fold in folds]
        estimate, low, high = 100 * np.array(mean_interval(by_fold))
        row: dict[str, object] = {"system": system}
        for name, *values in zip(PRESENCE, estimate, low.clip(0, 100), high.clip(0, 100), strict=True):
            row |= dict(zip((name, f"{name} low", f"{name} high"), values, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def _measured(rows: pd.DataFrame) -> list[float]:
    """AUROC and calibration error of one run."""
    absent = (rows["kind"] == "absent").to_numpy()
    # No answer says the least that can be said.
    silent = (rows["start_s"].isna() & (rows["kind"] != "expected")).to_numpy()
    measured = []
    for column, measure, least in (("score", auroc, -np.inf), ("probability", calibration_error, 0.0)):
        given = rows[column].to_numpy(dtype=np.float64) if column in rows else np.full(len(rows), np.nan)
        values = np.where(silent & ~np.isnan(given).all(), least, given)
        measured.append(measure(values[~absent], values[absent]))
    return measured
