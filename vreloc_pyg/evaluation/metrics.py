"""Metrics: what the answers to one query are worth, and in which unit.

Frames, tables, files and the command line follow :data:`METRICS`; a new metric is one more entry.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.evaluation.hits import (
    AVERAGE_THRESHOLDS,
    CURVE,
    THRESHOLDS,
    best_tiou,
    expected_hits,
    hits,
    recall_column,
)
from vreloc_pyg.segments import temporal_iou

Unit = Literal["%", "s", ""]
Expectation = Callable[[Tensor, Tensor, Tensor], float]


@dataclass(frozen=True)
class Metric:
    """A number for each query; a table shows its mean.

    Args:
        name: its column in frames and tables.
        unit: ``"%"`` for shares in [0, 1], which tables show times 100; ``"s"`` for seconds; else ``""``.
        of_answers: its value from the answers ``[M, 2]``, best first, M = 0 where a system gives none, and
            the true instances ``[G, 2]``, both in seconds; NaN where it has none. A system with such a query
            has no mean: a dash.
        expectation: its mean over segments drawn at random, from all that can be drawn ``[P, 2]``, their
            probabilities ``[P]`` and the true instances; ``None``: chance has a dash.
        higher_is_better: which value of a column is bold.
        top_n: answers it looks at.
        threshold: the tIoU above which an answer is right, if it is a recall.
        column: its column in frames, where that is not its name.
    """

    name: str
    unit: Unit
    of_answers: Callable[[Tensor, Tensor], float]
    expectation: Expectation | None = None
    higher_is_better: bool = True
    top_n: int = 1
    threshold: float | None = None
    column: str = ""

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise SettingsError(f"Unknown unit {self.unit!r} of {self.name!r}; known are {get_args(Unit)}")
        object.__setattr__(self, "column", self.column or self.name)

    @property
    def scale(self) -> float:
        """What a value is multiplied by in a table."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The least and the greatest a mean can be in a table, where there is one."""
        return {"%": (0.0, 100.0), "s": (0.0, None), "": (None, None)}[self.unit]

    def best(self, values: pd.Series) -> float:
        """The best of a column of a table."""
        return float(values.max() if self.higher_is_better else values.min())


def recall(threshold: float, n: int = 1) -> Metric:
    """R@n: the share of queries for which one of the n best answers is right at a tIoU threshold."""
    if not 0 <= threshold < 1 or n < 1:
        raise SettingsError(f"Expected R@n(t) with n >= 1 and 0 <= t < 1 (got n = {n}, t = {threshold})")
    return Metric(
        recall_column(threshold, n),
        "%",
        lambda answers, truths: float(hits(answers[:n], truths, (threshold,)).any()),
        # Only of one drawn segment: several that are drawn together depend on each other.
        _expected_recall((threshold,)) if n == 1 else None,
        top_n=n,
        threshold=threshold,
    )


def _expected_recall(thresholds: Sequence[float]) -> Expectation:
    return lambda drawn, weights, truths: float(expected_hits(drawn, weights, truths, thresholds).mean())


def boundary_errors(segments: Tensor, truths: Tensor) -> Tensor:
    """How far each segment's start and end are from those of the true instance of the best tIoU, ``[M, 2]``.

    Of instances that overlap equally, or not at all, the nearest counts.
    """
    errors = (segments.double().unsqueeze(1) - truths.double()).abs()  # [M, G, 2]
    tiou = temporal_iou(segments.double(), truths.double())  # [M, G]
    apart = errors.sum(-1).masked_fill(tiou < tiou.amax(1, keepdim=True), math.inf)
    return errors[torch.arange(len(errors)), apart.argmin(1)]


def _boundary_error(name: str, side: int) -> Metric:
    return Metric(
        name,
        "s",
        lambda answers, truths: (
            float(boundary_errors(answers[:1], truths)[0, side]) if len(answers) else math.nan
        ),
        lambda drawn, weights, truths: float(weights.double() @ boundary_errors(drawn, truths)[:, side]),
        higher_is_better=False,
    )


MEAN_TIOU = Metric(
    "mean tIoU",
    "%",
    lambda answers, truths: float(best_tiou(answers[:1], truths).sum()),
    lambda drawn, weights, truths: float(weights.double() @ best_tiou(drawn, truths)),
    column="tiou",
)

#: What is evaluated and shown, from left to right. Times are of the best answer.
METRICS: list[Metric] = [
    *map(recall, THRESHOLDS),
    Metric(
        "R@1 avg",  # over the thresholds of Feng et al.
        "%",
        lambda answers, truths: float(hits(answers[:1], truths, AVERAGE_THRESHOLDS).double().mean(1).sum()),
        _expected_recall(AVERAGE_THRESHOLDS),
    ),
    MEAN_TIOU,
    _boundary_error("start error", 0),
    _boundary_error("end error", 1),
]


def metric_named(name: str) -> Metric:
    """The metric of a name: one of :data:`METRICS`, or R@n(t) for any n and tIoU threshold t."""
    for metric in METRICS:
        if metric.name == name:
            return metric
    if parts := re.fullmatch(r"R@(\d+)\((\d*\.?\d+)\)", name):
        return recall(float(parts[2]), int(parts[1]))
    known = ", ".join(metric.name for metric in METRICS)
    raise SettingsError(f"Unknown metric {name!r}; known are {known}, and R@n(t) for any n and tIoU t")


def shown_metrics(table: pd.DataFrame) -> dict[str, Metric]:
    """The metrics among the columns of a table, by name."""
    found = {}
    for name in map(str, table.columns):
        try:
            found[name] = metric_named(name)
        except SettingsError:
            continue
    return found


def thresholds_of(metrics: Sequence[Metric]) -> list[float]:
    """The tIoU thresholds at which a list of metrics holds R@1."""
    return [metric.threshold for metric in metrics if metric.threshold is not None and metric.top_n == 1]


def with_curve(metrics: Sequence[Metric] = METRICS) -> list[Metric]:
    """Metrics with R@1 at the thresholds of a curve too, in ascending order before the others."""
    every = sorted({*CURVE, *thresholds_of(metrics)})
    return [*map(recall, every), *(m for m in metrics if m.threshold is None or m.top_n > 1)]
