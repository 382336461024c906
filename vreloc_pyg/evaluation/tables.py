"""Per-query results to one row per system, and tables to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vreloc_pyg.evaluation.aligned import Answers, align, held_metrics, joined
from vreloc_pyg.evaluation.comparison import without_audits
from vreloc_pyg.evaluation.hits import single_run_std
from vreloc_pyg.evaluation.intervals import class_means, t_interval
from vreloc_pyg.evaluation.latex import to_latex
from vreloc_pyg.evaluation.metrics import Metric, shown_metrics
from vreloc_pyg.evaluation.presence import PRESENCE, presence_table
from vreloc_pyg.files import write_text

SIDES = ("", " low", " high")


def result_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame], metrics: Sequence[Metric] | None = None
) -> pd.DataFrame:
    """One row per system: the mean of every metric, with 95 % intervals.

    Seeds are averaged, then pairs of a query, queries of a fold, and folds; intervals are t-intervals over
    folds or, of one fold, over classes, see :func:`~vreloc_pyg.evaluation.t_interval`. Bounds end where a
    metric does, which is 0, and 100 for shares.

    Args:
        frames: results of :func:`~vreloc_pyg.evaluation.evaluate`, with columns ``fold`` and ``seed`` where
            there are several; every system answered the same pairs.
        metrics: what to show. (default: those of ``METRICS`` that the frames hold)

    Returns:
        ``system`` and ``kin``; every metric in its unit, shares in percent, followed by ``... low`` and
        ``... high``, all NaN where it is not known for each query; ``AUROC`` and ``calibration error``, see
        :func:`~vreloc_pyg.evaluation.presence.presence_table`, where systems were asked about references
        without the action; ``N``, the number of queries; ``ms/query``. Where there are expectations (chance),
        ``... sd`` of a recall is the standard deviation of a single run that draws one answer per pair, NaN
        for other systems.

    Raises:
        DataError: if the frames lack columns, or systems did not answer the same pairs.
    """
    frame = joined(frames)
    metrics = held_metrics(frame, metrics)
    answers = align(frame, metrics)
    table = interval_table(answers.systems[["system", "kin"]], metrics, intervals(answers.values, answers))
    for metric in metrics:
        bounds = [f"{metric.name}{side}" for side in SIDES[1:]]
        table[bounds] = table[bounds].clip(*metric.limits)
    expected = (answers.systems["kind"] == "expected").to_numpy()
    for k, metric in enumerate(metrics):
        if expected.any() and metric.threshold is not None:
            share = torch.from_numpy(answers.values[:, :, k].T.copy())
            spread = 100 * single_run_std(share, torch.from_numpy(pair_weights(answers))).numpy()
            place = list(table.columns).index(metric.name) + 1
            table.insert(place, f"{metric.name} sd", np.where(expected, spread, np.nan))
    if (frame["kind"] == "absent").any():
        table = table.merge(presence_table(frame), on="system", validate="one_to_one")
    table["N"] = answers.num_queries
    table["ms/query"] = 1000 * answers.systems["seconds"].to_numpy()
    return table


def difference_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    rival: str,
    metrics: Sequence[Metric] | None = None,
    turned: bool = False,
) -> pd.DataFrame:
    """Every other system minus ``rival`` on the same queries, with 95 % intervals of the paired difference.

    An interval that holds 0 shows no difference.

    Args:
        frames, metrics: see :func:`result_table`.
        rival: name of the system that is subtracted.
        turned: ``rival`` minus every other system.

    Returns:
        As :func:`result_table`, shares in percentage points; ``kin`` is that of the other system.

    Raises:
        DataError: as :func:`result_table`, or if there is no system of that name.
    """
    frame = joined(frames)
    metrics = held_metrics(frame, metrics)
    answers = align(frame, metrics)
    others = (answers.systems["system"] != rival).to_numpy()
    paired = answers.values[others] - answers.values[answers.place_of(rival)]
    found = intervals(paired, answers)
    names = [f"{name} − {rival}" for name in answers.systems["system"][others]]
    if turned:
        found = 0.0 - found[[0, 2, 1]]  # 0 stays 0, not -0
        names = [f"{rival} − {name}" for name in answers.systems["system"][others]]
    systems = answers.systems.loc[others, ["system", "kin"]].assign(system=names)
    return interval_table(systems, metrics, found)


def settled(table: pd.DataFrame) -> pd.DataFrame:
    """A table with six decimals, which are the same on every machine: sums differ in the last of sixteen."""
    floats = table.select_dtypes("float").columns
    return table.assign(**{name: table[name].round(6) + 0.0 for name in floats})  # 0 has no sign


def fold_table(frames: pd.DataFrame | Sequence[pd.DataFrame], metric: Metric) -> pd.DataFrame:
    """A metric of every system in each fold, averaged as in :func:`result_table`; ``fold 0`` and so on."""
    answers = align(frames, [metric])
    columns = {}
    for fold in answers.pairs["fold"].unique():
        within = (answers.pairs["fold"] == fold).to_numpy()
        means = class_means(answers.values[:, within, 0].T, answers.pairs[within])
        columns[f"fold {fold}"] = metric.scale * t_interval(means).estimate
    return answers.systems[["system"]].assign(**columns)


def pair_weights(answers: Answers) -> NDArray[np.float64]:
    """The share of every pair in an estimate, ``[N]``: that of its query, over the query's pairs."""
    fold = answers.pairs.groupby("fold")["query"]
    pairs = answers.pairs.groupby(["fold", "query"])["pair"].transform("size")
    return 1 / np.array(fold.ngroups * fold.transform("nunique") * pairs, dtype=np.float64)


def intervals(values: NDArray[np.float64], answers: Answers) -> NDArray[np.float64]:
    """Mean, low and high of ``values [S, N, K]``, ``[3, S * K]``; NaN what is not known for each pair."""
    flat = values.transpose(1, 0, 2).reshape(len(answers.pairs), -1)
    known = np.isfinite(flat).all(0)
    found = np.full((3, flat.shape[1]), np.nan)
    if known.any():
        found[:, known] = t_interval(class_means(flat[:, known], answers.pairs))
    return found


def interval_table(
    systems: pd.DataFrame, metrics: Sequence[Metric], found: NDArray[np.float64]
) -> pd.DataFrame:
    """Rows of estimates and bounds in each metric's unit, of :func:`intervals` ``[3, S * K]``."""
    shaped = found.reshape(3, len(systems), len(metrics))
    columns = {
        f"{metric.name}{side}": metric.scale * shaped[place, :, k]
        for k, metric in enumerate(metrics)
        for place, side in enumerate(SIDES)
    }
    return pd.concat([systems.reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def format_intervals(table: pd.DataFrame, digits: int = 1, bold: bool = False) -> pd.DataFrame:
    """A table for reading: ``x``, ``x low``, ``x high`` become one cell ``"16.2 [15.0, 17.4]"``.

    Where ``x sd`` is known, the cell reads ``"16.2 ± 1.1 [15.0, 17.4]"``; seconds are written
    ``"1.4 s [1.2, 1.7]"``, and what is not known as a dash. The column ``kin`` is left out.

    ``bold`` sets the first of every column in bold, whichever system it is, and all that show its digits;
    audit rows never.
    """
    metrics = shown_metrics(table)
    parts = {f"{name} {part}" for name in table.columns for part in ("low", "high", "sd")}
    shown = pd.DataFrame(index=table.index)
    for column in table.columns.difference(["kin", *parts], sort=False):
        if column not in metrics and f"{column} low" not in table:
            shown[column] = table[column]
            continue
        unit = " s" if column in metrics and metrics[column].unit == "s" else ""
        absent = pd.Series(np.nan, index=table.index)
        columns = (table.get(f"{column}{part}", absent) for part in (*SIDES, " sd"))
        figures = [f"{x:.{digits}f}" for x in table[column]]
        if bold:
            best, audit = f"{_best(table, column):.{digits}f}", table.get("kin", absent) == "audit"
            figures = [
                f"**{x}**" if x == best and not kept else x for x, kept in zip(figures, audit, strict=True)
            ]
        shown[column] = [
            "–"
            if np.isnan(x)
            else figure
            + unit
            + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")
            + ("" if np.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]")
            for figure, x, low, high, sd in zip(figures, *columns, strict=True)
        ]
    return shown


def _best(table: pd.DataFrame, column: str) -> float:
    """The best value of a column; NaN where none is known, or which is better is not."""
    metric = shown_metrics(table[[column]]).get(column)
    higher = metric.higher_is_better if metric is not None else PRESENCE.get(column)
    if higher is None:
        return float("nan")
    values = without_audits(table)[column]
    return float(values.max() if higher else values.min())


def to_markdown(table: pd.DataFrame, digits: int = 1) -> str:
    """A table in GitHub's Markdown: numbers to the right with ``digits`` decimals, a dash for NaN or NA."""

    def cell(value: object) -> str:
        if value is pd.NA:
            return "–"
        if isinstance(value, float):
            return "–" if np.isnan(value) else f"{value:.{digits}f}"
        return str(value).replace("|", "\\|").replace("\n", " ")

    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    rows = [[cell(name) for name in table.columns], ["---:" if right else "---" for right in numeric]]
    # Column by column, since a row of mixed columns would turn integers into floats.
    cells = [[cell(value) for value in table[name].tolist()] for name in table.columns]
    rows += [list(row) for row in zip(*cells, strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def save_table(
    table: pd.DataFrame,
    path_stem: str | Path,
    digits: int = 1,
    latex: bool = False,
    bold: bool = False,
) -> tuple[Path, ...]:
    """Write a table for reading to ``STEM.md`` and with all its columns and digits to ``STEM.csv``.

    Each file appears whole or not at all. In the Markdown intervals are merged into cells, with so many
    ``digits`` and the best ``bold`` on request; ``latex`` also writes ``STEM.tex`` with intervals. Audit rows
    are in the CSV alone. Returns the files in this order.
    """
    stem = Path(path_stem)
    texts = {
        ".md": to_markdown(format_intervals(without_audits(table), digits, bold), digits),
        ".csv": table.to_csv(index=False, lineterminator="\n"),
    }
    if latex:
        texts[".tex"] = to_latex(table, digits, intervals=True)
    return tuple(write_text(stem.with_name(stem.name + suffix), text) for suffix, text in texts.items())
