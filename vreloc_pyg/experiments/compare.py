"""Evaluating trained systems on a task, beside the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.evaluation.hits import THRESHOLDS, best_tiou, passes
from vreloc_pyg.evaluation.metrics import METRICS, Metric, thresholds_of
from vreloc_pyg.evaluation.tables import (
    difference_table,
    format_intervals,
    result_table,
    save_table,
    to_markdown,
)
from vreloc_pyg.features.metadata import check_metadata
from vreloc_pyg.files import write_text
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import steps_to_seconds
from vreloc_pyg.systems.catalog import fitted_rules
from vreloc_pyg.systems.protocol import LocalizerProtocol, check_says_none
from vreloc_pyg.systems.rules.strongest_rule import STRONGEST_RULE
from vreloc_pyg.systems.spec import Traits


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


def load_localizer(checkpoint: str | Path, data: TaskData, adapt: bool = False) -> Localizer:
    """A trained model for a task; its own proposals, unless the task was given some.

    With ``adapt`` it is put on features of another kind than it was trained on
    (:meth:`.Localizer.from_pretrained`), with the proposals of the task; else those are a
    :class:`FeatureError`.
    """
    if adapt:
        return Localizer.from_pretrained(checkpoint, data.proposals, adapt_to=Traits.of(data))
    localizer = Localizer.from_pretrained(checkpoint, data.proposals if data.proposals_given else None)
    if localizer.features is not None and data.features is not None:
        check_metadata(localizer.features, data.features, f"the features of {data.name}")
    return localizer


def evaluate_task(
    data: TaskData,
    localizers: Sequence[LocalizerProtocol],
    output: str | Path,
    split: str = "test",
    metrics: Sequence[Metric] = METRICS,
    progress: bool = True,
) -> pd.DataFrame:
    """Evaluate learned systems beside the rules on a split of a task; return the table of results.

    ``per_query.csv`` and the tables ``results`` and ``differences`` are written into ``output``.
    """
    output = Path(output)
    pairs = data.splits[split]
    recall = candidate_recall(pairs, data.proposals, thresholds_of(metrics) or THRESHOLDS)
    print("Recall of the candidate windows, % of queries: ", end="")
    print(", ".join(f"{value:.1f} at {threshold}" for threshold, value in recall.items()))
    systems = [*fitted_rules(data), *localizers]
    check_says_none(systems, pairs)
    frame = evaluate(systems, pairs, metrics, progress)
    write_text(output / "per_query.csv", frame.to_csv(index=False))
    table = result_table(frame, metrics)
    save_table(table, output / "results")
    save_table(difference_table(frame, STRONGEST_RULE.row, metrics), output / "differences")
    return table


def print_table(table: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Print a table of results as Markdown; ``columns`` picks some, by default all."""
    shown = format_intervals(table)
    print(to_markdown(shown[["system", *columns]] if columns else shown), end="")
