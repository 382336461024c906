"""Reading and checking annotations, with errors that say where and notes on what was mended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from vreloc_pyg.errors import DataError

#: Features and annotations may disagree by this share of the duration.
DURATION_TOLERANCE = 0.05

#: So many videos are named in a message that counts them all.
SHOWN = 20

#: Start and end in seconds, and class.
Instance = tuple[float, float, str]


@dataclass
class Notes:
    """What was left out of a data set or mended, and how often."""

    counts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, where: str) -> None:
        """Count one more of a kind."""
        self.counts.setdefault(what, []).append(where)

    def lines(self) -> list[str]:
        """One sentence a kind, with its number and the first of them."""
        return [
            f"{len(where)} {what}: {', '.join(where[:SHOWN])}{' …' if len(where) > SHOWN else ''}"
            for what, where in self.counts.items()
        ]


def refuse(problems: Sequence[str], where: str | Path) -> None:
    """Raise :class:`DataError` with the first problems and their number, if there is any."""
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError(f"{where}: {'; '.join(problems[:5])}{more}")


def check_instance(start_s: float, end_s: float, duration_s: float | None) -> str:
    """What is wrong with an instance, or nothing; ends past the video by up to 5 % are forgiven."""
    if not (math.isfinite(start_s) and math.isfinite(end_s)):
        return "is not finite"
    if end_s < start_s:
        return "is reversed"
    if start_s < 0:
        return "begins before the video"
    if duration_s is not None and (start_s > duration_s or end_s > (1 + DURATION_TOLERANCE) * duration_s):
        return f"lies outside its video of {duration_s:g} s"
    return ""


def merge_overlaps(instances: Sequence[Instance]) -> list[Instance]:
    """Instances by start, with overlapping ones of one class merged."""
    merged: list[Instance] = []
    for label in sorted({label for _, _, label in instances}):
        ours = sorted((start, end) for start, end, other in instances if other == label)
        low, high = ours[0]
        for start, end in ours[1:]:
            if start < high:
                high = max(high, end)
            else:
                merged.append((low, high, label))
                low, high = start, end
        merged.append((low, high, label))
    return sorted(merged)


def find_file(root: Path, name: str) -> Path | None:
    """A file of a folder, whatever the case of its name, or ``None``."""
    return next((path for path in sorted(root.glob("*")) if path.name.lower() == name), None)


def only_file(root: Path, name: str, kind: str) -> Path:
    """A file itself; of a folder the file called ``name``, or else the only one of a kind, such as ``*.csv``.

    Case does not matter. Where there is neither it is a :class:`DataError`.
    """
    if not root.is_dir():
        return root
    found = find_file(root, name)
    others = [path for path in sorted(root.iterdir()) if fnmatch(path.name.lower(), kind)]
    if found is None and len(others) != 1:
        raise DataError(
            f"Expected {name} or one {kind} in {root} (found {len(others)}); give the file itself"
        )
    return found or others[0]
