"""``vreloc benchmark`` and ``ablate``: run, then write the tables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import difference_table, format_intervals, result_table, to_markdown
from vreloc_pyg.experiments.ablation import base_of, choose_changes, other_proposals, run_ablation
from vreloc_pyg.experiments.compare import print_table
from vreloc_pyg.experiments.plan import BenchmarkPlan, shown_words
from vreloc_pyg.experiments.predictions import (
    PAIRS_NAME,
    PREDICTIONS_NAME,
    pairs_table,
    predictions_table,
    read_table_gz,
    save_table_gz,
)
from vreloc_pyg.experiments.results import ABOUT_NAME, KeptBenchmark
from vreloc_pyg.experiments.runs import mean_recall, run_benchmark, spread_pairs
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.systems.catalog import choose_systems, find_system
from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED


def benchmark_systems(plan: BenchmarkPlan, output: str | Path, beside: str | Path | None = None) -> None:
    """Run systems on folds of a data set and write models, answers and the report into ``output``.

    Tables are made of ``predictions.csv.gz``, ``pairs.csv.gz``, ``benchmark.json`` and, with a budget,
    ``budgets.json`` there, and of nothing else.

    Args:
        plan: what is run.
        output: folder; what is done there is not done again.
        beside: folder of another benchmark that asked the same: its further rows stand in the tables too.

    Raises:
        DataError: if the folder holds answers of other settings, or the benchmark beside asked other pairs;
            before anything is trained.
    """
    output = Path(output)
    pairs = pairs_table(
        {fold: spread_pairs(plan.load(fold).splits["test"], plan.num_pairs) for fold in plan.folds}
    )
    command = ["vreloc", "benchmark", *plan.words(), "--output", output.name]
    kept = None
    if beside is not None:
        command += ["--beside", Path(beside).name]
        kept = kept_beside(beside, pairs)
    predictions, names = predictions_table(run_benchmark(plan, output)), list(plan.systems)
    if kept is not None:
        names = list(choose_systems([*plan.systems, *kept.about["systems"]]))
        others = read_table_gz(kept.folder / PREDICTIONS_NAME)
        others = others[~others["system"].isin(predictions["system"])]
        places = {find_system(name).row: place for place, name in enumerate(names)}
        predictions = pd.concat([predictions, others]).sort_values(
            "system", key=lambda rows: rows.map(places), kind="stable"
        )
    save_table_gz(output / PREDICTIONS_NAME, predictions)
    save_table_gz(output / PAIRS_NAME, pairs)
    about = {
        "data": plan.data,
        "systems": names,
        "command": shlex.join(command),
        "candidate_recall": mean_recall(plan, output),
    }
    write_json(output / ABOUT_NAME, about)
    results = KeptBenchmark.read(output).report(output).results
    print_table(results, ("R@1(0.5)", "R@1(0.7)", "mean tIoU"))


def kept_beside(beside: str | Path, pairs: pd.DataFrame) -> KeptBenchmark:
    """The benchmark in a folder; :class:`DataError` unless it asked these pairs."""
    kept = KeptBenchmark.read(beside)
    with TemporaryDirectory() as place:  # as they will be read again
        asked = read_table_gz(save_table_gz(Path(place) / PAIRS_NAME, pairs))
    if not kept.pairs.equals(asked):
        raise DataError(
            f"The benchmark in {beside} asked other pairs: of another data set, fold, seed or version"
        )
    return kept


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
