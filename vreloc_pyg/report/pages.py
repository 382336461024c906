"""Short tables for pages, and what stands between a page's markers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import Metric, format_intervals, to_markdown, without_audits

BEGIN, END = "<!-- generated: {name} -->", "<!-- end -->"
BLOCK = re.compile(r"<!-- generated: (.*?) -->(.*?)(?=<!-- generated: |<!-- end -->|\Z)", re.DOTALL)


def short_table(results: pd.DataFrame, rows: Sequence[str], metrics: Sequence[Metric]) -> str:
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
    heads = {one.name: f"tIoU > {dotted(one)}" if dotted(one) else one.name for one in metrics}
    return to_markdown(cells[["system", *heads]].rename(columns=heads))


def shown_rows(results: pd.DataFrame, hidden: Collection[str], metrics: Sequence[Metric]) -> list[str]:
    """Systems that a short table shows: those that are not hidden, and whichever is the best of a column."""
    table = without_audits(results)
    best = [table[metric.name].round(1) == table[metric.name].round(1).max() for metric in metrics]
    kept = ~table["system"].isin(hidden) | pd.concat(best, axis=1).any(axis=1)
    return table.loc[kept, "system"].tolist()


def dotted(metric: Metric) -> str:
    """The threshold of R@1 as ``.5``; empty for another metric."""
    if metric.threshold is None or metric.top_n != 1:
        return ""
    return f"{metric.threshold:g}".removeprefix("0")


def suite_table(
    results: Mapping[str, pd.DataFrame], hidden: Collection[str], metrics: Sequence[Metric]
) -> str:
    """One table of several data sets: R@1 with intervals under it, the best of each column in bold.

    Args:
        results: tables by data set, of :func:`~vreloc_pyg.evaluation.result_table`.
        hidden: rows that are shown only where they are the best of a column.
        metrics: recalls, columns of each data set.
    """
    columns: dict[str, pd.Series] = {}
    merit: dict[str, list[float]] = {}
    for name, table in results.items():
        table = without_audits(table).set_index("system")
        cells = format_intervals(table.reset_index(), bold=True).set_index("system")
        for metric in metrics:
            figures = cells[metric.name].str.replace(r" ± [\d.]+", "", regex=True)
            columns[f"{name}<br>{dotted(metric)}"] = figures.str.replace(" [", "<br>[", regex=False)
        values = table[metrics[0].name].astype(float)
        for system, value in values.items():  # as a share of the best: not every system is in every set
            merit.setdefault(str(system), []).append(value / max(values.max(), 1e-9))
    means = {system: sum(found) / len(found) for system, found in merit.items()}
    shown = {row for table in results.values() for row in shown_rows(table, hidden, metrics)}
    rows = sorted((row for row in means if row in shown), key=lambda row: -means[row])
    joined = pd.DataFrame(columns).reindex(rows).fillna("–")
    return to_markdown(joined.rename_axis("system").reset_index())


def replace_blocks(text: str, blocks: Mapping[str, str], page: str = "the page") -> str:
    """A page with what stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` replaced.

    The new Markdown has lines of its own, so that doing it twice changes nothing. Not every block needs a
    place.

    Raises:
        DataError: if there is no marker at all, a marker has no end before the next one, or there is no block
            of its name.
    """
    found = list(BLOCK.finditer(text))
    if not found:
        raise DataError(f"Expected a marker such as {BEGIN.format(name=next(iter(blocks)))} in {page}")
    parts, place = [], 0
    for match in found:
        name = match[1]
        line = text.count("\n", 0, match.start()) + 1
        if not text.startswith(END, match.end()):
            raise DataError(f"Expected {END} after {BEGIN.format(name=name)} in line {line} of {page}")
        if name not in blocks:
            raise DataError(
                f"Nothing is generated for {BEGIN.format(name=name)} in line {line} of {page}; known are "
                f"{', '.join(blocks)}"
            )
        parts += [text[place : match.start()], f"{BEGIN.format(name=name)}\n{blocks[name].strip()}\n"]
        place = match.end()
    return "".join([*parts, text[place:]])
