"""The parts of a video that do not show some classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple


class Stretch(NamedTuple):
    """A part of a video.

    Args:
        first, last: half-open steps.
        inside: indices of the instances of kept classes that lie in it, whole.
    """

    first: int
    last: int
    inside: list[int]


def stretches_between(
    segments: Sequence[Sequence[float]],
    labels: Sequence[str],
    kept: Collection[str],
    seconds_per_step: float,
    num_steps: int,
) -> list[Stretch]:
    """The stretches of a video between classes not in ``kept`` that hold a whole instance of a kept class.

    A training video must not show the classes held out for validation and test, not even as background.

    Args:
        segments, labels: start and end in seconds, and class, of every instance.
        kept: classes that may be shown.
        seconds_per_step, num_steps: of the video.
    """
    step, duration_s = seconds_per_step, num_steps * seconds_per_step
    held_out = sorted(
        (start, end) for (start, end), label in zip(segments, labels, strict=True) if label not in kept
    )
    held_out = [(0.0, 0.0), *held_out, (duration_s, duration_s)]
    parts: list[Stretch] = []
    covered = 0.0
    for (_, low), (high, _) in itertools.pairwise(held_out):
        covered = max(covered, low)
        first, last = math.ceil(covered / step - 1e-9), int(high / step + 1e-9)
        inside = [
            index
            for index, (start, end) in enumerate(segments)
            if labels[index] in kept and start >= first * step - 1e-9 and end <= last * step + 1e-9
        ]
        if inside:
            parts.append(Stretch(first, last, inside))
    return parts
