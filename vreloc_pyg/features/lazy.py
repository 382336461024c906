"""Features that are read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from vreloc_pyg.errors import FeatureError


class LazyFeatures(Protocol):
    """The features of a stretch of video, whose length is known before they are read."""

    @property
    def num_steps(self) -> int:
        """Length in steps, without reading the features."""

    def read(self) -> Tensor:
        """The features, ``[num_steps, F]`` float32."""

    def part(self, start: int, stop: int) -> LazyFeatures:
        """Some of the steps, half-open; nothing is read yet."""


@dataclass(frozen=True)
class FeaturePart:
    """Half-open steps of stored features that are read whole."""

    whole: LazyFeatures
    start: int
    stop: int

    @property
    def num_steps(self) -> int:
        return self.stop - self.start

    def read(self) -> Tensor:
        """``[num_steps, F]`` float32."""
        return self.whole.read()[self.start : self.stop]

    def part(self, start: int, stop: int) -> FeaturePart:
        """Some of these steps."""
        return FeaturePart(self.whole, self.start + start, self.start + stop)


@dataclass(frozen=True)
class AbsentFeatures:
    """The length in steps of a stretch of video whose features nobody has; some systems read none."""

    num_steps: int

    def read(self) -> Tensor:
        """Raises :class:`FeatureError`."""
        raise FeatureError("The data set was loaded without a feature store: give one as features")

    def part(self, start: int, stop: int) -> AbsentFeatures:
        """The length of a part."""
        return AbsentFeatures(stop - start)
