"""Whether two systems differ on the same queries: McNemar's exact test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.hits import THRESHOLDS, recall_column
from vreloc_pyg.evaluation.metrics import recall
from vreloc_pyg.evaluation.tables import aligned, held_metrics, place_of


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided p-value of McNemar's exact test (McNemar, Psychometrika 12, 1947; exact by the binomial).

    If both systems are equally good, each of the n = wins + losses queries that only one of them gets right
    is a fair coin:

    .. math::
        p = \\min\\Big(1,\\; 2 \\sum_{i=0}^{\\min(wins, losses)} \\binom{n}{i} 2^{-n}\\Big)

    where wins are the queries that only the first system got right, losses those of the second alone.
    """
    from scipy.stats import binomtest

    if wins < 0 or losses < 0:
        raise DataError(f"Expected numbers of queries, 0 or more (got {wins} and {losses})")
    if wins + losses == 0:
        return 1.0
    return float(binomtest(wins, wins + losses, 0.5).pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values corrected for testing several hypotheses (Holm, Scand. J. Statist. 6, 1979).

    The i-th smallest of m is multiplied by m - i + 1, capped at 1 and never below a smaller one's: rejecting
    where the result is at most alpha keeps the chance of *any* false rejection at most alpha, however the
    tests depend on each other. NaN marks what was not tested, is not counted and stays NaN.
    """
    values = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    if values.ndim != 1 or ((values[tested] < 0) | (values[tested] > 1)).any():
        raise DataError(f"Expected p-values in [0, 1] as [m] (got {values.tolist()})")
    order = tested[np.argsort(values[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    return corrected


def mcnemar_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame], rival: str, thresholds: Sequence[float] = THRESHOLDS
) -> pd.DataFrame:
    """Every other system against ``rival``, query by query.

    The test takes queries as independent. Queries of one class or one reference are not quite, so intervals
    that resample folds are the more cautious statement beside it.

    Returns:
        ``system``, ``kin`` and for every threshold ``R@1(t) wins`` and ``R@1(t) losses`` (queries that only
        the system or only the rival got right), ``R@1(t) p`` and ``R@1(t) p Holm``, corrected over the
        systems. Expectations (chance) are no hits that could be paired: their cells are missing.

    Raises:
        DataError: as :func:`~vreloc_pyg.evaluation.result_table`, or if there is no system of that name.
    """
    frame, systems, _ = aligned(frames)
    place_of(rival, systems)
    held_metrics(frame, list(map(recall, thresholds)))
    expected = set(frame.loc[frame["kind"] != "answer", "system"])
    table = systems[systems["system"] != rival].reset_index(drop=True)
    others = table["system"].tolist()
    for column in map(recall_column, thresholds):
        hits = {name: own.to_numpy() > 0.5 for name, own in frame.groupby("system")[column]}
        paired = [expected.isdisjoint((name, rival)) for name in others]
        wins = [int((hits[name] & ~hits[rival]).sum()) for name in others]
        losses = [int((~hits[name] & hits[rival]).sum()) for name in others]
        p = np.array(
            [mcnemar(*n) if ok else np.nan for *n, ok in zip(wins, losses, paired, strict=True)], dtype=float
        )
        for part, counts in (("wins", wins), ("losses", losses)):
            table[f"{column} {part}"] = pd.array(counts, dtype="Int64")
            table.loc[~np.array(paired, dtype=bool), f"{column} {part}"] = pd.NA
        table[f"{column} p"], table[f"{column} p Holm"] = p, holm(p)
    return table


def format_mcnemar(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`mcnemar_table` for reading: cells such as ``"31:12, p = 0.005 (0.010)"``.

    They hold wins, losses, the p-value and, in brackets, its correction; values under .001 are written so.
    """
    shown = table[["system"]].copy()
    for column in (name.removesuffix(" wins") for name in table.columns if name.endswith(" wins")):
        parts = (table[f"{column} {part}"] for part in ("wins", "losses", "p", "p Holm"))
        shown[column] = [
            "–" if np.isnan(p) else f"{wins}:{losses}, p {_p_value(p)} ({_p_value(corrected, equals='')})"
            for wins, losses, p, corrected in zip(*parts, strict=True)
        ]
    return shown


def _p_value(p: float, equals: str = "= ") -> str:
    return "< 0.001" if p < 0.001 else f"{equals}{p:.3f}"
