"""From the score of an answer to how sure it is."""

from __future__ import annotations

from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.moments import Verdict

#: Least probabilities of a match that is sure, and of one that may be.
SURE, MAYBE = 0.8, 0.5


def verdict_of(calibration: Calibration | None, score: float) -> Verdict | None:
    """How sure an answer with this score is; ``None`` where nobody calibrated the scores."""
    if calibration is None:
        return None
    probability = calibration.probability(score)
    return "sure" if probability >= SURE else "maybe" if probability >= MAYBE else "not found"
