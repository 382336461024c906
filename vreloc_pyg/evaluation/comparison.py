"""One system of one's own among the others: which comes closest, and by how much it is ahead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.bootstrap import Level, bootstrap_interval
from vreloc_pyg.evaluation.recall import THRESHOLDS, passes, recall_column
from vreloc_pyg.evaluation.tables import aligned, difference_table

#: How names of MGFFNet and of its ablations begin.
OWN = ("MGFFNet", "CNN")
#: How the name of a system ends that is asked with a wrong query, to see what it finds all the same.
WRONG_QUERY = "query of another class"
#: Thresholds of a curve: from "touches it" to "all but exact".
CURVE = (0.1, 0.2, 0.3, 0.4, *THRESHOLDS)


def rivals(table: pd.DataFrame, ours: str) -> list[str]:
    """Systems of a table that are neither ours, nor ablations of it, nor asked with a wrong query."""
    return [
        name
        for name in table["system"]
        if name != ours and not name.startswith(OWN) and WRONG_QUERY not in name
    ]


def best_rival(table: pd.DataFrame, ours: str) -> str:
    """The rival with the greatest R@1(0.5); the first of several.

    Args:
        table: of :func:`~vreloc_pyg.evaluation.result_table`.
        ours: name of the system that has rivals, see :func:`rivals`.

    Raises:
        DataError: if the table has no rival or no R@1(0.5).
    """
    column = recall_column(0.5)
    names = rivals(table, ours)
    if not names or column not in table:
        raise DataError(
            f"Expected a table with {column} and rivals of {ours!r} (got {list(table['system'])})"
        )
    return str(table.set_index("system").loc[names, column].astype(float).idxmax())


def advantage_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    ours: str,
    thresholds: Sequence[float] = THRESHOLDS,
    level: Level = "queries",
    num_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Ours minus every other system on the same queries, in percentage points, with 95 % intervals.

    Args:
        frames, thresholds, level, num_resamples, seed: see :func:`~vreloc_pyg.evaluation.result_table`.
        ours: the system the others are subtracted from.

    Raises:
        DataError: as :func:`~vreloc_pyg.evaluation.difference_table`.
    """
    reverse = difference_table(frames, ours, thresholds, level, num_resamples, seed)
    others = [name.removesuffix(f" − {ours}") for name in reverse["system"]]
    table = pd.DataFrame({"system": [f"{ours} − {other}" for other in others]})
    for column in reverse.columns[1::3]:
        # Adding 0 turns -0.0 into 0.0.
        table[column] = -reverse[column] + 0.0
        table[f"{column} low"] = -reverse[f"{column} high"] + 0.0
        table[f"{column} high"] = -reverse[f"{column} low"] + 0.0
    return table


def curve_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    thresholds: Sequence[float] = CURVE,
    level: Level = "queries",
    num_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """R@1 of every system at thresholds that need not have been evaluated, in percent with intervals.

    A threshold without a column is read off the tIoU of the answers; expectations (chance) have no answer
    and stay NaN there.

    Args:
        frames, level, num_resamples, seed: see :func:`~vreloc_pyg.evaluation.result_table`.
        thresholds: tIoU thresholds.

    Raises:
        DataError: as :func:`~vreloc_pyg.evaluation.result_table`.
    """
    import torch

    frame, names, folds = aligned(frames)
    columns = [recall_column(threshold) for threshold in thresholds]
    rows = []
    for name in names:
        own = frame[frame["system"] == name]
        above = passes(torch.tensor(own["tiou"].to_numpy(dtype=np.float64)), thresholds).double().numpy()
        if (own["kind"] != "answer").any():
            above[:] = np.nan
        known = {c: own[c].to_numpy(float) if c in own else above[:, k] for k, c in enumerate(columns)}
        known = {column: values for column, values in known.items() if not np.isnan(values).any()}
        row: dict[str, object] = {"system": name}
        if known:
            interval = bootstrap_interval(
                np.stack(list(known.values()), axis=1), folds, level, num_resamples, seed=seed
            )
            for k, column in enumerate(known):
                row[column] = 100 * interval.estimate[k]
                row[f"{column} low"], row[f"{column} high"] = 100 * interval.low[k], 100 * interval.high[k]
        rows.append(row)
    order = [f"{column}{side}" for column in columns for side in ("", " low", " high")]
    return pd.DataFrame(rows).reindex(columns=["system", *order])


def check_curves(table: pd.DataFrame, thresholds: Sequence[float]) -> None:
    """Check that no system's R@1 rises with the threshold, which one fixed set of answers cannot do.

    Args:
        table: of :func:`~vreloc_pyg.evaluation.result_table` or :func:`curve_table`; NaN is passed over.
        thresholds: the columns to look at, in any order.

    Raises:
        DataError: naming the first system and pair of thresholds where it rises.
    """
    ordered = sorted(thresholds)
    for _, line in table.iterrows():
        known = [t for t in ordered if pd.notna(line[recall_column(t)])]
        for lower, higher in pairwise(known):
            before, after = float(line[recall_column(lower)]), float(line[recall_column(higher)])
            if after > before + 1e-6:
                raise DataError(
                    f"R@1 of {line['system']!r} rises from {before:.2f} at tIoU {lower:g} to {after:.2f} at "
                    f"{higher:g}: these are not the results of one set of answers"
                )
