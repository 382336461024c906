"""A first answer without any training."""

from __future__ import annotations

from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.rules.window_rule import WindowRule
from vreloc_pyg.systems.spec import System

TRAINING_FREE = System(name="training-free", row="window rule (no training)", kin="rule")


def training_free(calibration: Calibration | None = None) -> Localizer:
    """The window rule on features of networks: answers about as long as the query.

    Args:
        calibration: how sure its scores are on the features at hand.
    """
    rule = WindowRule(length_weight=0.25, normalize=True, search_steps=4, name=TRAINING_FREE.row)
    windows = SlidingWindows(shortest=3, longest=400, ratio=1.2, overlap=0.8)
    return Localizer(TRAINING_FREE, rule, windows, calibration=calibration)
