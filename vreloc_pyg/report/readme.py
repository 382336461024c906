"""Tables of a README: made from results, and put between its markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import result_table, to_markdown
from vreloc_pyg.evaluation.recall import recall_column

BEGIN, END = "<!-- table: {name} -->", "<!-- end table -->"


def readme_table(
    results: pd.DataFrame,
    rows: Mapping[str, str] | Sequence[str],
    thresholds: Sequence[float],
    digits: int = 1,
) -> str:
    """A short table in Markdown: R@1 in percent with its interval, the best of each column in bold.

    Args:
        results: of :func:`~vreloc_pyg.evaluation.result_table`; or of
            :func:`~vreloc_pyg.evaluation.evaluate`, whose intervals then resample folds where there are two
            or more, else queries.
        rows: systems from top to bottom; a mapping gives them other names.
        thresholds: tIoU thresholds from left to right.
        digits: decimals.

    Raises:
        DataError: if a system or a threshold is missing.
    """
    if "pair" in results:
        several = "fold" in results and results["fold"].nunique() > 1
        results = result_table(results, thresholds, level="folds" if several else "queries")
    columns = [recall_column(threshold) for threshold in thresholds]
    names = dict(rows) if isinstance(rows, Mapping) else {name: name for name in rows}
    absent = [name for name in names if name not in set(results["system"])]
    absent += [column for column in columns if column not in results]
    if absent or not names:
        raise DataError(f"Expected results of systems and thresholds to show (lacks {absent or 'systems'})")
    shown = results.set_index("system").loc[list(names)]
    table = pd.DataFrame({"system": list(names.values())})
    for threshold, column in zip(thresholds, columns, strict=True):
        figures = [f"{value:.{digits}f}" for value in shown[column]]
        best = f"{shown[column].max():.{digits}f}"
        cells = [f"**{figure}**" if figure == best else figure for figure in figures]
        if f"{column} low" in shown:
            bounds = zip(shown[f"{column} low"], shown[f"{column} high"], strict=True)
            cells = [
                f"{cell} [{low:.{digits}f}, {high:.{digits}f}]"
                for cell, (low, high) in zip(cells, bounds, strict=True)
            ]
        table[f"tIoU > {f'{threshold:g}'.removeprefix('0')}"] = cells
    return to_markdown(table, digits)


def replace_between_markers(text: str, name: str, new: str) -> str:
    """A README with what stands between ``<!-- table: NAME -->`` and ``<!-- end table -->`` replaced.

    Args:
        text: the README.
        name: of the table.
        new: Markdown to put there; blank lines are set around it, so that doing it twice changes nothing.

    Raises:
        DataError: if the first marker is not there exactly once, or no second one follows it before the
            next table begins.
    """
    begin = BEGIN.format(name=name)
    if text.count(begin) != 1:
        raise DataError(f"Expected the marker {begin} once in the text (found {text.count(begin)})")
    before, after = text.split(begin)
    ended = after.find(END)
    following = re.search(r"<!-- table: .*? -->", after)
    if ended < 0 or (following is not None and following.start() < ended):
        raise DataError(f"Expected the marker {END} after {begin} (found none that belongs to it)")
    return f"{before}{begin}\n\n{new.strip()}\n\n{after[ended:]}"
