"""Node features that say how a step stands to both clips of its pair, not what it shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: Numbers per group of features and node, see :func:`relative_nodes`.
RELATIVE_PER_GROUP = 5


def relative_nodes(
    clip: Tensor, aligned: Tensor, own_mean: Tensor, other_mean: Tensor, groups: Sequence[tuple[int, int]]
) -> Tensor:
    r"""Replace the features of nodes by distances that mean the same for every action class.

    For every group of feature columns and node t with features :math:`x_t`, aligned with :math:`y_t` of the
    other clip, and the clips' means :math:`\mu` and :math:`\mu'`:

    .. math::
        \lVert x_t - \mu \rVert, \quad \lVert x_t - x_{t-1} \rVert, \quad \lVert x_t - \mu' \rVert, \quad
        \lVert \tilde x_t - y_t \rVert, \quad \lVert x_t \rVert

    where :math:`\tilde x_t` is the clip cut exactly at its window, x with its context.

    Args:
        clip, aligned: x and :math:`\tilde x - y`, ``[M, T, F]``.
        own_mean, other_mean: :math:`\mu` and :math:`\mu'`, ``[M, F]``.
        groups: half-open ranges of feature columns; ``[M, T, 5 * len(groups)]`` is returned.
    """
    own, other = clip - own_mean.unsqueeze(1), clip - other_mean.unsqueeze(1)
    change = torch.diff(clip, dim=1, prepend=2 * clip[:, :1] - clip[:, 1:2] if clip.size(1) > 1 else clip)
    columns = []
    for low, high in groups:
        for values in (own, change, other, aligned, clip):
            columns.append(torch.linalg.vector_norm(values[..., low:high], dim=-1))
    return torch.stack(columns, dim=-1)
