"""A place in a picture, as a click names it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vreloc_pyg.errors import SettingsError

_PLACE = re.compile(r"\s*(\d*\.?\d+|\d+\.)\s*,\s*(\d*\.?\d+|\d+\.)\s*")


@dataclass(frozen=True)
class Place:
    """A point of a picture of any size.

    Args:
        x: from its left, as a share of its width.
        y: from its top, as a share of its height.

    Raises:
        SettingsError: unless both are from 0 to 1.
    """

    x: float
    y: float

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise SettingsError(
                "Expected a place in the picture as shares of its width and height, from 0 to 1, such as "
                f"0.25,0.5 (got {self})"
            )

    def __str__(self) -> str:
        return f"{self.x:g},{self.y:g}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """A place as a command line has it, ``X,Y``.

        Example:
            >>> Place.parse("0.25,0.5")
            Place(x=0.25, y=0.5)
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise SettingsError(
                "Expected a place in the picture as X,Y, shares of its width and height, such as 0.25,0.5 "
                f"(got {text!r})"
            )
        return cls(float(found[1]), float(found[2]))
