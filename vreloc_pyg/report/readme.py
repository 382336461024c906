"""Tables of a README: made from results, and put between its markers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import Metric, format_intervals, to_markdown, without_audits

BEGIN, END = "<!-- table: {name} -->", "<!-- end table -->"


def readme_table(results: pd.DataFrame, rows: Sequence[str], metrics: Sequence[Metric]) -> str:
    """A short table in Markdown: metrics with their intervals, the best of each column in bold.

    Args:
        results: of :func:`~vreloc_pyg.evaluation.result_table`.
        rows: systems; the best by the first metric stands first, whatever it is, and equals keep this order.
            Audit rows are no systems, and are left out.
        metrics: columns from left to right; R@1 is headed by its threshold.
    """
    absent = [name for name in rows if name not in set(results["system"])]
    absent += [metric.name for metric in metrics if metric.name not in results]
    chosen = without_audits(results)
    shown = [name for name in rows if name in set(chosen["system"])]
    if absent or not shown or not metrics:
        raise DataError(f"Expected results of systems and metrics to show (lacks {absent or 'systems'})")
    ordered = chosen.set_index("system").loc[shown].reset_index()
    ordered = ordered.sort_values(
        metrics[0].name, ascending=not metrics[0].higher_is_better, kind="stable", ignore_index=True
    )
    cells = format_intervals(ordered.drop(columns=[c for c in ordered if str(c).endswith(" sd")]), bold=True)
    heads = {metric.name: _head(metric) for metric in metrics}
    return to_markdown(cells[["system", *heads]].rename(columns=heads))


def _head(metric: Metric) -> str:
    if metric.threshold is not None and metric.top_n == 1:
        return f"tIoU > {f'{metric.threshold:g}'.removeprefix('0')}"
    return metric.name


def replace_between_markers(text: str, name: str, new: str) -> str:
    """A README with what stands between ``<!-- table: NAME -->`` and ``<!-- end table -->`` replaced.

    Blank lines are set around the new Markdown, so that doing it twice changes nothing. Unless the first
    marker is there once, and a second one follows it before the next table, it is a :class:`DataError`.
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
