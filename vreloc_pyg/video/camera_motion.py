"""How a picture's background moved from one frame to the next."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

Points = NDArray[np.float64]

#: Pixels of the longer side of the pictures compared, and of the square tiles in them.
SIDE, TILE = 160, 32
#: Tiles whose pixels differ less, as a standard deviation of 255, tell nothing.
LEAST_TEXTURE = 4.0
#: Tiles agree if they moved alike to so many pixels; fewer of them than this share tell nothing.
TOLERANCE, LEAST_AGREEING = 1.0, 0.5


def background_shift(before: Tensor, now: Tensor, person: Points | None = None) -> Points:
    """How far the background moved, x and y in pixels, ``[2]``; zeros where that cannot be told.

    The pictures are cut into tiles; each one's shift is the peak of its phase correlation, and the answer the
    median of those outside the person, if at least half of them agree with it.

    Args:
        before, now: images ``[3, H, W]``.
        person: points x, y of ``now`` that a box around the person encloses, ``[J, >= 2]``.
    """
    height, width = now.shape[1:]
    scale = SIDE / max(height, width)
    rows, columns = (max(1, round(length * scale / TILE)) for length in (height, width))
    size = (rows * TILE, columns * TILE)
    pictures = adaptive_avg_pool2d(torch.stack([before, now]).mean(1, keepdim=True), size)[:, 0]
    tiles = pictures.reshape(2, rows, TILE, columns, TILE).permute(0, 1, 3, 2, 4).reshape(2, -1, TILE, TILE)
    unit = np.array([width / size[1], height / size[0]])  # image pixels of one compared
    corners = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2) * TILE * unit
    told = (tiles.std((2, 3)).amin(0) >= LEAST_TEXTURE).numpy()
    if person is not None:
        low, high = person[:, :2].min(0), person[:, :2].max(0)
        told &= ((corners >= high) | (corners + TILE * unit <= low)).any(1)
    if told.sum() < 3:
        return np.zeros(2)
    moved = _phase_shift(tiles[0], tiles[1])[told]
    shift = np.median(moved, axis=0)
    agreeing = (np.abs(moved - shift).max(1) <= TOLERANCE).mean()
    return shift * unit if agreeing >= LEAST_AGREEING else np.zeros(2)


def _phase_shift(before: Tensor, now: Tensor) -> Points:
    """Shift x, y of each tile ``[M, S, S]`` in its pixels, ``[M, 2]``."""
    window = torch.hann_window(TILE, periodic=False)
    window = window[:, None] * window
    first, second = (
        torch.fft.rfft2((tiles - tiles.mean((1, 2), keepdim=True)) * window) for tiles in (before, now)
    )
    cross = second * first.conj()
    peaks = torch.fft.irfft2(cross / cross.abs().clamp_min(1e-6), s=(TILE, TILE))
    best = peaks.flatten(1).argmax(1)
    row, column = best // TILE, best % TILE
    number = torch.arange(len(best))
    shifts = []
    for place, (down, right) in ((column, (0, 1)), (row, (1, 0))):
        low, middle, high = (
            peaks[number, (row + step * down) % TILE, (column + step * right) % TILE] for step in (-1, 0, 1)
        )
        bend = (low - 2 * middle + high).clamp_max(-1e-9)
        fine = (0.5 * (low - high) / bend).clamp(-0.5, 0.5)
        shifts.append(torch.where(place >= TILE // 2, place - TILE, place) + fine)
    return torch.stack(shifts, 1).double().numpy()
