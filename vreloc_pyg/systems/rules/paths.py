"""Paths through a table of distances, by dynamic programming: which stretch of a video runs like a query."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

PathMode = Literal["chou_avg", "strict", "sdtw", "slope", "asymmetric"]
Array = NDArray[np.float64]

# Rows of the numbers carried along a path.
COST, WEIGHT, DISTANCE, CELLS, START = range(5)
# Weights of the diagonal, the vertical and the horizontal move.
MOVES = {"chou_avg": (1.0, 0.5, 0.5), "sdtw": (1.0, 1.0, 1.0)}
# Weights of each cell of the moves (1, 1), (1, 2) and (2, 1).
SLOPES = {"slope": (1.0, 1.0, 1.0), "asymmetric": (1.0, 0.5, 1.0)}


def best_paths(table: Array, mode: PathMode) -> tuple[NDArray[np.int64], Array]:
    """For every end step of the reference, the first step and the mean distance of its path.

    Args:
        table: distances of query steps (rows) and reference steps (columns), ``[q, r]``.
        mode: see :class:`.FrameLevel`.

    Returns:
        Starts ``[r]`` int64 and means ``[r]`` float64; infinite where no path ends. At least one does.
    """
    table = np.asarray(table, dtype=np.float64)
    if mode in MOVES:
        carried = _free_moves(table, MOVES[mode], by_average=mode == "chou_avg")
    elif mode in SLOPES:
        carried = _limited_slope(_thinned(table, 2 * table.shape[1] - 1), SLOPES[mode])
    else:
        carried = _diagonal(_thinned(table, table.shape[1]))
    # Without a path the start is unknown: any number will do, as the mean is infinite.
    start = np.where(np.isfinite(carried[DISTANCE]), carried[START], 0).astype(np.int64)
    return start, carried[DISTANCE] / np.maximum(carried[CELLS], 1)


def _thinned(table: Array, most: int) -> Array:
    """The table with at most so many query steps, spread evenly."""
    rows = len(table)
    if rows <= most:
        return table
    return table[((np.arange(most) + 0.5) * rows / most).astype(int)]


def _diagonal(table: Array) -> Array:
    """Paths of diagonal moves, ``[5, r]``: window by window the sum along a diagonal."""
    rows, columns = table.shape
    carried = _no_paths(columns)
    carried[START] = np.arange(columns) - rows + 1
    carried[CELLS] = rows
    ends = slice(rows - 1, columns)
    carried[DISTANCE, ends] = 0
    for row in range(rows):
        carried[DISTANCE, ends] += table[row, row : columns - rows + 1 + row]
    return carried


def _free_moves(table: Array, weights: tuple[float, float, float], by_average: bool) -> Array:
    """Paths of diagonal, vertical and horizontal moves, ``[5, r]``.

    The cells of an anti-diagonal depend on the two before it only, so each is computed in one go. Minimises
    the weighted sum of distances, or, ``by_average``, that sum over the sum of weights.
    """
    rows, columns = table.shape
    row, column = np.indices(table.shape)
    slanted = np.zeros((rows + columns - 1, rows))
    slanted[row + column, row] = table
    move = np.array(weights)[:, None]
    # Place 0 of an anti-diagonal stands for a row before the first; a path starts by a diagonal move from
    # there. Cells left of the table are never reached from it, those to the right never lead back into it.
    before, last = _no_paths(rows + 1), _no_paths(rows + 1)
    ends = _no_paths(columns)
    candidates = np.empty((5, 3, rows))
    for number, distances in enumerate(slanted):
        before[:, 0] = (0, 0, 0, 0, number)
        candidates[:, 0], candidates[:, 1], candidates[:, 2] = before[:, :-1], last[:, :-1], last[:, 1:]
        candidates[COST] += move * distances
        candidates[WEIGHT] += move
        candidates[DISTANCE] += distances
        candidates[CELLS] += 1
        cost = candidates[COST] / candidates[WEIGHT] if by_average else candidates[COST]
        before, last = last, before
        last[:, 0] = before[:, 0]  # no path, as on every anti-diagonal but the second last
        last[:, 1:] = _best(candidates, cost)
        if number >= rows - 1:
            ends[:, number - rows + 1] = last[:, -1]
    return ends


def _limited_slope(table: Array, weights: tuple[float, float, float]) -> Array:
    """Paths of the moves (1, 1), (1, 2) and (2, 1), ``[5, r]``; row by row, as none stays in its row.

    A path's distance and its number of cells are weighted sums; the distance is minimised.
    """
    columns = table.shape[1]
    weight = np.array(weights)[:, None]
    above, last = _no_paths(columns), _no_paths(columns)
    last[DISTANCE], last[CELLS], last[START] = table[0], 1, np.arange(columns)
    for row in range(1, len(table)):
        here, left = table[row], np.concatenate([[0.0], table[row, :-1]])
        candidates = np.stack([_shifted(last, 1), _shifted(last, 2), _shifted(above, 1)], axis=1)
        candidates[DISTANCE] += weight * (here + np.stack([np.zeros(columns), left, table[row - 1]]))
        candidates[CELLS] += weight * np.array([[1], [2], [2]])
        above, last = last, _best(candidates, candidates[DISTANCE])
    return last


def _no_paths(count: int) -> Array:
    """Numbers carried to ``count`` cells that no path reaches, ``[5, count]``."""
    carried = np.zeros((5, count))
    carried[[COST, DISTANCE, START]] = np.inf
    return carried


def _shifted(carried: Array, by: int) -> Array:
    """What lies ``by`` columns to the left."""
    moved = _no_paths(carried.shape[1])
    moved[:, by:] = carried[:, :-by]
    return moved


def _best(candidates: Array, keys: Array) -> Array:
    """Of candidates ``[5, 3, n]`` that of least key ``[3, n]``, of equals the earliest start, ``[5, n]``."""
    least = keys.min(0)
    chosen = np.where(keys == least, candidates[START], np.inf).argmin(0)  # of equals the first
    count = len(least)
    return candidates.reshape(5, 3 * count).take(chosen * count + np.arange(count), axis=1)
