"""A moment: a stretch of one video that shows what was looked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_json, write_json

#: How sure an answer is: the action is there; it may be there; it does not seem to be there.
Verdict = Literal["sure", "maybe", "not found"]

#: No video lasts longer, in seconds: beyond 30 years, times in frames and milliseconds fit no format.
MOST_S = 1e9


@dataclass(frozen=True)
class Moment:
    """A stretch of a video that an answer names.

    Args:
        video: path of the file, or name in a feature store.
        start_s, end_s: in seconds of the video, ``0 <= start_s < end_s <= MOST_S``.
        score: of what answered; higher is better, and scores of different systems do not compare.
        verdict: how sure that is; ``None`` where it was not calibrated.
        label: what is shown, where that has a name.

    Raises:
        DataError: if the stretch is empty, reversed or not finite, or the verdict is unknown.
    """

    video: str
    start_s: float
    end_s: float
    score: float
    verdict: Verdict | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s <= MOST_S or math.isnan(self.score):
            raise DataError(
                f"Expected a moment of {self.video} with 0 <= start_s < end_s <= {MOST_S:.0f} and a score "
                f"(got {self.start_s}, {self.end_s}, {self.score})"
            )
        if self.verdict is not None and self.verdict not in get_args(Verdict):
            raise DataError(f"Expected a verdict of {get_args(Verdict)} or none (got {self.verdict!r})")

    @property
    def duration_s(self) -> float:
        """In seconds."""
        return self.end_s - self.start_s


def save_moments(path: str | Path, moments: Iterable[Moment], about: Mapping[str, Any] | None = None) -> Path:
    """Write moments, best first, as JSON that :func:`load_moments` reads; ``about`` is kept beside them."""
    return write_json(path, {"about": dict(about or {}), "moments": [asdict(one) for one in moments]})


def load_moments(path: str | Path) -> list[Moment]:
    """The moments of a file of :func:`save_moments`; :class:`DataError` with the number of a wrong one."""
    values = read_json(path)
    rows = values.get("moments") if isinstance(values, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"{path} holds no list of 'moments'")
    known = {one.name for one in fields(Moment)}
    found = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not set(row) <= known:
            raise DataError(f"{path}, moment {number}: expected the keys {', '.join(sorted(known))}")
        if not all(isinstance(row.get(key, ""), str) for key in ("video", "label")):
            raise DataError(f"{path}, moment {number}: expected text as video and label")
        try:
            found.append(Moment(**row))
        except (TypeError, DataError) as error:
            raise DataError(f"{path}, moment {number}: {error}") from None
    return found
