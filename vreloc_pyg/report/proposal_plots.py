"""Pictures of proposals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vreloc_pyg.proposals.proposal_recall import AverageRecall
from vreloc_pyg.report.plots import COLOURS, new_figure, save, tidy


def average_recall_plot(curves: Mapping[str, AverageRecall], path: str | Path) -> Path:
    """Draw average recall over the average number of proposals a video.

    Args:
        curves: by the name of the source.
        path: the picture, ``.png``.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
        label = f"{name} (area {curve.area:.1f} %)"
        axes.plot(curve.average_number, curve.average_recall, color=colour, label=label)
    axes.set(xlabel="proposals a video", ylabel="average recall, %", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    tidy(axes)
    return save(figure, path)
