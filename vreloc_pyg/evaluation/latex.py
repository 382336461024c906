"""Tables for a paper."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from vreloc_pyg.errors import DataError

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": r"$-$",
    "±": r"$\pm$",
    "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
HEADS = {"R@1 avg": "avg", "mean tIoU": "mean tIoU"}


def to_latex(table: pd.DataFrame, digits: int = 1, intervals: bool = False) -> str:
    """A ``tabular`` in the shape of the paper's Tables 1-3, for LaTeX's package ``booktabs``.

    Systems stand in rows and tIoU thresholds in columns, R@1 in percent, the best of a column in bold (all
    of them, where several show the same digits). Other columns are left out, published numbers among them:
    they are not to be compared for the best.

    Args:
        table: of :func:`~vreloc_pyg.evaluation.result_table`.
        digits: decimals.
        intervals: add a small line under each system with its intervals, where the table has them.

    Raises:
        DataError: if the table has no column ``system`` or none of R@1.
    """
    heads = {
        name: HEADS.get(name) or name[4:-1]
        for name in map(str, table.columns)
        if name in HEADS or re.fullmatch(r"R@1\([\d.]+\)", name)
    }
    if "system" not in table or not heads:
        raise DataError(f"Expected columns 'system' and 'R@1(t)' (got {list(table.columns)})")
    cells = {name: [_number(value, digits) for value in table[name]] for name in heads}
    for name, column in cells.items():
        if table[name].notna().any():
            best = _number(table[name].max(), digits)
            cells[name] = [rf"\textbf{{{cell}}}" if cell == best else cell for cell in column]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
        r"\toprule",
        _row(["Method \\textbackslash{} tIoU", *heads.values()]),
        r"\midrule",
    ]
    for place, system in enumerate(table["system"]):
        lines.append(_row([escape(str(system)), *(column[place] for column in cells.values())]))
        if intervals and any(f"{name} low" in table for name in heads):
            lines.append(_row(["", *(_interval(table.iloc[place], name, digits) for name in heads)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escape(text: str) -> str:
    """Text with the characters LaTeX reads as commands written out."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _number(value: float, digits: int) -> str:
    return "--" if np.isnan(value) else f"{value:.{digits}f}"


def _interval(line: pd.Series, name: str, digits: int) -> str:
    if f"{name} low" not in line or np.isnan(line[f"{name} low"]):
        return ""
    # The braces keep a row that begins with "[" from being read as an argument of the line break before it.
    return rf"{{\scriptsize [{line[f'{name} low']:.{digits}f}, {line[f'{name} high']:.{digits}f}]}}"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
