"""A first answer without any training."""

from __future__ import annotations

from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.rules.window_rule import WindowRule
from vreloc_pyg.systems.spec import System

#: By extractor: best scores of 16 queries whose reference shows their action and 12 whose does not, joined
#: from four clips, lie in [-.62, -.39] and [-1.05, -.81].
CALIBRATIONS = {"i3d": Calibration(slope=40.0, intercept=28.6, num_present=16, num_absent=12)}

TRAINING_FREE = System(name="training-free", row="window rule (no training)", kin="rule")


def training_free(extractor: str | None = "i3d") -> Localizer:
    """The window rule on features of a network, used where there is no trained model.

    Args:
        extractor: whose features it will see; of those it was not calibrated on it gives no probability.
    """
    rule = WindowRule(length_weight=0.25, normalize=True, search_steps=4, name=TRAINING_FREE.row)
    windows = SlidingWindows(shortest=3, longest=400, ratio=1.2, overlap=0.8)
    return Localizer(TRAINING_FREE, rule, windows, calibration=CALIBRATIONS.get(extractor or ""))
