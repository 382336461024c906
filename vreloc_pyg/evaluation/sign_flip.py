"""Whether two systems differ on classes: a sign-flip test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.aligned import align
from vreloc_pyg.evaluation.hits import THRESHOLDS
from vreloc_pyg.evaluation.intervals import ClassMeans, FloatArray, class_means
from vreloc_pyg.evaluation.metrics import recall

#: Classes up to which all signs are tried, 2^16 in all; of more, so many are drawn.
EXACT, DRAWS = 16, 20_000
#: Columns that are tested at once.
CHUNK = 100
ROUNDING = 1e-9


def sign_flip(differences: ClassMeans, seed: int = 0) -> FloatArray:
    """Two-sided p-value of the sign-flip test over classes, for each column of paired differences.

    Were two systems equally good, the difference of each class could as well have had the other sign. p is
    the share of all signs (Fisher, "The Design of Experiments", 1935, section 21) that give a statistic as
    large as that seen, of the groups' parts :math:`s_g` of the mean difference:

    .. math::
        r = \\Big(\\sum_g s_g\\Big)^2 \\Big/ \\sum_g s_g^2

    Its ranks are those of \\|t\\| over groups. Classes of a fold share a trained model and depend on each
    other; the mean difference alone, which takes no notice, calls leads where there are none
    (``docs/results/coverage.md``). The statistic that is scaled by what folds show of their own does not,
    unless classes of a fold differ from each other hardly at all.

    Args:
        differences: of :func:`~vreloc_pyg.evaluation.class_means`, C classes and K columns.
        seed: decides the signs that are drawn, which is where there are more than 16 classes.

    Returns:
        p-values ``[K]``, at least ``2 / 2^C``: two classes can show nothing.
    """
    signs = _signs(len(differences.weights), seed)  # [S, C]
    parts = differences.weights[:, None] * differences.values  # [C, K]
    found = [_chunk(signs, parts[:, k : k + CHUNK], differences) for k in range(0, parts.shape[1], CHUNK)]
    return np.concatenate(found)


def _signs(count: int, seed: int) -> FloatArray:
    """Signs ``[S, C]``, those of no flip first; of a set of signs and its opposite one is enough."""
    if count > EXACT:
        drawn = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, count))
    else:
        drawn = 1.0 - 2.0 * (np.arange(2 ** (count - 1))[:, None] >> np.arange(count) & 1)
    drawn[0] = 1.0
    return drawn


def _chunk(signs: FloatArray, parts: FloatArray, means: ClassMeans) -> FloatArray:
    total = np.zeros((len(signs), parts.shape[1]))
    squares = np.zeros_like(total)
    for members in means.membership.astype(bool):
        sums = signs[:, members] @ parts[members]
        total += sums
        squares += np.square(sums)
    # A statistic of 0 / 0, no group having any difference, is none.
    ratio = np.divide(np.square(total), squares, out=np.zeros_like(total), where=squares > 0)
    return np.asarray((ratio >= ratio[0] * (1 - ROUNDING)).mean(0), dtype=np.float64)


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


def sign_flip_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame], rival: str, thresholds: Sequence[float] = THRESHOLDS
) -> pd.DataFrame:
    """Every other system against ``rival``, class by class.

    Returns:
        ``system``, ``kin`` and for every threshold ``R@1(t) ahead`` and ``R@1(t) behind``, the numbers of
        classes on which the system's R@1 is above or below the rival's; ``R@1(t) p`` and ``R@1(t) p Holm``,
        corrected over the systems.

    Raises:
        DataError: as :func:`~vreloc_pyg.evaluation.result_table`, or if there is no system of that name.
    """
    metrics = list(map(recall, thresholds))
    answers = align(frames, metrics)
    values = answers.values - answers.values[answers.place_of(rival)]  # [S, N, K]
    others = (answers.systems["system"] != rival).to_numpy()
    table = answers.systems.loc[others, ["system", "kin"]].reset_index(drop=True)
    shape = (-1, int(others.sum()), len(metrics))
    flat = values[others].transpose(1, 0, 2).reshape(len(answers.pairs), -1)
    known = np.isfinite(flat).all(0)
    p, ahead, behind = (np.full(flat.shape[1], np.nan) for _ in range(3))
    if known.any():
        means = class_means(flat[:, known], answers.pairs)
        p[known] = sign_flip(means)
        ahead[known], behind[known] = ((sign * means.values > ROUNDING).sum(0) for sign in (1, -1))
    p, ahead, behind = (array.reshape(shape[1:]) for array in (p, ahead, behind))
    for k, metric in enumerate(metrics):
        for part, counts in (("ahead", ahead), ("behind", behind)):
            table[f"{metric.name} {part}"] = pd.array(counts[:, k], dtype="Int64")
        table[f"{metric.name} p"], table[f"{metric.name} p Holm"] = p[:, k], holm(p[:, k])
    return table


def format_sign_flip(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`sign_flip_table` for reading: cells such as ``"11:3, p = 0.005 (0.010)"``.

    They hold the numbers of classes on which a system is ahead and behind, the p-value and, in brackets, its
    correction; values under .001 are written so.
    """
    shown = table[["system"]].copy()
    for column in (name.removesuffix(" ahead") for name in table.columns if name.endswith(" ahead")):
        parts = (table[f"{column} {part}"] for part in ("ahead", "behind", "p", "p Holm"))
        shown[column] = [
            "–" if np.isnan(p) else f"{ahead}:{behind}, p {_p_value(p)} ({_p_value(corrected, equals='')})"
            for ahead, behind, p, corrected in zip(*parts, strict=True)
        ]
    return shown


def _p_value(p: float, equals: str = "= ") -> str:
    return "< 0.001" if p < 0.001 else f"{equals}{p:.3f}"
