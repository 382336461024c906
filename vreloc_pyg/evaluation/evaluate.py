"""One loop that asks every system about every pair of a split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import perf_counter

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation.metrics import MEAN_TIOU, METRICS, Metric
from vreloc_pyg.systems.protocol import LocalizerProtocol, check_kin
from vreloc_pyg.systems.rules.chance import Chance


def evaluate(
    localizers: Sequence[LocalizerProtocol],
    split: RelocalizationSplit,
    metrics: Sequence[Metric] = METRICS,
    progress: bool = True,
    ask: Sequence[Query] | None = None,
) -> pd.DataFrame:
    """Ask every system about every pair of a split.

    Systems are handed copies of query and reference without labels and annotations, so none can read the
    answer. :class:`~vreloc_pyg.systems.rules.chance.Chance` is not drawn: its rows hold exact expectations.

    Args:
        localizers: the systems, of different names.
        split: the pairs; those of ``split.absent``, without the action, are asked for the score alone.
        metrics: what answers are judged by; systems are asked for as many as the widest looks at.
        progress: show a progress bar.
        ask: a query for each pair that systems are handed in place of its own, for example of
            :func:`~vreloc_pyg.datasets.splits.another_class`. Answers are judged by the pairs' own, and pairs
            without the action are left out.

    Returns:
        One row per system and pair, in the order given:

        - ``system``; ``kin``; ``kind``: ``"answer"``, ``"expected"``, or ``"absent"`` where the reference
          lacks the action; ``pair``, the pair's number in the split, those without the action counted on
          from the others; ``query``, the number of the query in the split; ``query_id`` and
          ``reference_id``; ``label``;
        - ``start_s``, ``end_s``, ``score`` of the top answer; NaN for an expectation and where a system
          gives no answer or no score;
        - ``probability`` that the action is there, where a system is calibrated; else NaN;
        - ``tiou``, the best with any true instance; ``seconds``, the time taken;
        - every metric: of R@1(t), 1 for a hit and 0 for a miss, or a probability. They and ``tiou`` are NaN
          where the action is absent.

    Raises:
        SettingsError: if two systems share a name, or one is of an unknown kin.
        DataError: if the split has no pairs, or there is not one query to ask for each.
    """
    names = [localizer.name for localizer in localizers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(f"Expected systems of different names (got {repeated} more than once)")
    for localizer in localizers:
        check_kin(getattr(localizer, "kin", None), localizer.name)
    if len(split) == 0:
        raise DataError(f"Split {split.name!r} has no pairs to evaluate")
    if ask is not None and len(ask) != len(split):
        raise DataError(f"Expected a query to ask for each of {len(split)} pairs (got {len(ask)})")
    rows = []
    asked_of = [(localizer, _pairs_for(localizer, split, ask)) for localizer in localizers]
    total = sum(len(pairs) for _, pairs in asked_of)
    # Closed on an error too, so that its message begins a line of its own.
    with tqdm(total=total, unit="query", disable=not progress, mininterval=0.5) as bar:
        for localizer, pairs in asked_of:
            bar.set_description(localizer.name, refresh=False)
            for pair, (q, r) in enumerate(pairs):
                query, reference = split.queries[q], split.references[r]
                kind = "expected" if isinstance(localizer, Chance) else "answer"
                row = {
                    "system": localizer.name,
                    "kin": localizer.kin,
                    "kind": kind if pair < len(split) else "absent",
                    "pair": pair,
                    "query": q,
                    "query_id": query.video_id,
                    "reference_id": reference.video_id,
                    "label": query.label,
                }
                truths = reference.segments_of(query.label) if pair < len(split) else None
                shown = (query if ask is None else ask[pair]).unlabelled(), reference.unannotated()
                if isinstance(localizer, Chance) and truths is not None:
                    rows.append(row | judged_chance(localizer, *shown, truths, metrics))
                else:
                    rows.append(row | judged_answers(localizer, *shown, truths, metrics))
                bar.update()
    return pd.DataFrame(rows)


def _pairs_for(
    localizer: LocalizerProtocol, split: RelocalizationSplit, ask: Sequence[Query] | None
) -> list[tuple[int, int]]:
    """What a system is asked; chance has no score that could tell, nor has a query of another class."""
    told = ask is None and not isinstance(localizer, Chance)
    return [*split.pairs, *(split.absent if told else ())]


def judged_answers(
    localizer: LocalizerProtocol,
    query: Query,
    reference: Reference,
    truths: Tensor | None,
    metrics: Sequence[Metric],
) -> dict[str, object]:
    """Columns from ``start_s`` on of a system's answers; no answer is a miss. Without truths, no metrics."""
    count = max((metric.top_n for metric in metrics), default=1)
    began = perf_counter()
    answers = localizer.localize(query, reference, count)
    seconds = perf_counter() - began
    score = float(answers.scores[0]) if len(answers) and answers.scores is not None else math.nan
    calibration = getattr(localizer, "calibration", None)
    probability = math.nan
    if calibration is not None and not math.isnan(score):
        probability = calibration.probability(score)
    start_s, end_s = answers.bounds[0].tolist() if len(answers) else (math.nan, math.nan)
    return {
        "start_s": start_s,
        "end_s": end_s,
        "score": score,
        "probability": probability,
        "tiou": math.nan if truths is None else MEAN_TIOU.of_answers(answers.bounds, truths),
        "seconds": seconds,
        **{
            metric.column: math.nan if truths is None else metric.of_answers(answers.bounds, truths)
            for metric in metrics
        },
    }


def judged_chance(
    chance: Chance, query: Query, reference: Reference, truths: Tensor, metrics: Sequence[Metric]
) -> dict[str, object]:
    """The same columns with exact expectations over all segments that chance can draw."""
    began = perf_counter()
    drawn = chance.placements(query, reference)
    seconds = perf_counter() - began
    expected = {
        metric.column: metric.expectation(*drawn, truths) if metric.expectation else math.nan
        for metric in (MEAN_TIOU, *metrics)
    }
    unknown: dict[str, object] = dict.fromkeys(("start_s", "end_s", "score", "probability"), math.nan)
    return {**unknown, "tiou": expected.pop("tiou"), "seconds": seconds, **expected}
