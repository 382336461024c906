"""Pictures: a reference's timeline, recall curves and training curves.

They are drawn on their own figures with the Agg back end and leave matplotlib's global state alone. Colours
are Okabe and Ito's, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import DataError, MissingExtraError
from vreloc_pyg.evaluation.metrics import shown_metrics
from vreloc_pyg.files import replacing
from vreloc_pyg.segments import Segments, temporal_iou

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH = "#009E73"
COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LIGHT = COLOURS[2:5]
MARKERS = "osD^"
DASHES = ("-", "--", ":")
TRACK, INK = "#EDEDED", "#333333"


def timeline_picture(
    query: Query,
    reference: Reference,
    answers: Mapping[str, Segments],
    truths: Tensor | None,
    path: str | Path,
    curve: Tensor | None = None,
) -> Path:
    """Draw the reference's timeline with each system's top answer, and the truth where it is known.

    Args:
        query, reference: the pair; only durations and identifiers are used.
        answers: by system, segments in seconds, best first; a system may have none.
        truths: true segments in seconds, ``[G, 2]``, or ``None``; answers are labelled with their best tIoU.
        path: file to write; its suffix decides the format.
        curve: one number per step of the reference to draw above, ``[num_steps]``, for example its score.
    """
    if curve is not None and curve.shape != (reference.num_steps,):
        raise DataError(
            f"Expected a curve with one value per step, [{reference.num_steps}] (got {tuple(curve.shape)})"
        )
    truths = torch.zeros(0, 2) if truths is None else truths.reshape(-1, 2).double()
    first = 1 if len(truths) else 0  # row of the first answer
    rows = ["truth"][:first] + list(answers)
    heights = ([1.1] if curve is not None else []) + [0.42 * max(1, len(rows))]
    figure = new_figure(9, sum(heights) + 0.95)
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    axes = panels[-1]
    for start, end in truths.tolist():
        for panel in panels:
            panel.axvspan(start, end, color=TRUTH, alpha=0.13, linewidth=0, zorder=0)
    if curve is not None:
        centres = (torch.arange(reference.num_steps) + 0.5) * reference.seconds_per_step
        panels[0].plot(centres.numpy(), curve.detach().cpu().double().numpy(), color=INK, linewidth=1.2)
        panels[0].set_ylabel("score")
        tidy(panels[0])
    for row, name in enumerate(rows):
        axes.barh(row, reference.duration_s, height=0.62, color=TRACK, zorder=-1)
        if row < first:
            for start, end in truths.tolist():
                axes.barh(row, end - start, left=start, height=0.62, color=TRUTH)
        elif len(answers[name]):
            colour = COLOURS[(row - first) % len(COLOURS)]
            bar(axes, row, answers[name].bounds[0], truths, reference.duration_s, colour)
        else:
            axes.text(0.01 * reference.duration_s, row, "no answer", va="center", color=INK, fontsize=9)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    axes.set_xlim(0, reference.duration_s)
    axes.set_xlabel("seconds of the reference")
    axes.tick_params(axis="y", length=0)
    tidy(axes)
    axes.spines["left"].set_visible(False)
    panels[0].set_title(
        f"query {query.video_id} ({query.duration_s:.1f} s) in reference {reference.video_id} "
        f"({reference.duration_s:.1f} s)",
        loc="left",
        fontsize=10,
    )
    return save(figure, path)


def bar(axes: Axes, row: int, segment: Tensor, truths: Tensor, duration_s: float, colour: str) -> None:
    """One answer with its times and its best tIoU, written where there is room."""
    start, end = segment.tolist()
    axes.barh(row, end - start, left=start, height=0.62, color=colour)
    label = f"{start:.1f}–{end:.1f} s"
    if len(truths):
        label += f"   tIoU {float(temporal_iou(segment[None], truths).max()):.2f}"
    gap, room = 0.008 * duration_s, 0.24 * duration_s
    if duration_s - end >= room:
        axes.text(end + gap, row, label, va="center", ha="left", color=INK, fontsize=9)
    elif start >= room:
        axes.text(start - gap, row, label, va="center", ha="right", color=INK, fontsize=9)
    else:
        ink = "black" if colour in LIGHT else "white"
        axes.text((start + end) / 2, row, label, va="center", ha="center", color=ink, fontsize=9)


def recall_curves(table: pd.DataFrame, path: str | Path, emphasis: Collection[str] | None = None) -> Path:
    """Draw R@1 against the tIoU threshold, one line per system with its interval as a band.

    Args:
        table: of :func:`~vreloc_pyg.evaluation.result_table` (or of published numbers, which have no band).
        path: file to write; its suffix decides the format.
        emphasis: systems whose lines are strong and have a band; of many bands none can be read.
            (default: all)
    """
    recalls = [metric for metric in shown_metrics(table).values() if metric.top_n == 1]
    columns = dict(
        sorted((metric.threshold, metric.name) for metric in recalls if metric.threshold is not None)
    )
    if not columns:
        raise DataError(f"Expected a table with columns 'R@1(t)' (got {list(table.columns)})")
    figure = new_figure(8.2, max(4.4, 0.21 * len(table) + 0.6))
    axes = figure.subplots()
    ordered = table.sort_values(next(iter(columns.values())), ascending=False, kind="stable")
    for number, (_, line) in enumerate(ordered.iterrows()):
        known = {threshold: name for threshold, name in columns.items() if pd.notna(line[name])}
        colour, dash, marker = COLOURS[number % 6], DASHES[number // 6 % 3], MARKERS[number // 18 % 4]
        recall = [float(line[name]) for name in known.values()]
        strong = emphasis is None or line["system"] in emphasis
        look = {"color": colour, "marker": marker, "markersize": 3.5, "label": line["system"]}
        width = 1.5 if emphasis is None else 2.2 if strong else 1.0
        axes.plot(list(known), recall, dash, linewidth=width, zorder=2 + strong, **look)
        if strong and all(f"{name} low" in line for name in known.values()):
            low, high = (
                [float(line[f"{name} {side}"]) for name in known.values()] for side in ("low", "high")
            )
            axes.fill_between(list(known), low, high, color=colour, alpha=0.13, linewidth=0)
    axes.set_xlabel("tIoU threshold")
    axes.set_ylabel("R@1 (%)")
    axes.set_ylim(bottom=0)
    axes.grid(color=TRACK)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
    tidy(axes)
    return save(figure, path)


def training_curves(csv_path: str | Path, path: str | Path) -> Path:
    """Draw losses, and R@1 on the validation split, against the training step.

    Of ``metrics.csv`` of Lightning's ``CSVLogger``, columns with "loss" in their name are drawn above, those
    with "R@1" below; :class:`DataError` if the file cannot be read or holds neither.
    """
    try:
        log = pd.read_csv(csv_path)
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read the training log {csv_path}: {error}") from None
    losses = [name for name in map(str, log.columns) if "loss" in name]
    recalls = [name for name in map(str, log.columns) if "R@1" in name]
    if "step" not in log or not losses + recalls:
        raise DataError(
            f"{csv_path}: expected a column 'step' and columns of losses or R@1 (got {list(log)})"
        )
    groups = [(label, names) for label, names in (("loss", losses), ("R@1 (%)", recalls)) if names]
    figure = new_figure(8.2, 2.6 * len(groups) + 0.5)
    for axes, (label, names) in zip(
        figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0], groups, strict=True
    ):
        for number, name in enumerate(names):
            line = log[["step", name]].dropna()
            values = line[name] * (100 if label == "R@1 (%)" else 1)
            colour, dash = COLOURS[number % 6], DASHES[number // 6 % 3]
            if len(line) > 100:
                # A long noisy line: faint as logged, strong as a running mean.
                axes.plot(line["step"], values, color=colour, alpha=0.25, linewidth=0.8)
                values = values.rolling(len(line) // 40, min_periods=1, center=True).mean()
            marker = "o" if len(line) <= 40 else None
            axes.plot(line["step"], values, dash, color=colour, marker=marker, markersize=3.5, label=name)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0 if label == "R@1 (%)" else None)
        axes.grid(color=TRACK)
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
        tidy(axes)
    axes.set_xlabel("training step")
    return save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches that no global state knows of; :class:`MissingExtraError` without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("Pictures need matplotlib: pip install 'vreloc_pyg[demo]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Write a figure, whole or not at all."""
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=dpi)
    return Path(path)


def picture_difference(path: str | Path, other: str | Path) -> float:
    """Mean absolute difference of the pixels of two PNG files, as a share of their range, 0 to 1.

    Where sizes differ by a few pixels, as with another version of matplotlib, the part that both have is
    compared; by more than 3 %, they differ altogether, which is 1.
    """
    from matplotlib.image import imread

    first, second = (np.asarray(imread(str(one)))[..., :3] for one in (path, other))
    height, width = (min(first.shape[k], second.shape[k]) for k in (0, 1))
    if 1.03 * height < max(len(first), len(second)) or 1.03 * width < max(first.shape[1], second.shape[1]):
        return 1.0
    return float(np.abs(first[:height, :width] - second[:height, :width]).mean())
