"""Maps of distances between the steps of a query and those of windows of a reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vreloc_pyg.sequences.windows import cut_windows

#: Maps for every group of feature columns: distances as they are, and brought to rows from 0 to 1.
MAPS_PER_GROUP = 2
#: Maps that say where a pixel lies: inside the window or in its context, and off the diagonal by how much.
PLACE_MAPS = 2


def reference_maps(
    images: Sequence[Tensor], reference: Tensor, groups: Sequence[tuple[int, int]], num_query: int
) -> Tensor:
    r"""Distances of a query's steps, resampled, and all steps of a reference, ``[2 G, Tq, r]``.

    For every group of n feature columns

    .. math::
        D_{ij} = \min_v \frac{\lVert q^v_i - r_j \rVert_2}{\sqrt n}, \qquad
        R_{ij} = \frac{D_{ij} - \min_j D_{ij}}{\max_j D_{ij} - \min_j D_{ij}}

    over the images v of the query: itself and perhaps its mirror image. Nothing else of the features is seen.

    Args:
        images: versions of the query, ``[q, F]`` each.
        reference: ``[r, F]``.
        groups: half-open ranges of feature columns.
        num_query: Tq.
    """
    whole = torch.tensor([[0, len(images[0])]], device=reference.device)
    clips = torch.cat([cut_windows(image, whole, num_query)[0] for image in images])  # [V, Tq, F]
    maps = []
    for low, high in groups:
        scale = (high - low) ** -0.5
        distances = torch.cdist(clips[..., low:high], reference[:, low:high]).amin(0) * scale  # [Tq, r]
        least, greatest = distances.aminmax(dim=1, keepdim=True)
        maps += [distances, (distances - least) / (greatest - least).clamp(min=1e-6)]
    return torch.stack(maps)


def window_maps(maps: Tensor, windows: Tensor, num_window: int, context: float) -> Tensor:
    """The parts of :func:`reference_maps` about windows, and two maps of places, ``[M, 2 G + 2, Tq, Tw]``.

    Args:
        maps: ``[2 G, Tq, r]``.
        windows: half-open step intervals, ``[M, 2]`` int64.
        num_window: Tw; nearest steps of the reference, evenly spread over the window and its context.
        context: seen before and after a window, as a share of its length. Beyond the ends of the video the
            distances are 0.
    """
    num_query, num_steps = maps.shape[1:]
    share = (torch.arange(num_window, device=maps.device) + 0.5) / num_window
    place = share * (1 + 2 * context) - context  # 0 at the window's start, 1 at its end
    start, length = windows[:, :1], windows[:, 1:] - windows[:, :1]
    steps = torch.floor(start + place * length).long()  # [M, Tw]
    seen = (steps >= 0) & (steps < num_steps)
    parts = maps[:, :, steps.clamp(0, num_steps - 1)]  # [2 G, Tq, M, Tw]
    parts = parts.permute(2, 0, 1, 3) * seen[:, None, None].to(maps)
    inside = ((place >= 0) & (place < 1)).to(maps).expand(num_query, -1)
    of_query = (torch.arange(num_query, device=maps.device) + 0.5) / num_query
    off_diagonal = place - of_query[:, None]
    places = torch.stack([inside, off_diagonal]).expand(len(windows), -1, -1, -1)
    return torch.cat([parts, places], dim=1)
