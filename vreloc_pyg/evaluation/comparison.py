"""One system of one's own among the others: which are its rivals, and whether curves can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.hits import recall_column
from vreloc_pyg.systems.protocol import Kin
from vreloc_pyg.systems.rules.strongest_rule import StrongestRule

#: Kins of systems that a result is compared with; ablations, controls and audit rows are none.
COMPETITORS: tuple[Kin, ...] = ("rule", "rival")


def without_audits(table: pd.DataFrame) -> pd.DataFrame:
    """A table or frame without rows of kin "audit", which show what a set gives away and are no systems."""
    return table[table["kin"] != "audit"].reset_index(drop=True) if "kin" in table else table


def choose_ours(table: pd.DataFrame) -> str:
    """The system to compare with the others: the first of kin "own", or else the last of all systems."""
    table = without_audits(table)
    own = table.loc[table["kin"] == "own", "system"]
    return str(own.iloc[0] if len(own) else table["system"].iloc[-1])


def rivals(table: pd.DataFrame, ours: str) -> list[str]:
    """Rules and rivals of a table, other than ours, by their kin."""
    return table.loc[table["kin"].isin(COMPETITORS) & (table["system"] != ours), "system"].tolist()


def best_rival(table: pd.DataFrame, ours: str) -> str:
    """The rival of ours with the greatest R@1(0.5), the first of several; :class:`DataError` without any.

    Of the rules only the one that validation classes named takes part, where a table has its row: the best of
    many on the test classes would have been chosen by them.
    """
    column = recall_column(0.5)
    names = rivals(table, ours)
    if StrongestRule.name in names:
        rules = set(table.loc[table["kin"] == "rule", "system"]) - {StrongestRule.name}
        names = [name for name in names if name not in rules]
    if not names or column not in table:
        raise DataError(
            f"Expected a table with {column} and rivals of {ours!r} (got {list(table['system'])})"
        )
    return str(table.set_index("system").loc[names, column].astype(float).idxmax())


def check_curves(table: pd.DataFrame, thresholds: Sequence[float]) -> None:
    """Check that no system's R@1 rises with the threshold, which one fixed set of answers cannot do.

    Raises:
        DataError: naming the first system and pair of thresholds where it rises; NaN is passed over.
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
