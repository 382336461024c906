"""What the parts of the graph that matches are worth: a table of its lead over each control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from vreloc_pyg.evaluation import recall, to_markdown
from vreloc_pyg.report.pages import dotted
from vreloc_pyg.report.statements import Benchmark
from vreloc_pyg.systems.mgffnet.presets import (
    MATCHING,
    MATCHING_APART,
    MATCHING_CNN,
    MATCHING_NO_PATH,
    MATCHING_PERMUTED,
    RECOMMENDED,
)
from vreloc_pyg.systems.rules.strongest_rule import StrongestRule

#: tIoU thresholds of the table.
THRESHOLDS = (0.5, 0.7)
#: Rows that the matching graph is compared with, from those that are most like it.
OTHERS = (
    *(one.row for one in (MATCHING_CNN, MATCHING_PERMUTED, MATCHING_APART, MATCHING_NO_PATH, RECOMMENDED)),
    StrongestRule.name,
)
#: More than any data set has folds.
MOST_FOLDS = 1000


def matching_table(benchmarks: Sequence[Benchmark]) -> str:
    """How far *MGFFNet (matching)* is ahead in R@1, with intervals, in Markdown; empty where nobody has it.

    Of each data set, and of the folds of all that have both rows as if they were of one set: each fold weighs
    the same.
    """
    rows = []
    for other in OTHERS:
        known = [one for one in benchmarks if {MATCHING.row, other} <= set(one.systems.index)]
        if not known:
            continue
        every = _together(known, other)
        for threshold in THRESHOLDS:
            cells = {
                f"*{one.name}*": one.ahead(MATCHING.row, other, threshold) if one in known else "–"
                for one in benchmarks
            }
            about = {"minus": other.removeprefix(f"{MATCHING.row}, "), "tIoU": dotted(recall(threshold))}
            rows.append({**about, **cells, "all folds": every.ahead(MATCHING.row, other, threshold)})
    return to_markdown(pd.DataFrame(rows)) if rows else ""


def _together(benchmarks: Sequence[Benchmark], other: str) -> Benchmark:
    """Two rows of several data sets as if of one, the folds of each its own."""
    frames = [one.frame[one.frame["system"].isin([MATCHING.row, other])] for one in benchmarks]
    parts = [frame.assign(fold=frame["fold"] + n * MOST_FOLDS) for n, frame in enumerate(frames)]
    return replace(benchmarks[0], frame=pd.concat(parts, ignore_index=True))
