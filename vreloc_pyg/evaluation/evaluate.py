"""One loop that asks every system about every pair of a split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import perf_counter

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation.recall import THRESHOLDS, best_tiou, expected_hits, passes, recall_column
from vreloc_pyg.systems.protocol import LocalizerProtocol
from vreloc_pyg.systems.rules.chance import Chance


def evaluate(
    localizers: Sequence[LocalizerProtocol],
    split: RelocalizationSplit,
    thresholds: Sequence[float] = THRESHOLDS,
    progress: bool = True,
) -> pd.DataFrame:
    """Ask every system about every pair of a split.

    Systems are handed copies of query and reference without labels and annotations, so none can read the
    answer. :class:`~vreloc_pyg.systems.catalog.Chance` is not drawn: its rows hold exact expectations.

    Args:
        localizers: the systems, of different names.
        split: the pairs.
        thresholds: tIoU thresholds.
        progress: show a progress bar.

    Returns:
        One row per system and pair, in the order given:

        - ``system``; ``kind``, ``"answer"`` or ``"expected"``; ``pair``, the pair's number in the split;
          ``query_id`` and ``reference_id``; ``label``;
        - ``start_s``, ``end_s``, ``score`` of the top answer; NaN for an expectation and where a system
          gives no answer or no score;
        - ``tiou``, the best with any true instance; ``seconds``, the time taken;
        - ``R@1(t)`` for every threshold: 1 for a hit and 0 for a miss, or a probability.

    Raises:
        SettingsError: if two systems share a name.
        DataError: if the split has no pairs.
    """
    names = [localizer.name for localizer in localizers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(f"Expected systems of different names (got {repeated} more than once)")
    if len(split) == 0:
        raise DataError(f"Split {split.name!r} has no pairs to evaluate")
    rows = []
    total = len(localizers) * len(split)
    # Closed on an error too, so that its message begins a line of its own.
    with tqdm(total=total, unit="query", disable=not progress, mininterval=0.5) as bar:
        for localizer in localizers:
            bar.set_description(localizer.name, refresh=False)
            for pair in range(len(split)):
                query, reference = split[pair]
                asked = query.unlabelled(), reference.unannotated()
                truths = reference.segments_of(query.label)
                row = {
                    "system": localizer.name,
                    "kind": "answer",
                    "pair": pair,
                    "query_id": query.video_id,
                    "reference_id": reference.video_id,
                    "label": query.label,
                }
                if isinstance(localizer, Chance):
                    row["kind"] = "expected"
                    row |= judged_chance(localizer, *asked, truths, thresholds)
                else:
                    row |= judged_answer(localizer, *asked, truths, thresholds)
                rows.append(row)
                bar.update()
    return pd.DataFrame(rows)


def judged_answer(
    localizer: LocalizerProtocol,
    query: Query,
    reference: Reference,
    truths: Tensor,
    thresholds: Sequence[float],
) -> dict[str, object]:
    """Columns ``start_s`` to ``R@1(t)`` of a system's top answer; no answer is a miss."""
    began = perf_counter()
    answers = localizer.localize(query, reference)
    seconds = perf_counter() - began
    if len(answers) == 0:
        start_s = end_s = score = math.nan
        tiou = torch.zeros((), dtype=torch.float64)
    else:
        start_s, end_s = answers.bounds[0].tolist()
        score = math.nan if answers.scores is None else float(answers.scores[0])
        tiou = best_tiou(answers.bounds[:1], truths)[0]
    return columns(start_s, end_s, score, tiou, seconds, passes(tiou, thresholds).double(), thresholds)


def judged_chance(
    chance: Chance, query: Query, reference: Reference, truths: Tensor, thresholds: Sequence[float]
) -> dict[str, object]:
    """The same columns with exact expectations over all segments that chance can draw."""
    began = perf_counter()
    bounds, probabilities = chance.placements(query, reference)
    tiou = probabilities @ best_tiou(bounds, truths)
    recall = expected_hits(bounds, probabilities, truths, thresholds)
    seconds = perf_counter() - began
    return columns(math.nan, math.nan, math.nan, tiou, seconds, recall, thresholds)


def columns(
    start_s: float,
    end_s: float,
    score: float,
    tiou: Tensor,
    seconds: float,
    recall: Tensor,
    thresholds: Sequence[float],
) -> dict[str, object]:
    row: dict[str, object] = {
        "start_s": start_s,
        "end_s": end_s,
        "score": score,
        "tiou": float(tiou),
        "seconds": seconds,
    }
    return row | dict(zip(map(recall_column, thresholds), recall.tolist(), strict=True))
