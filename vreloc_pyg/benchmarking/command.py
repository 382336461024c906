"""``vreloc benchmark`` and ``vreloc ablate``: run, then write the tables."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vreloc_pyg.benchmarking.ablation import BASE, choose_changes, run_ablation
from vreloc_pyg.benchmarking.plan import BenchmarkPlan, choose_folds, choose_systems, data_name
from vreloc_pyg.benchmarking.run import mean_recall, run_benchmark, spread_pairs
from vreloc_pyg.datasets.benchmark import load_benchmark
from vreloc_pyg.evaluation import difference_table, format_intervals, result_table, to_markdown
from vreloc_pyg.evaluation.bootstrap import Level
from vreloc_pyg.files import write_text
from vreloc_pyg.report.benchmark_report import write_report
from vreloc_pyg.training.systems import VARIANTS
from vreloc_pyg.workflows import print_table

#: What a reader must know about a data set to read its table.
NOTES = {
    "penn_action": (
        "Features are 2-D poses, not C3D: not comparable with published numbers.",
        "References are composed of clips, and in slow actions the cross-fades are the fastest motion: part "
        "of what is learned at high tIoU is where clips were joined. The row *cut detector* shows what joins "
        "alone are worth, the row *query of another class* that the answers depend on the query.",
    ),
    "utkinect": (
        "Features are 3-D poses, not C3D: not comparable with published numbers.",
        "References are untrimmed recordings: nothing was joined.",
    ),
    "synthetic": ("Data are generated: the table shows that systems work, not how well they would do.",),
}


def benchmark_systems(
    dataset: str,
    root: str | None,
    systems: Sequence[str],
    folds: Sequence[str],
    output: str | Path,
    training: Mapping[str, Mapping[str, Any]],
    max_pairs: int | None,
    quick: bool,
    seed: int,
) -> None:
    """Run systems on folds of a data set and write the report into ``output``.

    Args:
        dataset: see :func:`.plan.data_name`.
        root: folder of its files.
        systems: see :func:`.plan.choose_systems`.
        folds: see :func:`.plan.choose_folds`.
        output: folder of models, answers and tables.
        training, max_pairs, quick, seed: see :class:`.plan.BenchmarkPlan`.
    """
    data = data_name(dataset)
    chosen = choose_systems(systems)
    plan = BenchmarkPlan(data, root, choose_folds(folds, data), chosen, seed, training, max_pairs, quick)
    frame = run_benchmark(plan, output)
    tested = {fold: load_benchmark(data, plan.root, fold, seed).splits["test"] for fold in plan.folds}
    splits = {fold: spread_pairs(split, plan.num_pairs) for fold, split in tested.items()}
    command = ["vreloc", "benchmark", "--dataset", dataset, "--systems", _shown(systems)]
    command += ["--folds", _shown(folds), "--output", str(output)]
    command += ["--quick"] * quick + ["--max_pairs", str(max_pairs)] * (max_pairs is not None)
    for name, values in training.items():
        command += [
            f"--training.{name}",
            f"{{{', '.join(f'{key}: {value}' for key, value in values.items())}}}",
        ]
    rows = frame.drop_duplicates("system").set_index("system")["parameters"]
    ours = VARIANTS["mgffnet"].row
    write_report(
        frame,
        output,
        name=data,
        ours=ours if ours in rows.index else str(rows.index[-1]),
        command=shlex.join(command),
        parameters={str(system): int(count) for system, count in rows.items() if count},
        candidate_recall=mean_recall(plan, output),
        notes=NOTES.get(data, ()),
        splits=splits,
    )
    print_table(pd.read_csv(Path(output) / "results.csv"), ("R@1(0.5)", "R@1(0.7)", "mean tIoU"))


def _shown(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"[{','.join(words)}]"


def ablate_settings(
    dataset: str,
    root: str | None,
    changes: Sequence[str],
    folds: Sequence[str],
    output: str | Path,
    training: Mapping[str, Any],
    max_pairs: int | None,
    quick: bool,
    seed: int,
) -> None:
    """Run an ablation of the recommended settings and write its tables into ``output``.

    Args:
        dataset, root, folds, max_pairs, quick, seed: see :func:`benchmark_systems`.
        changes: see :func:`.ablation.choose_changes`.
        output: folder of models, answers, ``ablation.md`` and ``ablation.csv``.
        training: settings of every run to replace.
    """
    data, rows = data_name(dataset), choose_changes(changes)
    own = {"mgffnet": training} if training else {}
    plan = BenchmarkPlan(data, root, choose_folds(folds, data), (), seed, own, max_pairs, quick)
    frame = run_ablation(plan, rows, output)
    level: Level = "folds" if len(plan.folds) > 1 else "queries"
    results = result_table(frame, level=level)
    results.insert(1, "parameters", frame.groupby("system", sort=False)["parameters"].first().to_numpy())
    shown = ["system", "parameters", *(f"R@1({t:g})" for t in (0.5, 0.7, 0.9)), "R@1 avg", "mean tIoU"]
    parts = [
        f"# MGFFNet on {dataset}: one setting changed at a time",
        f"Answers on the *validation* classes of {len(plan.folds)} class folds, {results['N'].iloc[0]} "
        "queries; R@1 in %, in brackets 95 % intervals.",
        to_markdown(format_intervals(results)[[*shown, "ms/query"]]),
        f"## Differences from: {BASE.row}",
        "Percentage points on the same queries, paired 95 % intervals.",
        to_markdown(format_intervals(difference_table(frame, BASE.row, level=level))),
    ]
    write_text(Path(output) / "ablation.md", "\n\n".join(part.rstrip() for part in parts) + "\n")
    write_text(Path(output) / "ablation.csv", results.to_csv(index=False))
    print_table(results, shown[1:])
