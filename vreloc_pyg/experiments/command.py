"""``vreloc benchmark``, ``results`` and ``ablate``: run, then write the tables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import find_task
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import difference_table, format_intervals, recall, result_table, to_markdown
from vreloc_pyg.experiments.ablation import base_of, choose_changes, other_proposals, run_ablation
from vreloc_pyg.experiments.compare import print_table
from vreloc_pyg.experiments.plan import BenchmarkPlan, shown_words
from vreloc_pyg.experiments.predictions import (
    PAIRS_NAME,
    PREDICTIONS_NAME,
    pairs_table,
    predictions_table,
    read_table_gz,
    recompute,
    save_table_gz,
)
from vreloc_pyg.experiments.runs import mean_recall, run_benchmark, spread_pairs
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.report.benchmark_report import write_report
from vreloc_pyg.report.readme import readme_table, replace_between_markers
from vreloc_pyg.systems.catalog import find_system
from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED

#: What a benchmark was, beside its predictions.
ABOUT_NAME = "benchmark.json"
#: Columns of the short table of a README.
README_METRICS = tuple(map(recall, (0.5, 0.7, 0.9)))


def benchmark_systems(plan: BenchmarkPlan, output: str | Path, readme: str | Path | None = None) -> None:
    """Run systems on folds of a data set and write models, answers and the report into ``output``.

    ``predictions.csv.gz``, ``pairs.csv.gz`` and ``benchmark.json`` there are all that the tables are made of.
    In the file ``readme``, the table of this data set is replaced, see
    :func:`vreloc_pyg.report.readme.replace_between_markers`.

    Raises:
        DataError: if the folder holds answers of other settings, or the file lacks the markers.
    """
    output = Path(output)
    frame = run_benchmark(plan, output)
    splits = {fold: spread_pairs(plan.load(fold).splits["test"], plan.num_pairs) for fold in plan.folds}
    save_table_gz(output / PREDICTIONS_NAME, predictions_table(frame))
    save_table_gz(output / PAIRS_NAME, pairs_table(splits))
    about = {
        "data": plan.data,
        "systems": list(plan.systems),
        "command": shlex.join(["vreloc", "benchmark", *plan.words(), "--output", str(output)]),
        "candidate_recall": mean_recall(plan, output),
    }
    write_json(output / ABOUT_NAME, about)
    report_results(output, readme, splits)


def report_results(
    folder: str | Path,
    readme: str | Path | None = None,
    splits: Mapping[int, RelocalizationSplit] | None = None,
) -> None:
    """Write the report of a benchmark into its folder, from the predictions that are kept there.

    Args:
        folder: with what :func:`benchmark_systems` kept.
        readme: file whose table of the data set is replaced.
        splits: the test pairs by fold, for the picture of answers; ``None``: there is none.

    Raises:
        DataError: if a file is missing or does not fit the others, or the readme lacks the markers.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / ABOUT_NAME).read_text())
        data, names, command = about["data"], about["systems"], about["command"]
        found = {str(threshold): float(value) for threshold, value in about["candidate_recall"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"Cannot read {folder / ABOUT_NAME} of a benchmark: {error!r}") from None
    frame = recompute(read_table_gz(folder / PREDICTIONS_NAME), read_table_gz(folder / PAIRS_NAME))
    systems = [find_system(name) for name in names]
    runs = frame.groupby("system")[["parameters", "train_s"]].mean()
    write_report(
        frame,
        folder,
        name=data,
        published={one.row: one.published for one in systems if one.published is not None},
        command=command,
        parameters={str(system): int(count) for system, count in runs["parameters"].items() if count},
        processor_s={str(system): float(value) for system, value in runs["train_s"].items() if value},
        candidate_recall=found,
        notes=find_task(data).caveats,
        splits=splits,
    )
    results = pd.read_csv(folder / "results.csv")
    if readme is not None:
        left_out = {system.row for system in systems if not system.in_readme}
        shown = [row for row in results["system"] if row not in left_out]
        table = readme_table(results, shown, README_METRICS)
        text = Path(readme).read_text(encoding="utf-8")
        write_text(readme, replace_between_markers(text, data, table))
    print_table(results, ("R@1(0.5)", "R@1(0.7)", "mean tIoU"))


def ablate_settings(
    plan: BenchmarkPlan,
    changes: Sequence[str],
    output: str | Path,
    sources: Mapping[str, str] | None = None,
    system: str = RECOMMENDED.name,
) -> None:
    """Run an ablation and write models, answers, ``ablation.md`` and ``ablation.csv`` into ``output``.

    ``changes`` are as of :func:`.ablation.choose_changes`, ``sources`` of :func:`.ablation.other_proposals`.
    """
    sources, base = sources or {}, base_of(system)
    rows = (*choose_changes(changes), *other_proposals(sources))
    own = plan.training.get(system)  # the one system there is: its settings stand without its name
    command = ["vreloc", "ablate", *replace(plan, training={}).words(), "--changes", shown_words(changes)]
    command += [] if system == RECOMMENDED.name else ["--system", system]
    command += ["--training", json.dumps(dict(own))] if own else []
    command += ["--sources", json.dumps(dict(sources))] if sources else []
    command += ["--output", str(output)]
    frame = run_ablation(plan, rows, output, system)
    results = result_table(frame)
    results.insert(2, "parameters", frame.groupby("system", sort=False)["parameters"].first().to_numpy())
    shown = ["system", "parameters", *(f"R@1({t:g})" for t in (0.5, 0.7, 0.9)), "R@1 avg", "mean tIoU"]
    parts = [
        f"# MGFFNet on {plan.data}: settings changed",
        f"Answers on the *validation* classes of {len(plan.folds)} class folds, {results['N'].iloc[0]} "
        "queries; R@1 in %, in brackets 95 % intervals.",
        "Made by",
        f"```sh\n{shlex.join(command)}\n```",
        to_markdown(format_intervals(results)[[*shown, "ms/query"]]),
        f"## Differences from: {base.row}",
        "Percentage points on the same queries, paired 95 % intervals.",
        to_markdown(format_intervals(difference_table(frame, base.row))),
    ]
    write_text(Path(output) / "ablation.md", "\n\n".join(part.rstrip() for part in parts) + "\n")
    write_text(Path(output) / "ablation.csv", results.to_csv(index=False))
    print_table(results, shown[1:])
