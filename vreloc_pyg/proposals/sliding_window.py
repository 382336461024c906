"""Sliding windows of several lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.source import Video


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
    lengths, length = [], float(shortest)
    while round(length) <= longest:
        lengths.append(round(length))
        length *= ratio
    return sorted(set(lengths))


def sliding_windows(num_steps: int, lengths: Sequence[int], overlap: float = 0.75) -> Tensor:
    """Windows of the given lengths over a video, the last of each length flush with its end.

    Args:
        num_steps: length of the video in steps.
        lengths: window lengths in steps; those longer than the video are replaced by the whole video.
        overlap: share of a window that the next of the same length covers, in [0, 1).

    Returns:
        Distinct half-open step intervals ``[M, 2]`` int64, sorted.
    """
    if num_steps < 1 or not lengths or min(lengths) < 1 or not 0 <= overlap < 1:
        raise SettingsError(
            "Expected num_steps >= 1, lengths >= 1 and 0 <= overlap < 1 "
            f"(got {num_steps}, {list(lengths)}, {overlap})"
        )
    windows = []
    for length in lengths:
        length = min(length, num_steps)
        stride = max(1, round(length * (1 - overlap)))
        starts = torch.arange(0, num_steps - length + stride, stride).clamp(max=num_steps - length)
        windows.append(torch.stack([starts, starts + length], dim=1))
    return torch.unique(torch.cat(windows), dim=0)


@dataclass(frozen=True)
class SlidingWindows:
    """Candidate segments of a video: sliding windows whose lengths grow geometrically.

    Args:
        shortest: least window length in steps.
        longest: greatest window length in steps.
        ratio: each length over the one before it, above 1.
        overlap: share of a window that the next of the same length covers, in [0, 1).

    Raises:
        SettingsError: if a value is impossible.

    Example:
        >>> SlidingWindows(shortest=2, longest=4, ratio=2, overlap=0.5)(num_steps=5).tolist()
        [[0, 2], [0, 4], [1, 3], [1, 5], [2, 4], [3, 5]]
    """

    shortest: int = 8
    longest: int = 200
    ratio: float = 1.35
    overlap: float = 0.7

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise SettingsError(f"Expected 0 <= overlap < 1 (got {self.overlap})")
        window_lengths(self.shortest, self.longest, self.ratio)  # refuses impossible lengths now, not later

    @property
    def lengths(self) -> list[int]:
        """Window lengths in steps, ascending."""
        return window_lengths(self.shortest, self.longest, self.ratio)

    def __call__(self, num_steps: int) -> Tensor:
        """Distinct windows over a video of ``num_steps``, ``[M, 2]`` int64 half-open step intervals, sorted.

        Lengths that do not fit are replaced by the whole video, so there is always a window.
        """
        return sliding_windows(num_steps, self.lengths, self.overlap)

    def propose(self, video: Video) -> Tensor:
        """The windows over a video; see :class:`~vreloc_pyg.proposals.source.ProposalSource`."""
        return self(video.num_steps)

    def fingerprint(self) -> str:
        """The settings."""
        return repr(self)
