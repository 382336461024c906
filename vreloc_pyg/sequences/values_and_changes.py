"""Features of any kind in the form and the units of those of poses, for networks that know these."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.errors import FeatureError

#: Root mean squares, over a reference, of the distances of positions from their mean, and of velocities:
#: about what the medians are on penn-action-reloc (3.1, 1.8), jhmdb-reloc (1.8, .7) and utkinect-reloc (1.9,
#: 1.6) together.
POSITION_SPREAD, VELOCITY_SIZE = 2.2, 1.4


def values_and_changes(query: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    r"""A query and a reference, each as its values and how they change from step to step.

    .. math::
        x'_t = \left[\frac{a}{\sigma} (x_t - \mu);\ \frac{b}{\delta} \dot x_t\right]

    with :math:`\mu` and :math:`\sigma` the mean and the root-mean-square spread of the *reference's* steps,
    :math:`\dot x` central differences (as in :func:`vreloc_pyg.sequences.pose.pose_features`), :math:`\delta`
    the root mean square of the reference's, a = :data:`POSITION_SPREAD` and b = :data:`VELOCITY_SIZE`. So
    nothing but the reference is needed to know the scale, and neither an offset nor a factor of all features
    changes the outcome. Of a reference in which nothing varies all is zero.

    Args:
        query, reference: ``[q, F]`` and ``[r, F]``.

    Returns:
        Both as ``[q, 2 F]`` and ``[r, 2 F]``.

    Raises:
        FeatureError: if their widths differ.
    """
    if query.size(1) != reference.size(1):
        raise FeatureError(
            f"Expected a query as wide as its reference (got {query.size(1)} and {reference.size(1)})"
        )
    mean = reference.mean(0)
    value, change = POSITION_SPREAD / _size(reference - mean), VELOCITY_SIZE / _size(_changes(reference))

    def described(features: Tensor) -> Tensor:
        return torch.cat([value * (features - mean), change * _changes(features)], dim=1)

    return described(query), described(reference)


def _changes(features: Tensor) -> Tensor:
    """Central differences, at both ends those to the next step; of a single step zero."""
    return torch.gradient(features, dim=0)[0] if len(features) > 1 else torch.zeros_like(features)


def _size(steps: Tensor) -> Tensor:
    """Root mean square of the norms of steps, or infinity where all are next to nothing."""
    size = torch.linalg.vector_norm(steps, dim=1).square().mean().sqrt()
    return torch.where(size > 1e-6, size, torch.inf)
