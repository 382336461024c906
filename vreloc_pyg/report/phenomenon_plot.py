"""The picture of the paper's phenomenon: are single steps alike where whole clips are?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vreloc_pyg.report.plots import COLOURS, INK, TRACK, TRUTH, new_figure, save, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]
DIFFERENT = COLOURS[1]


def phenomenon_picture(
    values: Mapping[str, tuple[FloatArray, FloatArray]],
    classes: pd.DataFrame,
    means: pd.DataFrame,
    path: str | Path,
) -> Path:
    """Draw distributions of similarities above, and below how well each tells the same class from others.

    Args:
        values: by what is compared, a panel each: cosines of pairs of the same class, and of different ones.
        classes: AUROC of every class, with the columns ``similarity``, ``compared`` and ``AUROC``.
        means: their means, with ``AUROC low`` and ``AUROC high``.
        path: file to write; its suffix decides the format.
    """
    figure = new_figure(9.6, 5.6)
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    panels = above.subplots(1, len(values), squeeze=False)[0]
    for axes, (compared, (same, different)) in zip(panels, values.items(), strict=True):
        _draw_distributions(axes, same, different)
        axes.set_title(compared, fontsize=10, color=INK)
    panels[0].set_ylabel("density")
    above.legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="outside upper right", ncols=2)
    similarities = list(dict.fromkeys(means["similarity"]))
    ranks = below.subplots(1, len(similarities), squeeze=False, sharey=True, sharex=True)[0]
    for axes, similarity in zip(ranks, similarities, strict=True):
        own, mean = (table[table["similarity"] == similarity] for table in (classes, means))
        _draw_ranks(axes, own, mean)
        axes.set_xlabel(f"AUROC by {similarity}: same class from different classes")
    return save(figure, path, dpi=80)  # committed for every data set


def _draw_distributions(axes: Axes, same: FloatArray, different: FloatArray) -> None:
    both = np.concatenate([same, different])
    low, high = float(both.min()), float(both.max())
    bins = np.linspace(low, max(high, low + 1e-6), 41).tolist()
    for label, colour, own in (("different classes", DIFFERENT, different), ("same class", TRUTH, same)):
        axes.hist(own, bins, density=True, histtype="stepfilled", color=colour, alpha=0.35, label=label)
        axes.hist(own, bins, density=True, histtype="step", color=colour, linewidth=1.3)
    axes.set_xlabel("cosine")
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=5)
    tidy(axes)


def _draw_ranks(axes: Axes, classes: pd.DataFrame, means: pd.DataFrame) -> None:
    """A row for every comparison: classes as faint dots, their mean with its interval."""
    rows = list(means["compared"])
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")
    for row, (_, mean) in enumerate(means.iterrows()):
        own = classes.loc[classes["compared"] == mean["compared"], "AUROC"]
        axes.plot(own, np.full(len(own), row), "o", color=COLOURS[0], alpha=0.3, markersize=4, linewidth=0)
        ends = [mean["AUROC low"], mean["AUROC high"]]
        axes.plot(ends, [row, row], color=INK, linewidth=1.8)
        axes.plot(mean["AUROC"], row, "D", color=INK, markersize=5)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color=TRACK)
    tidy(axes)
