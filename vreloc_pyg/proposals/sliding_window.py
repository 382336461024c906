"""Sliding windows of several lengths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.source import Video
from vreloc_pyg.settings import Below1, CheckedSettings, Count, Within

#: Of a set of windows.
MOST_LENGTHS = 1000


def window_lengths(shortest: int, longest: int, ratio: float) -> list[int]:
    """Window lengths in steps that grow by ``ratio`` from ``shortest`` to at most ``longest``.

    Example:
        >>> window_lengths(8, 40, 1.5)
        [8, 12, 18, 27, 40]
    """
    if shortest < 1 or longest < shortest or ratio <= 1:
        raise SettingsError(
            f"Expected 1 <= shortest <= longest and ratio > 1 (got {shortest}, {longest}, {ratio})"
        )
    if math.log(longest / shortest) > MOST_LENGTHS * math.log(ratio):
        raise SettingsError(f"Expected at most {MOST_LENGTHS} window lengths: a larger ratio than {ratio}")
    lengths, length = [], float(shortest)
    while length < longest + 1 and round(length) <= longest:
        lengths.append(round(length))
        length *= ratio
    return sorted(set(lengths))


def distinct(windows: Tensor, num_steps: int) -> Tensor:
    """Windows of a video ``[M, 2]`` int64, each once, sorted; a hundred times faster than unique rows."""
    keys = torch.unique(windows[:, 0] * (num_steps + 1) + windows[:, 1])
    return torch.stack([keys // (num_steps + 1), keys % (num_steps + 1)], dim=1)


@dataclass(frozen=True)
class SlidingWindows(CheckedSettings):
    """Candidate segments of a video: sliding windows whose lengths grow geometrically.

    Args:
        shortest, longest: least and greatest window length in steps.
        ratio: each length over the one before it, above 1.
        overlap: share of a window that the next of the same length covers, in [0, 1).

    Example:
        >>> SlidingWindows(shortest=2, longest=4, ratio=2, overlap=0.5)(num_steps=5).tolist()
        [[0, 2], [0, 4], [1, 3], [1, 5], [2, 4], [3, 5]]
    """

    shortest: Count = 8
    longest: Count = 200
    ratio: Annotated[float, Within("(1, inf)")] = 1.35
    overlap: Below1 = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        window_lengths(self.shortest, self.longest, self.ratio)  # refuses impossible lengths now, not later

    @property
    def lengths(self) -> list[int]:
        """Window lengths in steps, ascending."""
        return window_lengths(self.shortest, self.longest, self.ratio)

    def __call__(self, num_steps: int) -> Tensor:
        """Distinct windows over a video of ``num_steps``, ``[M, 2]`` int64 half-open step intervals, sorted.

        The last window of each length is flush with the video's end; lengths that do not fit are replaced by
        the whole video, so there is always a window.
        """
        if num_steps < 1:
            raise SettingsError(f"Expected num_steps >= 1 (got {num_steps})")
        windows = []
        for length in self.lengths:
            length = min(length, num_steps)
            stride = max(1, round(length * (1 - self.overlap)))
            starts = torch.arange(0, num_steps - length + stride, stride).clamp(max=num_steps - length)
            windows.append(torch.stack([starts, starts + length], dim=1))
        return distinct(torch.cat(windows), num_steps)

    def within(self, num_steps: int, start: int, stop: int) -> Tensor:
        """Those windows of a video that lie in half-open steps of it, without making the others.

        They are counted from the start of the video, ``[M, 2]`` int64, and may be none.
        """
        rows, ends = [], []  # first start, stride, length and number of the windows of a length
        for length in sorted({min(length, num_steps) for length in self.lengths}):
            stride = max(1, round(length * (1 - self.overlap)))
            last = num_steps - length  # where the window is flush with the video's end
            first = -(-start // stride) * stride
            rows.append((first, stride, length, len(range(first, stop - length + 1, stride))))
            if stop == num_steps and last % stride and last >= start:
                ends.append((last, num_steps))
        first, stride, length, count = torch.tensor(rows).T
        row = torch.repeat_interleave(count)
        starts = first[row] + stride[row] * (torch.arange(len(row)) - (count.cumsum(0) - count)[row])
        windows = torch.stack([starts, starts + length[row]], dim=1)
        return torch.cat([windows, torch.tensor(ends, dtype=torch.long).view(-1, 2)])

    def propose(self, video: Video) -> Tensor:
        return self(video.num_steps)

    def fingerprint(self) -> str:
        return repr(self)
