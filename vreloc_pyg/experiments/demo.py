"""The demo, which trains, evaluates and draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.experiments.compare import evaluate_task
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED
from vreloc_pyg.systems.rules.query_blind import PRIOR_SEGMENT
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE, WINDOW_RULE


def run_demo(
    data: TaskData, output: str | Path, training: Mapping[str, Any] | None = None, pictures: int = 100
) -> pd.DataFrame:
    """Train, evaluate beside the rules, and draw: everything the package does, on one task.

    Writes ``results.md/.csv``, ``differences.md/.csv``, ``per_query.csv``, ``metrics.csv``, ``curves.png``,
    ``recall.png``, ``run.json``, at most so many ``timelines/*.png``, and ``model/``.
    """
    from vreloc_pyg.report.plots import recall_curves, timeline_picture, training_curves

    output = Path(output)
    localizer = train_system(RECOMMENDED, data, output, training=training)
    table = evaluate_task(data, [localizer], output)
    training_curves(output / "metrics.csv", output / "curves.png")
    recall_curves(table, output / "recall.png")
    test = data.splits["test"]
    shown = [rule.fit(data) for rule in (PRIOR_SEGMENT, WINDOW_RULE, BEST_WINDOW_RULE)]
    for index in range(min(pictures, len(test))):
        query, reference = test[index]
        answers = {system.name: system.localize(query, reference) for system in [*shown, localizer]}
        timeline_picture(
            query,
            reference,
            answers,
            reference.segments_of(query.label),
            output / "timelines" / f"{index:02d}.png",
            localizer.score_curve(query, reference),
        )
    return table
