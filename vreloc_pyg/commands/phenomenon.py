"""``vreloc phenomenon``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from vreloc_pyg.commands.options import TaskOptions


def phenomenon(
    task: TaskOptions, *, output: str, split: Literal["all", "train", "validation", "test"] = "all"
) -> None:
    """Measure what the paper's Figure 2 claims: single steps are not alike where whole clips are.

    Args:
        task: the data; features are compared as they are, and nothing is trained.
        output: folder for the picture, the tables and what they mean.
        split: whose classes are compared.

    Example:
        vreloc phenomenon --output outputs/phenomenon
    """
    from vreloc_pyg.evaluation.tables import format_intervals, to_markdown
    from vreloc_pyg.experiments.phenomenon_report import write_phenomenon

    data = task.load()
    chosen = list(data.splits.values()) if split == "all" else [data.splits[split]]
    words = ["vreloc", "phenomenon", "--data", data.name]
    words += [] if task.root is None else ["--root", data.name.upper()]
    words += [] if task.features is None else ["--features", Path(task.features).name]
    words += [] if split == "all" else ["--split", split]
    words += ["--fold", str(task.fold)] * bool(task.fold) + ["--seed", str(task.seed)] * bool(task.seed)
    command = shlex.join([*words, "--output", output])
    table = write_phenomenon(chosen, output, data.name, command, task.seed)
    print(to_markdown(format_intervals(table, digits=3)))
    print(f"Read {Path(output) / 'phenomenon.md'}")
