"""Per-query results to one row per system, and tables to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.bootstrap import Level, bootstrap_interval
from vreloc_pyg.evaluation.hits import single_run_std
from vreloc_pyg.evaluation.latex import to_latex
from vreloc_pyg.evaluation.metrics import METRICS, Metric, shown_metrics
from vreloc_pyg.files import write_text
from vreloc_pyg.systems.protocol import KINS

SIDES = ("", " low", " high")


def result_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    metrics: Sequence[Metric] | None = None,
    level: Level = "queries",
    num_resamples: int = 2000,
) -> pd.DataFrame:
    """One row per system: every metric over all queries of all folds, with 95 % bootstrap intervals.

    Args:
        frames: results of :func:`~vreloc_pyg.evaluation.evaluate`, with a column ``fold`` where there is
            more than one; every system answered the same pairs.
        metrics: what to show. (default: those of ``METRICS`` that the frames hold)
        level, num_resamples: see :func:`~vreloc_pyg.evaluation.bootstrap_interval`.

    Returns:
        ``system`` and ``kin``; every metric in its unit, shares in percent, followed by ``... low`` and
        ``... high``, all NaN where it is not known for each query; ``N``, the number of queries;
        ``ms/query``. Where there are expectations (chance), ``... sd`` of a recall is the standard deviation
        of a single run that draws one answer per query, NaN for other systems.

    Raises:
        DataError: if the frames lack columns, or systems did not answer the same pairs.
    """
    frame, systems, folds = aligned(frames)
    metrics = held_metrics(frame, metrics)
    values = values_of(frame, metrics)  # [S, N, K]
    flat = values.transpose(1, 0, 2).reshape(len(folds), -1)  # [N, S * K]
    table = interval_table(systems, metrics, bootstrap_columns(flat, folds, level, num_resamples))
    expected = frame.drop_duplicates("system")["kind"].to_numpy() == "expected"
    for k, metric in enumerate(metrics):
        if expected.any() and metric.threshold is not None:
            spread = 100 * single_run_std(torch.from_numpy(values[:, :, k].T.copy())).numpy()
            place = list(table.columns).index(metric.name) + 1
            table.insert(place, f"{metric.name} sd", np.where(expected, spread, np.nan))
    table["N"] = len(folds)
    table["ms/query"] = 1000 * frame.groupby("system", sort=False)["seconds"].mean().to_numpy()
    return table


def difference_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    rival: str,
    metrics: Sequence[Metric] | None = None,
    level: Level = "queries",
    turned: bool = False,
) -> pd.DataFrame:
    """Every other system minus ``rival`` on the same queries, with 95 % intervals.

    An interval that holds 0 shows no difference.

    Args:
        frames, metrics, level: see :func:`result_table`.
        rival: name of the system that is subtracted.
        turned: ``rival`` minus every other system.

    Returns:
        As :func:`result_table`, shares in percentage points; ``kin`` is that of the other system.

    Raises:
        DataError: as :func:`result_table`, or if there is no system of that name.
    """
    frame, systems, folds = aligned(frames)
    metrics = held_metrics(frame, metrics)
    values = values_of(frame, metrics)
    second = values[[place_of(rival, systems)]]  # [1, N, K]
    others = (systems["system"] != rival).to_numpy()
    paired = (values[others] - second).transpose(1, 0, 2).reshape(len(folds), -1)
    found = bootstrap_columns(paired, folds, level)
    names = [f"{name} − {rival}" for name in systems["system"][others]]
    if turned:
        found = 0.0 - found[[0, 2, 1]]  # 0 stays 0, not -0
        names = [f"{rival} − {name}" for name in systems["system"][others]]
    return interval_table(systems[others].assign(system=names), metrics, found)


def place_of(rival: str, systems: pd.DataFrame) -> int:
    """Row of the system that others are compared with."""
    names = systems["system"].tolist()
    if rival not in names:
        raise DataError(f"Expected 'rival' to be one of {names} (got {rival!r})")
    return names.index(rival)


def aligned(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
) -> tuple[pd.DataFrame, pd.DataFrame, NDArray[np.object_]]:
    """The frames as one, ordered alike for every system; ``system`` and ``kin``; the fold of every query."""
    frame = frames if isinstance(frames, pd.DataFrame) else pd.concat(list(frames), ignore_index=True)
    if "fold" not in frame:
        frame = frame.assign(fold=0)
    missing = {"system", "kin", "kind", "pair", "tiou", "seconds"} - set(frame.columns)
    if missing or frame.empty:
        raise DataError(
            f"Expected the result of evaluate() with rows (lacks {sorted(missing) or 'rows'}); predictions "
            "without 'kin', of version 0.1, are to be made anew"
        )
    systems = frame[["system", "kin"]].drop_duplicates(ignore_index=True)
    names = systems["system"].tolist()
    unknown = sorted(set(map(str, systems["kin"])) - set(KINS))
    if unknown or len(set(names)) < len(names):
        raise DataError(f"Expected one kin per system, of {', '.join(KINS)} (got {unknown or 'several'})")
    rank = frame["system"].map({name: index for index, name in enumerate(names)})
    frame = frame.assign(rank=rank).sort_values(["rank", "fold", "pair"], kind="stable", ignore_index=True)
    keys = {name: part[["fold", "pair"]].to_numpy() for name, part in frame.groupby("system")}
    wanted = keys[names[0]]
    for name, own in keys.items():
        if frame.loc[frame["system"] == name, ["fold", "pair"]].duplicated().any():
            raise DataError(f"System {name!r} answered a pair of a fold more than once")
        if not np.array_equal(own, wanted):
            raise DataError(
                f"Expected every system to answer the same pairs: {names[0]!r} has {len(wanted)} rows, "
                f"{name!r} has {len(own)}, and they are not the same"
            )
    return frame, systems, wanted[:, 0]


def held_metrics(frame: pd.DataFrame, metrics: Sequence[Metric] | None = None) -> list[Metric]:
    """Metrics that a frame must hold; by default those of ``METRICS`` that it does."""
    chosen = [metric for metric in METRICS if metric.column in frame] if metrics is None else list(metrics)
    absent = [metric.name for metric in chosen if metric.column not in frame]
    if absent or not chosen:
        raise DataError(f"Expected the result of evaluate() with these metrics (lacks {absent or 'all'})")
    return chosen


def values_of(frame: pd.DataFrame, metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """Per-query values of every system, ``[S, N, K]``, of an aligned frame."""
    values = frame[[metric.column for metric in metrics]].to_numpy(dtype=np.float64)
    return values.reshape(frame["system"].nunique(), -1, len(metrics))


def bootstrap_columns(
    values: NDArray[np.float64], folds: ArrayLike, level: Level, num_resamples: int = 2000
) -> NDArray[np.float64]:
    """Mean, low and high of every column, ``[3, C]``; NaN for columns that are not known for each query."""
    known = np.isfinite(values).all(0)
    found = np.full((3, values.shape[1]), np.nan)
    if known.any():
        columns = np.ascontiguousarray(values[:, known])  # whose sums round alike, whatever else is known
        found[:, known] = bootstrap_interval(columns, folds, level, num_resamples)
    return found


def interval_table(
    systems: pd.DataFrame, metrics: Sequence[Metric], found: NDArray[np.float64]
) -> pd.DataFrame:
    """Rows of estimates and bounds in each metric's unit, of :func:`bootstrap_columns` ``[3, S * K]``."""
    shaped = found.reshape(3, len(systems), len(metrics))
    columns = {
        f"{metric.name}{side}": metric.scale * shaped[place, :, k]
        for k, metric in enumerate(metrics)
        for place, side in enumerate(SIDES)
    }
    return pd.concat([systems.reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def format_intervals(table: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    """A table for reading: ``x``, ``x low``, ``x high`` become one cell ``"16.2 [15.0, 17.4]"``.

    Where ``x sd`` is known, the cell reads ``"16.2 ± 1.1 [15.0, 17.4]"``; seconds are written
    ``"1.4 s [1.2, 1.7]"``, and what is not known as a dash. The column ``kin`` is left out.
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
        shown[column] = [
            "–"
            if np.isnan(x)
            else f"{x:.{digits}f}{unit}"
            + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")
            + ("" if np.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]")
            for x, low, high, sd in zip(*columns, strict=True)
        ]
    return shown


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
    table: pd.DataFrame, path_stem: str | Path, digits: int = 1, latex: bool = False
) -> tuple[Path, ...]:
    """Write a table for reading to ``STEM.md`` and with all its columns and digits to ``STEM.csv``.

    Each file appears whole or not at all. In the Markdown intervals are merged into cells, with so many
    ``digits``; ``latex`` also writes ``STEM.tex`` with intervals. Returns the files in this order.
    """
    stem = Path(path_stem)
    texts = {
        ".md": to_markdown(format_intervals(table, digits), digits),
        ".csv": table.to_csv(index=False, lineterminator="\n"),
    }
    if latex:
        texts[".tex"] = to_latex(table, digits, intervals=True)
    return tuple(write_text(stem.with_name(stem.name + suffix), text) for suffix, text in texts.items())
