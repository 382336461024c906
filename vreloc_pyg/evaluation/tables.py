"""Per-query results to one row per system, and tables to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.bootstrap import Interval, Level, bootstrap_interval, paired_bootstrap
from vreloc_pyg.evaluation.latex import to_latex
from vreloc_pyg.evaluation.recall import AVERAGE_THRESHOLDS, THRESHOLDS, recall_column, single_run_std
from vreloc_pyg.files import write_text

AVERAGE = "R@1 avg"
MEAN_TIOU = "mean tIoU"


def result_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    thresholds: Sequence[float] = THRESHOLDS,
    level: Level = "queries",
    num_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per system: R@1 over all queries of all folds, in percent, with 95 % bootstrap intervals.

    Args:
        frames: results of :func:`~vreloc_pyg.evaluation.evaluate`, with a column ``fold`` where there is
            more than one; every system answered the same pairs.
        thresholds: tIoU thresholds to show.
        level, num_resamples, seed: see :func:`~vreloc_pyg.evaluation.bootstrap_interval`.

    Returns:
        ``system``; ``R@1(t)`` for every threshold, ``R@1 avg`` (the mean over .5, .6, .7, .8, .9, where the
        frames hold them) and ``mean tIoU``, each in percent and followed by ``... low`` and ``... high``;
        ``N``, the number of queries; ``ms/query``. Where there are expectations (chance), ``... sd`` is the
        standard deviation of a single run that draws one answer per query, NaN for other systems.

    Raises:
        DataError: if the frames lack columns, or systems did not answer the same pairs.
    """
    frame, names, folds = aligned(frames)
    columns, values = values_of(frame, thresholds)  # [S, N, K]
    flat = values.transpose(1, 0, 2).reshape(values.shape[1], -1)  # [N, S * K]
    interval = bootstrap_interval(flat, folds, level, num_resamples, seed=seed)
    table = percent_table(names, columns, interval)
    expected = frame.drop_duplicates("system")["kind"].to_numpy() == "expected"
    if expected.any():
        for threshold in thresholds:
            k = columns.index(recall_column(threshold))
            spread = 100 * single_run_std(torch.from_numpy(values[:, :, k].T.copy())).numpy()
            place = list(table.columns).index(columns[k]) + 1
            table.insert(place, f"{columns[k]} sd", np.where(expected, spread, np.nan))
    table["N"] = values.shape[1]
    table["ms/query"] = 1000 * frame.groupby("system", sort=False)["seconds"].mean().to_numpy()
    return table


def difference_table(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
    rival: str,
    thresholds: Sequence[float] = THRESHOLDS,
    level: Level = "queries",
    num_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every other system minus ``rival`` on the same queries, in percentage points, with 95 % intervals.

    An interval that holds 0 shows no difference.

    Args:
        frames, thresholds, level, num_resamples, seed: see :func:`result_table`.
        rival: name of the system that is subtracted.

    Raises:
        DataError: as :func:`result_table`, or if there is no system of that name.
    """
    frame, names, folds = aligned(frames)
    if rival not in names:
        raise DataError(f"Expected 'rival' to be one of {names} (got {rival!r})")
    columns, values = values_of(frame, thresholds)
    others = [index for index, name in enumerate(names) if name != rival]
    first = values[others].transpose(1, 0, 2)  # [N, S - 1, K]
    second = np.broadcast_to(values[[names.index(rival)]].transpose(1, 0, 2), first.shape)
    shape = (len(folds), -1)
    interval = paired_bootstrap(
        first.reshape(shape), second.reshape(shape), folds, level, num_resamples, seed=seed
    )
    return percent_table([f"{names[index]} − {rival}" for index in others], columns, interval)


def aligned(
    frames: pd.DataFrame | Sequence[pd.DataFrame],
) -> tuple[pd.DataFrame, list[str], NDArray[np.object_]]:
    """The frames as one, ordered alike for every system; the systems; and the fold of every query."""
    frame = frames if isinstance(frames, pd.DataFrame) else pd.concat(list(frames), ignore_index=True)
    if "fold" not in frame:
        frame = frame.assign(fold=0)
    missing = {"system", "kind", "pair", "tiou", "seconds"} - set(frame.columns)
    if missing or frame.empty:
        raise DataError(f"Expected the result of evaluate() with rows (lacks {sorted(missing) or 'rows'})")
    names = list(dict.fromkeys(frame["system"]))
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
    return frame, names, wanted[:, 0]


def values_of(frame: pd.DataFrame, thresholds: Sequence[float]) -> tuple[list[str], NDArray[np.float64]]:
    """Column names and per-query values of every system, ``[S, N, K]``, of an aligned frame."""
    columns = [recall_column(threshold) for threshold in thresholds]
    absent = [column for column in columns if column not in frame]
    if absent:
        raise DataError(f"Expected the result of evaluate() at these thresholds (lacks {absent})")
    averaged = [recall_column(threshold) for threshold in AVERAGE_THRESHOLDS]
    shown = frame[columns].copy()
    if set(averaged) <= set(frame.columns):
        shown[AVERAGE] = frame[averaged].mean(axis=1)
    shown[MEAN_TIOU] = frame["tiou"]
    values = shown.to_numpy(dtype=np.float64)
    return list(shown.columns), values.reshape(frame["system"].nunique(), -1, values.shape[1])


def percent_table(names: Sequence[str], columns: Sequence[str], interval: Interval) -> pd.DataFrame:
    """Rows of estimates and bounds in percent from an interval of ``[S * K]`` values."""
    shape = (len(names), len(columns))
    table = pd.DataFrame({"system": list(names)})
    for k, column in enumerate(columns):
        table[column] = 100 * interval.estimate.reshape(shape)[:, k]
        table[f"{column} low"] = 100 * interval.low.reshape(shape)[:, k]
        table[f"{column} high"] = 100 * interval.high.reshape(shape)[:, k]
    return table


def format_intervals(table: pd.DataFrame, digits: int = 1) -> pd.DataFrame:
    """A table for reading: ``x``, ``x low``, ``x high`` become one cell ``"16.2 [15.0, 17.4]"``.

    Where ``x sd`` is known, the cell reads ``"16.2 ± 1.1 [15.0, 17.4]"``.
    """
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        if any(column == f"{other} {part}" for other in table.columns for part in ("low", "high", "sd")):
            continue
        if f"{column} low" not in table:
            shown[column] = table[column]
            continue
        bounds = zip(table[column], table[f"{column} low"], table[f"{column} high"], strict=True)
        cells = [(f"{x:.{digits}f}", f"[{low:.{digits}f}, {high:.{digits}f}]") for x, low, high in bounds]
        spread = table.get(f"{column} sd", pd.Series(np.nan, index=table.index))
        shown[column] = [
            f"{x} {bounds}" if np.isnan(sd) else f"{x} ± {sd:.{digits}f} {bounds}"
            for (x, bounds), sd in zip(cells, spread, strict=True)
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

    Each file appears whole or not at all.

    Args:
        table: for example of :func:`result_table`; intervals are merged into cells in the Markdown.
        path_stem: path without suffix; its folder is created.
        digits: decimals in the Markdown.
        latex: also write R@1 with intervals to ``STEM.tex``, see :func:`~vreloc_pyg.evaluation.to_latex`.

    Returns:
        The files in this order.
    """
    stem = Path(path_stem)
    texts = {
        ".md": to_markdown(format_intervals(table, digits), digits),
        ".csv": table.to_csv(index=False, lineterminator="\n"),
    }
    if latex:
        texts[".tex"] = to_latex(table, digits, intervals=True)
    return tuple(write_text(stem.with_name(stem.name + suffix), text) for suffix, text in texts.items())
