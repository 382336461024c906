"""How much each step of a reference looks like the query, in numbers that mean the same for every class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vreloc_pyg.sequences.pose import mirror_image
from vreloc_pyg.sequences.statistics import window_statistics

#: Parts of a query, and where the window that is compared with them lies about a step; both in query lengths.
TEMPLATES = (
    ((0.0, 1.0), (-0.25, 0.25)),
    ((0.0, 1.0), (-0.35, 0.35)),
    ((0.0, 1.0), (-0.5, 0.5)),
    ((0.0, 1.0), (-0.7, 0.7)),
    ((0.0, 1.0), (-1.0, 1.0)),
    ((0.0, 1.0), (0.0, 1.0)),
    ((0.0, 1.0), (-1.0, 0.0)),
    ((0.0, 1 / 3), (0.0, 1 / 3)),
    ((2 / 3, 1.0), (-1 / 3, 0.0)),
)

#: Sharpness of the match of a step with its nearest steps of the query.
SHARPNESS = 10.0

#: Columns of :func:`relations`.
NUM_RELATIONS = 2 * len(TEMPLATES) + 3


def relations(
    query: Tensor, reference: Tensor, mirror: tuple[Sequence[int], Sequence[float]] | None = None
) -> Tensor:
    r"""Distances of every step of a reference to a query, in its surroundings and alone.

    Surroundings: for each of :data:`TEMPLATES`, the distance :math:`d_t` between mean and standard deviation
    of a part of the query and of a window about step t, and the same as
    :math:`(d_t - \mathrm{mean}\,d) / \mathrm{std}\,d` over the reference. Alone: the least and the mean
    distance to the query's steps, and where in the query the nearest are,
    :math:`\sum_j \mathrm{softmax}_j(-\kappa d_{jt})\, (j + \tfrac12) / q`. Distances are in units of the
    reference's root mean square deviation from its mean, so that they do not depend on the features' scale.

    Args:
        query, reference: features ``[q, F]`` and ``[r, F]``; ``[r, NUM_RELATIONS]`` is returned.
        mirror: index and sign of the mirror image of features
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`); each distance is then the lesser of
            those to the query and to its mirror image. ``None``: the query only.
    """
    centred = reference - reference.mean(0)
    unit = centred.square().sum(1).mean().sqrt().clamp(min=1e-6)
    num_query, num_steps = len(query), len(reference)
    parts, windows = [], []
    centres = torch.arange(num_steps, device=query.device, dtype=torch.float64) + 0.5
    for (first, last), (before, after) in TEMPLATES:
        start = min(int(first * num_query), num_query - 1)
        parts.append([start, max(round(last * num_query), start + 1)])
        start_steps = torch.round(centres + before * num_query).long().clamp(0, num_steps - 1)
        end_steps = torch.round(centres + after * num_query).long().clamp(max=num_steps)
        windows.append(torch.stack([start_steps, torch.maximum(end_steps, start_steps + 1)], dim=1))
    images = [query] if mirror is None else [query, mirror_image(query, *mirror)]
    found = window_statistics(reference, torch.cat(windows)).view(len(parts), num_steps, -1)  # [K, r, 2 F]
    steps = torch.tensor(parts, device=query.device)
    wanted = [window_statistics(image, steps).unsqueeze(1) for image in images]  # [K, 1, 2 F] each
    near = torch.stack([torch.linalg.vector_norm(found - one, dim=2).T for one in wanted]).amin(0) / unit
    spread = near.std(0, correction=0).clamp(min=1e-3)  # of near [r, K]
    exact = "donot_use_mm_for_euclid_dist"
    apart = [torch.cdist(reference, image, compute_mode=exact) for image in images]
    single = torch.stack(apart).amin(0) / unit  # [r, q]
    places = (torch.arange(num_query, device=query.device, dtype=query.dtype) + 0.5) / num_query
    place = torch.softmax(-SHARPNESS * single, dim=1) @ places
    alone = torch.stack([single.amin(1), single.mean(1), place], dim=1)
    return torch.cat([near, (near - near.mean(0)) / spread, alone], dim=1)
