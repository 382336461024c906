"""What every system answered to some queries, after the paper's Figure 11."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation.hits import ROUNDING
from vreloc_pyg.report.plots import COLOURS, INK, TRACK, TRUTH, new_figure, save, tidy
from vreloc_pyg.segments import read_spans

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHER = "#B5B5B5"
HEIGHT = 0.66
#: Inches of a row, and of what stands above and below the rows of a panel.
ROW, AROUND = 0.2, 0.72


def choose_queries(frame: pd.DataFrame, count: int, ours: str, seed: int = 0) -> list[tuple[Any, int]]:
    """Queries at evenly spaced quantiles of our tIoU, from the worst to the best, so that none is picked.

    Five are the worst, the quartile below, the median, the quartile above and the best; one is the median.
    Queries of equal tIoU, such as all that were missed altogether, are put in an order drawn at random.

    Args:
        frame: results of :func:`~vreloc_pyg.evaluation.evaluate` with a column ``fold``.
        count: how many; all, where there are no more.
        ours: the system whose tIoU counts.
        seed: decides the order of equals.

    Returns:
        ``(fold, pair)``, worst first.
    """
    if count < 1:
        raise SettingsError(f"Expected 'count' to be 1 or more (got {count})")
    own = frame[frame["system"] == ours].sort_values(["fold", "pair"])
    if own.empty:
        raise DataError(f"Expected 'ours' to be one of {list(frame['system'].unique())} (got {ours!r})")
    drawn = own.iloc[np.random.default_rng(seed).permutation(len(own))]
    ranked = drawn.sort_values("tiou", kind="stable")
    quantiles = np.linspace(0, 1, min(count, len(own))) if count > 1 else np.array([0.5])
    # A little is added since 0.9999... of the last place is the last place.
    places = np.floor(quantiles * (len(own) - 1) + 1e-6).astype(int)
    return [
        (fold, int(pair))
        for fold, pair in zip(ranked["fold"].iloc[places], ranked["pair"].iloc[places], strict=True)
    ]


def qualitative_figure(
    frame: pd.DataFrame,
    pairs: pd.DataFrame,
    queries: Sequence[tuple[Any, int]],
    path: str | Path,
    systems: Sequence[str] | None = None,
) -> Path:
    """Draw a panel for each query: the reference's timeline, the truth, and what every system answered.

    The first row shows the instances of the query's class, and in grey those of other classes. Each system
    has one colour in all panels, and the tIoU of its answer at the right. Chance gives no answer and is left
    out.

    Args:
        frame: results of :func:`~vreloc_pyg.evaluation.evaluate` with a column ``fold``.
        pairs: those that were evaluated, of :func:`~vreloc_pyg.experiments.predictions.pairs_table`.
        queries: ``(fold, pair)``, for example of :func:`choose_queries`.
        path: file to write, whole or not at all; its suffix decides the format.
        systems: rows from top to bottom. (default: all that answer, in the frame's order)

    Raises:
        DataError: if nothing is to be drawn, or a pair or an answer is missing.
    """
    answers = frame[frame["kind"] == "answer"]
    names = list(dict.fromkeys(answers["system"])) if systems is None else list(systems)
    if not names or not queries:
        raise DataError(f"Expected systems and queries to draw (got {names} and {list(queries)})")
    by_key = answers.set_index(["system", "fold", "pair"]).sort_index()
    about = pairs.set_index(["fold", "pair"])
    height = AROUND + ROW * (len(names) + 1)
    figure = new_figure(9, height * len(queries) + 0.3)
    panels = figure.subplots(len(queries), 1, squeeze=False)[:, 0]
    for axes, (fold, pair) in zip(panels, queries, strict=True):
        if (fold, pair) not in about.index:
            raise DataError(f"Pair {pair} of fold {fold} is not among the pairs")
        asked = about.loc[(fold, pair)]
        missing = [name for name in names if (name, fold, pair) not in by_key.index]
        if missing:
            raise DataError(f"Pair {pair} of fold {fold} was not answered by {missing}")
        lines = {name: by_key.loc[(name, fold, pair)] for name in names}
        _truth(axes, asked, len(names))
        for row, line in enumerate(lines.values(), start=1):
            _answer(axes, row, line, asked["duration_s"], _style(row - 1))
        axes.set_yticks(range(len(names) + 1), ["truth", *names], fontsize=8)
        axes.set_title(
            f"{asked['label']}   ·   query {asked['query_id']} ({asked['query_s']:.1f} s) in reference "
            f"{asked['reference_id']} ({asked['duration_s']:.1f} s)",
            loc="left",
            fontsize=9,
        )
    panels[-1].set_xlabel("seconds of the reference", fontsize=9)
    from matplotlib.patches import Patch

    handles = [
        Patch(color=TRUTH, label="true instances of the query's class"),
        Patch(color=OTHER, label="instances of other classes"),
        Patch(color="none", label="bold: tIoU > 0.5"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    return save(figure, path)


def _truth(axes: Axes, asked: pd.Series, num_systems: int) -> None:
    """The empty timeline of a panel with the instances in its first row."""
    axes.barh(range(num_systems + 1), asked["duration_s"], height=HEIGHT, color=TRACK, zorder=-1)
    for column, colour in (("others", OTHER), ("truths", TRUTH)):
        for start, end in read_spans(asked[column]).tolist():
            bar: dict[str, Any] = {"height": HEIGHT, "color": colour, "edgecolor": "white", "linewidth": 0.5}
            axes.barh(0, end - start, left=start, **bar)
            if column == "truths":
                axes.axvspan(start, end, color=TRUTH, alpha=0.13, linewidth=0, zorder=0)
    axes.text(1.012, 0, "tIoU", transform=axes.get_yaxis_transform(), va="center", color=INK, fontsize=8)
    axes.set_xlim(0, asked["duration_s"])
    axes.set_ylim(num_systems + 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    tidy(axes)
    axes.spines["left"].set_visible(False)


def _answer(axes: Axes, row: int, line: pd.Series, duration_s: float, style: dict[str, Any]) -> None:
    start, end = float(line["start_s"]), float(line["end_s"])
    if np.isnan(start):
        axes.text(0.01 * duration_s, row, "no answer", va="center", color=INK, fontsize=8)
    else:
        # The edge keeps a second of a long video visible.
        axes.barh(row, end - start, left=start, height=HEIGHT, linewidth=0.8, **style)
    tiou, beside = float(line["tiou"]), axes.get_yaxis_transform()
    weight = "bold" if tiou > 0.5 + ROUNDING else "normal"
    axes.text(1.012, row, f"{tiou:.2f}", transform=beside, va="center", color=INK, fontsize=8, weight=weight)


def _style(number: int) -> dict[str, Any]:
    """Colour of the n-th system; hatched from the seventh on."""
    colour = COLOURS[number % len(COLOURS)]
    if number < len(COLOURS):
        return {"color": colour, "edgecolor": colour}
    return {"facecolor": "white", "edgecolor": colour, "hatch": ("/////", ".....")[number // 6 % 2 - 1]}
