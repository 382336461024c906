"""Tables for a paper."""

from __future__ import annotations

import numpy as np
import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.comparison import without_audits
from vreloc_pyg.evaluation.metrics import Metric, shown_metrics

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


def to_latex(table: pd.DataFrame, digits: int = 1, intervals: bool = False) -> str:
    """A ``tabular`` in the shape of the paper's Tables 1-3, for LaTeX's package ``booktabs``.

    Systems stand in rows and metrics in columns, R@1 under its tIoU threshold, shares in percent, the best of
    a column in bold (all of them, where several show the same digits). Other columns are left out, published
    numbers among them: they are not to be compared for the best, and so are audit rows.

    Args:
        table: of :func:`~vreloc_pyg.evaluation.result_table`.
        intervals: add a small line under each system with its intervals, where the table has them.
    """
    table = without_audits(table)
    metrics = shown_metrics(table)
    heads = {name: _head(metric) for name, metric in metrics.items()}
    if "system" not in table or not heads:
        raise DataError(f"Expected columns 'system' and of metrics (got {list(table.columns)})")
    cells = {name: [_number(value, digits) for value in table[name]] for name in heads}
    for name, column in cells.items():
        if table[name].notna().any():
            best = _number(metrics[name].best(table[name]), digits)
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


def _head(metric: Metric) -> str:
    """R@1 by its threshold, which the first column names; other shares by name, other units in brackets."""
    if metric.threshold is not None and metric.top_n == 1:
        return f"{metric.threshold:g}"
    name = escape(metric.name.removeprefix("R@1 "))
    return name if metric.unit in ("%", "") else f"{name} ({metric.unit})"


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
