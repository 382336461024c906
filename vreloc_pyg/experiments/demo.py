"""The demo, which trains, evaluates and draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.experiments.compare import benchmark_rules, evaluate_benchmark
from vreloc_pyg.experiments.train import train_localizer
from vreloc_pyg.systems.mgffnet.presets import Preset


def run_demo(benchmark: Benchmark, preset: Preset, output: str | Path, pictures: int = 100) -> pd.DataFrame:
    """Train, evaluate beside the rules, and draw: everything the package does, on one benchmark.

    Writes ``results.md/.csv``, ``differences.md/.csv``, ``per_query.csv``, ``metrics.csv``, ``curves.png``,
    ``recall.png``, ``timelines/*.png`` and ``model/``.
    """
    from vreloc_pyg.report.plots import recall_curves, timeline_picture, training_curves

    output = Path(output)
    localizer = train_localizer(benchmark, preset, output)
    table = evaluate_benchmark(benchmark, [localizer], output)
    training_curves(output / "metrics.csv", output / "curves.png")
    recall_curves(table, output / "recall.png")
    test = benchmark.splits["test"]
    shown = [rule for rule in benchmark_rules(benchmark) if rule.name.startswith(("prior", "window"))]
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
