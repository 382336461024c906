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

    @property
    def num_features(self) -> int | None:
        """Width F, where it is known without reading the features."""

    def read(self) -> Tensor:
        """The features, ``[num_steps, F]`` float32."""


@dataclass(frozen=True)
class AbsentFeatures:
    """The length of a stretch of video whose features nobody has; enough for systems that read none.

    Args:
        num_steps: its length in steps.
    """

    num_steps: int
    num_features: None = None

    def read(self) -> Tensor:
        """Raises :class:`FeatureError`."""
        raise FeatureError(
            "Features were asked for, and the data set was loaded without a feature store: "
            "give one as features"
        )
