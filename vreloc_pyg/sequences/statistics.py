"""Mean and standard deviation of the features of many windows at once."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.segments import check_windows

#: Windows whose moments, in float64, stay in a processor's cache.
BLOCK = 512


def window_statistics(features: Tensor, windows: Tensor) -> Tensor:
    """Means, then standard deviations, over time of every window, ``[M, 2 F]`` in the features' dtype.

    .. math::
        \\mu_{[s, e)} = \\frac{C_e - C_s}{e - s}, \\qquad
        \\sigma^2_{[s, e)} = \\frac{Q_e - Q_s}{e - s} - \\mu^2_{[s, e)}

    where :math:`C` and :math:`Q` are cumulative sums of the features and of their squares, kept in float64
    and about the mean of the whole video, so that a large common offset costs no precision, nor a long window
    more time. The standard deviation divides by the number of steps and is 0 for a window of one step.

    Args:
        features: ``[num_steps, F]``.
        windows: half-open step intervals within ``[0, num_steps]``, ``[M, 2]`` int64; else a
            :class:`SegmentError`.
    """
    if features.dim() != 2:
        raise FeatureError(f"Expected features as [num_steps, F] (got shape {tuple(features.shape)})")
    start, end = check_windows(windows, len(features)).unbind(-1)
    offset = features.double().mean(0)
    centred = features.double() - offset
    sums = torch.cat([centred, centred.square()], dim=1).cumsum(0)  # [num_steps, 2 F]
    sums = torch.cat([sums.new_zeros(1, sums.size(1)), sums])  # [num_steps + 1, 2 F]
    found = features.new_empty(len(windows), sums.size(1))
    means, deviations = found.chunk(2, dim=1)
    for first in range(0, len(windows), BLOCK):
        some = slice(first, first + BLOCK)
        moments = sums.index_select(0, end[some]).sub_(sums.index_select(0, start[some]))
        moments.mul_(1 / (end - start)[some].double().unsqueeze(1))
        mean, mean_square = moments.chunk(2, dim=1)
        deviations[some] = mean_square.addcmul_(mean, mean, value=-1).clamp_(min=0)
        means[some] = mean.add_(offset)
    deviations.sqrt_()
    return found
