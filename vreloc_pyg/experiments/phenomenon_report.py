"""``vreloc phenomenon``: measure, and write the picture, the tables and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.evaluation.tables import format_intervals, to_markdown
from vreloc_pyg.experiments.phenomenon import (
    BEST_STEP,
    CLIP_MEANS,
    COMPARED,
    NUM_STEPS,
    ONE_STEP,
    OTHER_STEP,
    SIMILARITIES,
    ClassValues,
    class_table,
    known_interval,
    measure_phenomenon,
    phenomenon_table,
)
from vreloc_pyg.files import write_text
from vreloc_pyg.report.phenomenon_plot import phenomenon_picture

CLAIM = """\
Two clips of one action need not be alike step by step: what belongs to it comes in another order, at \
another speed, or not at all. The paper's Figure 2 shows such a pair and takes it for the rule: single \
steps at the same place are not alike, though the clips as wholes are. If so, whole clips tell better than \
single steps whether two clips show the same action, a step at the same position no better than one \
elsewhere, and the similarity of single steps says little of that of the clips."""

MEANING = f"""\
Nothing is trained: similarities are those of the features as they are, by their cosine or by minus their \
Euclidean distance. A pair is a query and an annotated instance of another source. *One step* is any of \
{NUM_STEPS} equidistant steps of the query, beside the step at the same share of the other clip (*same \
position*), the one half a clip away (*other position*), or the most similar of all (*best match*); *all \
steps* is the mean over the {NUM_STEPS}, which averages out what is chance in one; *clip means* compares the \
means of all features of each clip.

- **AUROC**: how often a pair of the same class is more alike than a pair of different classes; .5 is \
chance.
- **behind clip means**: by how much it is less than that of the clip means.
- **correlation**: by rank, of a similarity with that of the clip means, over pairs of the same class.

Each is computed for every class of queries; shown are means over classes with 95 % t-intervals."""


def write_phenomenon(
    splits: Sequence[RelocalizationSplit], output: str | Path, name: str, command: str, seed: int = 0
) -> pd.DataFrame:
    """Measure the phenomenon of the paper's Figure 2 and return the table of means over classes.

    ``phenomenon.md`` with ``phenomenon.png`` explains it, ``phenomenon.csv`` and ``classes.csv`` have every
    digit; they are written into ``output``.

    Args:
        splits, seed: see :func:`.measure_phenomenon`.
        output: folder.
        name: of the data, for the heading.
        command: that makes this report.
    """
    output = Path(output)
    found = measure_phenomenon(splits, seed)
    classes = class_table(found)
    table = phenomenon_table(classes)
    left_out = sorted({label for split in splits for label in split.classes} - set(found))
    by_class = classes[classes["similarity"] == SIMILARITIES[0]].pivot(
        index="class", columns="compared", values="AUROC"
    )
    pairs = classes[classes["compared"] == CLIP_MEANS].groupby("similarity").sum(numeric_only=True).iloc[0]
    parts = [
        f"# Single steps and whole clips: {name}",
        CLAIM,
        f"Made by\n\n```sh\n{command}\n```",
        "![Similarities of pairs of the same and of different classes, and AUROC by class](phenomenon.png)",
        *(_finding(classes, table, similarity) for similarity in SIMILARITIES),
        to_markdown(format_intervals(table, 3)),
        "## What the numbers are",
        MEANING,
        f"{len(found)} classes, {pairs['same pairs']:.0f} pairs of the same class and "
        f"{pairs['different pairs']:.0f} of different classes."
        + (f" Left out, since no two of their clips can be paired: {', '.join(left_out)}." * bool(left_out)),
        f"## AUROC of each class, by {SIMILARITIES[0]}",
        to_markdown(by_class[list(COMPARED)].reset_index(), 3),
    ]
    phenomenon_picture(_pooled(found), classes, table, output / "phenomenon.png")
    write_text(output / "phenomenon.csv", table.to_csv(index=False))
    write_text(output / "classes.csv", classes.to_csv(index=False))
    write_text(output / "phenomenon.md", "\n\n".join(part.rstrip() for part in parts) + "\n")
    return table


def _finding(classes: pd.DataFrame, table: pd.DataFrame, similarity: str) -> str:
    """What was found by one similarity, in a sentence."""
    own = classes[classes["similarity"] == similarity].pivot(
        index="class", columns="compared", values="AUROC"
    )
    parts = []
    for other, name in ((CLIP_MEANS, "the clip means"), (OTHER_STEP, "one at another position")):
        by, low, high = known_interval(own[ONE_STEP] - own[other])
        verdict = "ahead of" if low > 0 else "behind" if high < 0 else "not to be told from"
        if high < 0:
            by, low, high = -by, -high, -low
        parts.append(f"{verdict} {name} ({by:.3f} [{low:.3f}, {high:.3f}])")
    rows = table[table["similarity"] == similarity].set_index("compared")
    return (
        f"By {similarity}, one step at the same position is {parts[0]} and {parts[1]}; its correlation with "
        f"the clip means is {rows.loc[ONE_STEP, 'correlation']:.2f}."
    )


def _pooled(found: Mapping[str, ClassValues]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Cosines of pairs of the same and of different classes, of all classes together, by what is compared."""
    return {
        compared: (
            np.concatenate([one.same[SIMILARITIES[0], compared].ravel() for one in found.values()]),
            np.concatenate([one.different[SIMILARITIES[0], compared].ravel() for one in found.values()]),
        )
        for compared in (ONE_STEP, BEST_STEP, CLIP_MEANS)
    }
