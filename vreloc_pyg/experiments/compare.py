"""Evaluating systems on a benchmark, beside the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.evaluation import (
    THRESHOLDS,
    difference_table,
    evaluate,
    format_intervals,
    result_table,
    save_table,
    to_markdown,
)
from vreloc_pyg.evaluation.recall import best_tiou, passes
from vreloc_pyg.features.metadata import check_metadata
from vreloc_pyg.files import write_text
from vreloc_pyg.localization import Localizer, RankingLocalizer
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import steps_to_seconds
from vreloc_pyg.systems.catalog import STRONGEST_RULE, LocalizerProtocol, standard_rules


def benchmark_rules(benchmark: Benchmark) -> list[LocalizerProtocol]:
    """The systems without a network, fitted on the benchmark's training split."""
    mirror = None if benchmark.skeleton is None else benchmark.skeleton.mirror_features()
    return standard_rules(benchmark.splits["train"], benchmark.proposals, mirror)


def candidate_recall(
    split: RelocalizationSplit, proposals: ProposalSource, thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float]:
    """Share of pairs for which some candidate window passes each threshold, in percent: the oracle's R@1."""
    best = []
    for query, reference in (split[index] for index in range(len(split))):
        windows = steps_to_seconds(proposals.propose(reference), reference.seconds_per_step)
        best.append(best_tiou(windows, reference.segments_of(query.label)).max())
    recall = 100 * passes(torch.stack(best), thresholds).double().mean(0)
    return {f"{threshold:g}": value for threshold, value in zip(thresholds, recall.tolist(), strict=True)}


def load_localizer(checkpoint: str | Path, benchmark: Benchmark) -> RankingLocalizer:
    """A trained model for a benchmark; its own proposals, unless the benchmark was given some.

    Raises:
        FeatureError: if it was trained on features made in another way than the benchmark's.
        CheckpointError: if it cannot be read, or holds no proposals and none were given.
    """
    given = benchmark.proposals if benchmark.proposals_given else None
    localizer = Localizer.from_pretrained(checkpoint, given)
    if localizer.features is not None and benchmark.features is not None:
        check_metadata(localizer.features, benchmark.features, f"the features of {benchmark.name}")
    return localizer


def evaluate_benchmark(
    benchmark: Benchmark,
    localizers: Sequence[LocalizerProtocol],
    output: str | Path,
    split: str = "test",
    thresholds: Sequence[float] = THRESHOLDS,
    progress: bool = True,
) -> pd.DataFrame:
    """Evaluate systems beside the rules; write ``per_query.csv``, ``results`` and ``differences`` tables.

    Args:
        benchmark: whose ``split`` is answered.
        localizers: the learned systems; the rules are added.
        output: folder for the tables.
        split: ``"validation"`` or ``"test"``.
        thresholds: tIoU thresholds.
        progress: show progress bars.

    Returns:
        The table of results.
    """
    output = Path(output)
    pairs = benchmark.splits[split]
    recall = candidate_recall(pairs, benchmark.proposals, thresholds)
    print("Recall of the candidate windows, % of queries: ", end="")
    print(", ".join(f"{value:.1f} at {threshold}" for threshold, value in recall.items()))
    rules = benchmark_rules(benchmark)
    frame = evaluate([*rules, *localizers], pairs, thresholds, progress)
    write_text(output / "per_query.csv", frame.to_csv(index=False))
    table = result_table(frame, thresholds)
    save_table(table, output / "results")
    save_table(difference_table(frame, STRONGEST_RULE, thresholds), output / "differences")
    return table


def print_table(table: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Print a table of results as Markdown; ``columns`` picks some, by default all."""
    shown = format_intervals(table)
    print(to_markdown(shown[["system", *columns]] if columns else shown), end="")
