"""A few numbers about a query and a window that mean the same for every action class."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vreloc_pyg.sequences.statistics import window_statistics

#: Columns of :func:`pair_features`.
PAIR_FEATURES = ("statistics_distance", "log_ratio", "abs_log_ratio", "log_length", "at_start", "at_end")

#: Those of pairs whose nodes match (:func:`vreloc_pyg.graphs.matching.match_clips`).
MATCH_FEATURES = (*PAIR_FEATURES, "alignment_cost")


def pair_features(
    query: Tensor,
    reference: Tensor,
    windows: Tensor,
    speed: float = 1.0,
    distance: Tensor | None = None,
) -> Tensor:
    r"""Numbers about a query and each window of a reference, beside their graph.

    In this order: the Euclidean distance between mean and standard deviation of all features of query and
    window (what the training-free window rule ranks by); :math:`r = \log(\mathrm{len}_p / \mathrm{len}_q)`,
    :math:`|r|` and :math:`\log \mathrm{len}_p`, which clips brought to one length have lost; and whether the
    window touches the start and the end of the video, where no context can be seen.

    Args:
        query, reference: features ``[Tq, F]`` and ``[N, F]``.
        windows: half-open step intervals, ``[M, 2]`` int64.
        speed: how much faster the query plays than its number of steps says (augmentation).
        distance: the first number, ``[M]``, where it is known.

    Returns:
        ``[M, 6]`` in the features' dtype.
    """
    start, end = windows.unbind(1)
    if distance is None:
        own = window_statistics(query, torch.tensor([[0, len(query)]], device=query.device))
        distance = torch.linalg.vector_norm(window_statistics(reference, windows) - own, dim=1)
    log_length = torch.log((end - start).to(reference.dtype))
    ratio = log_length + math.log(speed / len(query))
    return torch.stack(
        [
            distance,
            ratio,
            ratio.abs(),
            log_length,
            (start <= 2).to(ratio),
            (end >= len(reference) - 2).to(ratio),
        ],
        dim=1,
    )
