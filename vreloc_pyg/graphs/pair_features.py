"""A few numbers about a query and a window that mean the same for every action class.

A score learned from them carries over to unseen classes, since none of them says *what* is shown: only how
far the two clips are apart, how even the window is in itself, and how sharply the video changes at its ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vreloc_pyg.features.statistics import window_statistics

#: Steps, counted inwards from either end of a window, at which the video is looked at.
_OFFSETS = (-8, -5, -3, -1, 0, 3, 5)
_PER_GROUP = 8 + 2 * 7
_PER_PAIR = 6


def num_pair_features(num_groups: int) -> int:
    """Number of columns of :func:`pair_features`."""
    return _PER_PAIR + _PER_GROUP * num_groups


def pair_features(
    query: Tensor, reference: Tensor, windows: Tensor, groups: Sequence[tuple[int, int]], speed: float = 1.0
) -> Tensor:
    r"""Class-agnostic numbers about a query and each window of a reference.

    For the pair: the Euclidean distance between mean and deviation of all features of query and window (the
    training-free window rule), :math:`r = \log(\mathrm{len}_p / \mathrm{len}_q)`, :math:`|r|`,
    :math:`\log \mathrm{len}_p`, and whether the window touches the start or the end of the video. For every
    group of feature columns, with means :math:`\mu`, deviations :math:`\sigma` and the means of a clip's three thirds
    :math:`\mu^{1,2,3}`:

    - match: :math:`\lVert\mu_p - \mu_q\rVert`, :math:`\lVert\sigma_p - \sigma_q\rVert`,
      :math:`\lVert\mu_p^{1..3} - \mu_q^{1..3}\rVert`, :math:`\lVert\sigma_p\rVert - \lVert\sigma_q\rVert`;
    - evenness: :math:`\lVert\mu_p^a - \mu_p^b\rVert` of the three pairs of thirds, and
      :math:`\lVert\sigma_p\rVert`;
    - at either end, with x(o) the video o steps inwards of it: :math:`\lVert x(5) - x(-5)\rVert`,
      :math:`\lVert x(3) - x(-3)\rVert`, the distance of :math:`\mu_p` from x(-8) and from the mean of
      x(-8), x(-5), x(-3), the norm at the end, that norm less the window's mean norm, and the norm outside
      less the norm inside.

    Args:
        query: ``[Tq, F]``.
        reference: ``[N, F]``.
        windows: half-open step intervals, ``[M, 2]`` int64.
        groups: half-open ranges of feature columns that belong together, such as positions and velocities.
        speed: how much faster the query plays than its number of steps says (augmentation).

    Returns:
        ``[M, 6 + 22 * len(groups)]`` float32.
    """
    start, end = windows.unbind(1)
    log_length = torch.log((end - start).to(reference.dtype))
    ratio = log_length + math.log(speed / len(query))
    own, theirs = _moments(query, torch.tensor([[0, len(query)]]), groups), _moments(reference, windows, groups)
    distance = _norm(torch.cat([theirs.mean - own.mean, theirs.deviation - own.deviation], dim=1))
    first, last = (start <= 2).to(ratio), (end >= len(reference) - 2).to(ratio)
    columns = [distance, ratio, ratio.abs(), log_length, first, last]
    inward = torch.tensor(_OFFSETS)
    at_start = (start[:, None] + inward).clamp(0, len(reference) - 1)  # [M, 7]
    at_end = (end[:, None] - 1 - inward).clamp(0, len(reference) - 1)
    ends = [(reference[steps], theirs.norms[steps]) for steps in (at_start, at_end)]  # [M, 7, F], [M, 7, G]
    for number, (low, high) in enumerate(groups):
        group = slice(low, high)
        mean, deviation, thirds = theirs.mean[:, group], theirs.deviation[:, group], theirs.thirds[..., group]
        columns += [
            _norm(mean - own.mean[:, group]),
            _norm(deviation - own.deviation[:, group]),
            _norm((thirds - own.thirds[..., group]).flatten(1)),
            _norm(deviation) - _norm(own.deviation[:, group]),
            _norm(thirds[:, 0] - thirds[:, 1]),
            _norm(thirds[:, 1] - thirds[:, 2]),
            _norm(thirds[:, 0] - thirds[:, 2]),
            _norm(deviation),
        ]
        for values, norms in ends:
            x, size = values[..., group], norms[..., number]  # [M, 7, d], [M, 7]
            columns += [
                _norm(x[:, 6] - x[:, 1]),
                _norm(x[:, 5] - x[:, 2]),
                _norm(x[:, :3].mean(1) - mean),
                _norm(x[:, 0] - mean),
                size[:, 3:5].mean(1),
                size[:, 3:5].mean(1) - theirs.mean_norms[:, number],
                size[:, 1:3].mean(1) - size[:, 5:].mean(1),
            ]
    return torch.stack(columns, dim=1)


class _Moments(NamedTuple):
    """Of M windows of a video of N steps with G groups of features."""

    mean: Tensor  # [M, F]
    deviation: Tensor  # [M, F]
    thirds: Tensor  # [M, 3, F]
    mean_norms: Tensor  # [M, G]
    norms: Tensor  # [N, G], of every step


def _moments(features: Tensor, windows: Tensor, groups: Sequence[tuple[int, int]]) -> _Moments:
    norms = torch.stack([_norm(features[:, low:high]) for low, high in groups], dim=1)
    start, end = windows[:, :1], windows[:, 1:]
    third = torch.arange(3)
    low = start + (end - start) * third // 3  # [M, 3]
    high = torch.maximum(low + 1, start + (end - start) * (third + 1) // 3)  # short thirds share steps
    everything = torch.cat([windows, torch.stack([low, high], dim=2).flatten(0, 1)])  # [M + 3 M, 2]
    means, deviations = window_statistics(torch.cat([features, norms], dim=1), everything).chunk(2, dim=1)
    count, width = len(windows), features.size(1)
    return _Moments(
        means[:count, :width],
        deviations[:count, :width],
        means[count:, :width].view(count, 3, width),
        means[:count, width:],
        norms,
    )


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1)
