"""The frame-level baseline: the diagonal block of least average distance, by dynamic programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.settings import CheckedSettings, Share
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.spec import Rule

AlignmentMode = Literal["chou_avg", "strict", "sdtw", "slope"]
Array = NDArray[np.float64]

# Rows of the numbers carried along a path.
COST, WEIGHT, DISTANCE, CELLS, START = range(5)
# Weights of the diagonal, the vertical and the horizontal move.
MOVES = {"chou_avg": (1.0, 0.5, 0.5), "sdtw": (1.0, 1.0, 1.0)}


@dataclass(frozen=True)
class FrameLevel(CheckedSettings):
    r"""Aligns the query with the reference step by step, without training.

    With every step's features divided by their norm, the table of distances is

    .. math::
        D_{ij} = \lVert q_i - r_j \rVert_2^2 \; (= 2 - 2 \cos)

    (a step of norm 0 stays 0: it is 1 away from every other, 0 from its like). A path runs from the query's
    first step to its last; where it starts and ends in the reference is free. Its score is minus the mean of
    D over its cells, and its segment reaches from the step of its first cell to the end of that of its last.
    For every end step there is one path, found by the ``mode``; the least mean wins, of equals the earliest
    start, then the earliest end.

    - ``"chou_avg"``: Chou et al.'s Eq. 5,
      :math:`S_{ij} = \max(S_{i-1,j-1} + s, S_{i-1,j} + s/2, S_{i,j-1} + s/2)` with
      :math:`s = 1 + \cos = 2 - D/2`. All paths between two cells have the same total weight. Of paths with
      *different* starts the greatest average S / weight is kept: as s is never negative, the greatest sum
      would be that of the earliest start, whatever the videos show.
    - ``"strict"``: diagonal moves only; the segment is as long as the query, in steps.
    - ``"sdtw"``: subsequence dynamic time warping, the same moves with weights 1, least sum of D.
    - ``"slope"``: moves (1, 1), (1, 2) and (2, 1), local slope between 1/2 and 2 (Sakoe and Chiba's P = 1);
      a cell passed on the way, (i, j - 1) or (i - 1, j), counts as well; least sum of D.

    In ``strict`` and ``slope`` a reference can be too short for the query; the query's steps are then thinned
    evenly to the most that fit. The paper names the table and the objective (section 5.3.1); the moves follow
    Feng et al. (ECCV 2018), whose answers differ in length from the query. How paths span the query and are
    compared is our reading.

    Args:
        mode: which paths there are. (default: ``"chou_avg"``)
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies.
    """

    mode: AlignmentMode = "chou_avg"
    nms_threshold: Share | None = 0.5
    kin: ClassVar[Kin] = "rule"

    @property
    def name(self) -> str:
        return "frame-level" if self.mode == "chou_avg" else f"frame-level ({self.mode})"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The segments of the best paths, at most one per end step."""
        check_top_n(top_n)
        start, mean = best_paths(distance_table(query, reference), self.mode)
        end = np.arange(1, len(start) + 1)
        order = np.lexsort((end, start))  # equal scores keep this order
        order = order[np.isfinite(mean[order])]
        steps = torch.from_numpy(np.stack([start, end], axis=1)[order])
        segments = steps_to_seconds(steps, reference.seconds_per_step)
        return Segments(segments, torch.from_numpy(-mean[order])).top(top_n, self.nms_threshold)


def distance_table(query: Query, reference: Reference) -> Array:
    """Squared distances of normalised steps, ``[q, r]`` float64 in [0, 4].

    Raises :class:`FeatureError` if query and reference have features of different width.
    """
    check_features(reference.features, f"reference {reference.video_id!r}", width=query.features.size(1))
    rows, columns = (
        torch.nn.functional.normalize(features.detach().cpu().double(), dim=1)
        for features in (query.features, reference.features)
    )
    # Not by a matrix product, whose rounding depends on the place: equal steps are exactly 0 apart, and
    # copies within a reference tie exactly.
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(rows, columns, compute_mode=exact).square().numpy()


def best_paths(table: Array, mode: AlignmentMode) -> tuple[NDArray[np.int64], Array]:
    """For every end step of the reference, the first step and the mean distance of its path.

    Args:
        table: distances of query steps (rows) and reference steps (columns), ``[q, r]``.
        mode: see :class:`FrameLevel`.

    Returns:
        Starts ``[r]`` int64 and means ``[r]`` float64; infinite where no path ends. At least one does.
    """
    table = np.asarray(table, dtype=np.float64)
    if mode in MOVES:
        carried = _free_moves(table, MOVES[mode], by_average=mode == "chou_avg")
    elif mode == "slope":
        carried = _limited_slope(_thinned(table, 2 * table.shape[1] - 1))
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


def _limited_slope(table: Array) -> Array:
    """Paths of the moves (1, 1), (1, 2) and (2, 1), ``[5, r]``; row by row, as none stays in its row."""
    columns = table.shape[1]
    above, last = _no_paths(columns), _no_paths(columns)
    last[DISTANCE], last[CELLS], last[START] = table[0], 1, np.arange(columns)
    for row in range(1, len(table)):
        here, left = table[row], np.concatenate([[0.0], table[row, :-1]])
        candidates = np.stack([_shifted(last, 1), _shifted(last, 2), _shifted(above, 1)], axis=1)
        candidates[DISTANCE] += here + np.stack([np.zeros(columns), left, table[row - 1]])
        candidates[CELLS] += np.array([[1], [2], [2]])
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


def frame_level(name: str, mode: AlignmentMode, in_readme: bool = True) -> Rule:
    """The spec of a mode."""
    rule = FrameLevel(mode)
    return Rule(
        name=name,
        row=rule.name,
        published="frame-level",
        in_readme=in_readme,
        beside=False,
        fit=lambda data: rule,
    )


FRAME_LEVEL = frame_level("frame-level", "chou_avg")
STRICT = frame_level("frame-level-strict", "strict")
SDTW = frame_level("frame-level-sdtw", "sdtw", in_readme=False)
SLOPE = frame_level("frame-level-slope", "slope", in_readme=False)
