"""The One-Euro filter: steady where things rest, and without delay where they move fast.

Casiez, Roussel and Vogel, 1 Euro Filter, CHI 2012, https://gery.casiez.net/1euro/.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class OneEuro:
    """Smooths values that come at a steady rate.

    Args:
        rate: values per second.
        min_cutoff: frequency in Hz under which resting values pass.
        beta: by how much the frequency rises with speed.
        speed_cutoff: frequency under which changes of speed pass.
    """

    def __init__(self, rate: float, min_cutoff: float, beta: float, speed_cutoff: float = 1.0) -> None:
        self.rate, self.min_cutoff, self.beta = rate, min_cutoff, beta
        self.speed_weight = float(self._weight(np.array(speed_cutoff)))
        self.raw: FloatArray | None = None

    def __call__(self, values: FloatArray, scale: float = 1.0) -> FloatArray:
        """The smoothed values, of any shape but always the same one.

        Args:
            values: the next ones.
            scale: what a speed is divided by, so that things near and far are smoothed alike.
        """
        if self.raw is None:
            self.smooth, self.speed = values.copy(), np.zeros_like(values)
        else:
            speed = (values - self.raw) * self.rate / max(scale, 1e-6)
            self.speed += self.speed_weight * (speed - self.speed)
            weight = self._weight(self.min_cutoff + self.beta * np.abs(self.speed))
            self.smooth += weight * (values - self.smooth)
        self.raw = values.copy()
        return self.smooth.copy()

    def _weight(self, cutoff: FloatArray) -> FloatArray:
        return 1 / (1 + self.rate / (2 * math.pi * cutoff))
