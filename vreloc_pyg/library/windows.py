"""The windows of a library, and the numbers by which an index knows them."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.proposals.sliding_window import SlidingWindows

#: What the first stage looks at in every video: half of each window is in the next of its length.
LIBRARY_WINDOWS = SlidingWindows(shortest=4, longest=256, ratio=2.0, overlap=0.5)

_LENGTH_BITS, _START_BITS = 16, 24
_VIDEO_BITS = _LENGTH_BITS + _START_BITS


def window_ids(number: int, windows: Tensor) -> Tensor:
    """A number for each window of a video, ``[M]`` int64, from which :func:`windows_of` reads it.

    The video's number is above, its first step below, then its length: an index needs no table beside it.

    Args:
        number: of the video in its library.
        windows: half-open step intervals, ``[M, 2]`` int64.

    Raises:
        DataError: if the video is longer than 16 million steps, or a window than 65,535.
    """
    start, length = windows[:, 0], windows[:, 1] - windows[:, 0]
    if len(windows) and (int(windows[:, 1].max()) >= 2**_START_BITS or int(length.max()) >= 2**_LENGTH_BITS):
        raise DataError(f"A video of {int(windows[:, 1].max()):,} steps is too long for a library: split it")
    return (number << _VIDEO_BITS) + (start << _LENGTH_BITS) + length


def windows_of(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of videos ``[M]`` and windows ``[M, 2]`` of what :func:`window_ids` made."""
    start = (ids >> _LENGTH_BITS) & (2**_START_BITS - 1)
    length = ids & (2**_LENGTH_BITS - 1)
    return ids >> _VIDEO_BITS, torch.stack([start, start + length], dim=1)


def ids_of_video(number: int) -> tuple[int, int]:
    """The half-open range of the numbers of a video's windows."""
    return number << _VIDEO_BITS, (number + 1) << _VIDEO_BITS


def count_windows(num_steps: int) -> int:
    """How many windows a video of so many steps has, without making them."""
    counted = 0
    for length in {min(length, num_steps) for length in LIBRARY_WINDOWS.lengths}:
        stride = max(1, round(length * (1 - LIBRARY_WINDOWS.overlap)))
        counted += 1 - (-(num_steps - length) // stride)
    return counted
