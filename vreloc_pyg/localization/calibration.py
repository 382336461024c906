"""Whether a reference shows the query's action at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.moments import Verdict
from vreloc_pyg.settings import CheckedSettings
from vreloc_pyg.systems.protocol import LocalizerProtocol, best_score

#: From which probability on an answer is sure, and below which nothing was found.
SURE, NOT_FOUND = 0.8, 0.2


@dataclass(frozen=True)
class Calibration(CheckedSettings):
    """Probability that the action is in a reference, by the best score there.

    .. math:: P = \\sigma(a\\,s + b)

    (Platt, "Probabilistic outputs for support vector machines", 1999.)

    Args:
        slope, intercept: a and b.
        num_present, num_absent: answers with and without the action that decided them.
    """

    slope: float
    intercept: float
    num_present: int = 0
    num_absent: int = 0

    def probability(self, score: float) -> float:
        """In [0, 1], of the best score of a reference."""
        logit = max(-700.0, min(700.0, self.slope * score + self.intercept))
        return 1 / (1 + math.exp(-logit))

    def verdict(self, score: float) -> Verdict:
        """How sure an answer of a score is."""
        probability = self.probability(score)
        return "sure" if probability >= SURE else "maybe" if probability >= NOT_FOUND else "not found"

    @property
    def num_pairs(self) -> int:
        """Answers that it rests on."""
        return self.num_present + self.num_absent


def fit_calibration(present: Sequence[float], absent: Sequence[float]) -> Calibration:
    """Logistic regression of best scores, with and without the action in the reference.

    Both kinds weigh the same, so that .5 is where they balance, however many there are of each. As in Platt's
    paper the targets of N answers of a kind are 1 / (N + 2) away from 0 and 1: however well few answers are
    told apart, they do not make anybody certain.
    """
    from scipy.optimize import minimize  # half a second, which no answer waits for

    if not present or not absent:
        raise DataError("Calibration needs scores of references with and without the action")
    scores = np.array([*present, *absent])
    centre, scale = scores.mean(), scores.std() or 1.0
    counts = np.repeat([len(present), len(absent)], [len(present), len(absent)])
    shown = np.repeat([1.0, 0.0], [len(present), len(absent)])
    targets = np.abs(shown - 1 / (counts + 2))
    standard = (scores - centre) / scale

    def loss(line: NDArray[np.float64]) -> float:
        logits = line[0] * standard + line[1]
        return float(((np.logaddexp(0, logits) - targets * logits) / counts).sum())

    found = minimize(loss, [1.0, 0.0], method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    slope = float(found[0]) / float(scale)
    return Calibration(slope, float(found[1]) - slope * float(centre), len(present), len(absent))


def calibrate(
    system: LocalizerProtocol, split: RelocalizationSplit, max_pairs: int = 200, seed: int = 0
) -> Calibration | None:
    """Fit on pairs of a split: queries asked of references with their action, and of some without it.

    Without it are the split's absent pairs, or, where it has none, another reference for each query. A
    reference without any answer has no score that could be fitted. ``None`` where there are no scores with
    the action, or none without it.
    """
    rng = np.random.default_rng([seed, 7])
    chosen = rng.permutation(len(split))[:max_pairs]
    present, absent = [], []
    for query, reference in (split[index] for index in chosen.tolist()):
        present.append(best_score(system, query, reference))
        if split.absent:
            continue
        others = [one for one in split.references if query.label not in one.labels]
        others = [one for one in others if not one.shares_source(query)]
        if others:
            absent.append(best_score(system, query, others[int(rng.integers(len(others)))]))
    for index in rng.permutation(len(split.absent))[:max_pairs].tolist():
        asked, shown = split.absent[index]
        absent.append(best_score(system, split.queries[asked], split.references[shown]))
    kinds = [[score for score in scores if math.isfinite(score)] for scores in (present, absent)]
    return fit_calibration(*kinds) if all(kinds) else None
