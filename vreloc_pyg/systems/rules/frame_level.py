"""The frame-level baseline: the diagonal block of least average distance, by dynamic programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.settings import CheckedSettings, Share
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.rules.paths import Array, PathMode, best_paths
from vreloc_pyg.systems.spec import Rule


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
    - ``"asymmetric"``: the same moves, where the two cells of (1, 2) count half each, so that the weights of
      every path add up to the number of query steps: its mean is a mean over the query, and the path of least
      mean is found among *all* starts (Sakoe and Chiba's asymmetric form).

    In the last two and ``strict`` a reference can be too short for the query; the query's steps are then
    thinned evenly to the most that fit. The paper names the table and the objective (section 5.3.1); the
    moves follow Feng et al. (ECCV 2018), whose answers differ in length from the query. How paths span the
    query and are compared is our reading.

    Args:
        mode: which paths there are. (default: ``"chou_avg"``)
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies.
    """

    mode: PathMode = "chou_avg"
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


def frame_level(name: str, mode: PathMode) -> Rule:
    """The spec of a mode."""
    rule = FrameLevel(mode)
    return Rule(
        name=name,
        row=rule.name,
        published="frame-level",
        in_readme=False,
        beside=False,
        fit=lambda data: rule,
    )


FRAME_LEVEL = frame_level("frame-level", "chou_avg")
STRICT = frame_level("frame-level-strict", "strict")
SDTW = frame_level("frame-level-sdtw", "sdtw")
SLOPE = frame_level("frame-level-slope", "slope")
