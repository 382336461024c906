"""Node features that say how a step stands to both clips of its pair, not what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from vreloc_pyg.sequences.windows import equidistant_steps

#: Numbers per group of features and node, see :func:`relative_nodes`.
RELATIVE_PER_GROUP = 5
#: Windows whose features are gathered at once, which bounds the memory.
BLOCK = 1024


def relative_nodes(
    images: Tensor,
    image: Tensor,
    reference: Tensor,
    windows: Tensor,
    seen: Tensor,
    means: Tensor,
    num_steps: int,
    groups: Sequence[tuple[int, int]],
) -> tuple[Tensor, Tensor]:
    r"""Nodes of a query and windows of a reference: distances that mean the same for every action class.

    For every group of feature columns and node t with features :math:`x_t`, aligned with :math:`y_t` of the
    other clip, and the clips' means :math:`\mu` and :math:`\mu'`:

    .. math::
        \lVert x_t - \mu \rVert, \quad \lVert x_t - x_{t-1} \rVert, \quad \lVert x_t - \mu' \rVert, \quad
        \lVert \tilde x_t - y_t \rVert, \quad \lVert x_t \rVert

    where :math:`\tilde x_t` is the clip cut exactly at its window, x with its context.

    What does not depend on the window, such as the distances of the query's steps from those of the whole
    reference, is computed once and looked up; only a window's distances from its own mean are made anew.

    Args:
        images: versions of the query, ``[V, q, F]``: itself and perhaps its mirror image.
        image: which of them each window is compared with, ``[M]`` int64.
        reference: ``[r, F]``.
        windows, seen: half-open step intervals, ``[M, 2]`` int64: the clips cut exactly, and with context.
        means: of the windows' features, ``[M, F]``.
        num_steps: T, to which both clips are resampled (:func:`.equidistant_steps`).
        groups: half-open ranges of feature columns.

    Returns:
        Nodes of the query beside each window, and of the windows, ``[M, T, 5 * len(groups)]`` each; in
        memory all windows of a step lie together, which is how recurrent networks read them.
    """
    own = equidistant_steps(torch.tensor([images.size(1)], device=images.device), num_steps)[0]
    exact, shown = (_steps(one, num_steps) for one in (windows, seen))  # [T, M] each
    step = torch.arange(num_steps, device=images.device).unsqueeze(1)
    version = image * num_steps + step  # of the query's step, among those of all images, [T, M]
    known = [_look_up_tables(images[..., a:b], own, reference[:, a:b], means[:, a:b]) for a, b in groups]
    nodes = reference.new_empty(2, num_steps, len(windows), RELATIVE_PER_GROUP * len(groups))
    for first in range(0, len(windows), BLOCK):
        some = slice(first, first + BLOCK)
        where = image[some], version[:, some], exact[:, some], shown[:, some]
        columns = [column for tables in known for column in tables.columns(some, *where)]
        for number, (of_query, of_window) in enumerate(columns):
            nodes[0, :, some, number], nodes[1, :, some, number] = of_query, of_window
    return nodes[0].transpose(0, 1), nodes[1].transpose(0, 1)


class _Tables(NamedTuple):
    """What the nodes of all windows share of one group of columns.

    Args:
        video: ``[r, g]``.
        means: of the windows, ``[M, g]``.
        from_own, changes, norms: of the query's steps, of all images one after the other, ``[V T]`` each.
        from_video, from_means: distances of these steps from those of the reference and from the windows'
            means, ``[V T, r]`` and ``[V T, M]``.
        means_from_video: distances of the images' means from the reference's steps, ``[V, r]``.
        video_norms: ``[r]``.
    """

    video: Tensor
    means: Tensor
    from_own: Tensor
    changes: Tensor
    norms: Tensor
    from_video: Tensor
    from_means: Tensor
    means_from_video: Tensor
    video_norms: Tensor

    def columns(
        self, some: slice, image: Tensor, version: Tensor, exact: Tensor, shown: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """The five numbers of some windows' nodes, of the query and of the window, ``[T, B]`` each."""
        clips = self.video.index_select(0, shown.flatten()).view(*shown.shape, -1)  # [T, B, g]
        changes = step_changes(clips)
        aligned = _entries(self.from_video, version, exact)
        window = torch.arange(some.start, some.start + len(image), device=image.device)
        return [
            (self.from_own.take(version), vector_norm(clips.sub_(self.means[some]), dim=2)),
            (self.changes.take(version), changes),
            (_entries(self.from_means, version, window), _entries(self.means_from_video, image, shown)),
            (aligned, aligned),
            (self.norms.take(version), self.video_norms.take(shown)),
        ]


def _look_up_tables(images: Tensor, own: Tensor, reference: Tensor, means: Tensor) -> _Tables:
    """Tables of one group of columns; ``own`` are the query's steps that are nodes, ``[T]``."""
    clips, video, means = images[:, own], reference.contiguous(), means.contiguous()  # [V, T, g], [r, g]
    mean, steps = images.mean(1), clips.flatten(0, 1)
    return _Tables(
        video,
        means,
        vector_norm(clips - mean.unsqueeze(1), dim=2).flatten(),
        step_changes(clips.transpose(0, 1)).t().flatten(),
        vector_norm(steps, dim=1),
        _distances(steps, video),
        _distances(steps, means),
        _distances(mean, video),
        vector_norm(video, dim=1),
    )


def _steps(windows: Tensor, num_steps: int) -> Tensor:
    """The steps of a video that are nodes of its windows, ``[T, M]``."""
    return windows[:, 0] + equidistant_steps(windows[:, 1] - windows[:, 0], num_steps).t()


def _entries(table: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``table[rows, columns]`` of a matrix, faster."""
    return table.take(rows * table.size(1) + columns)


def _distances(rows: Tensor, steps: Tensor) -> Tensor:
    """Distances of all rows of two matrices.

    In float64, since the differences of squares that a product of matrices gives cost half of the digits.
    """
    return torch.cdist(rows.double(), steps.double()).to(rows.dtype)


def step_changes(clips: Tensor) -> Tensor:
    """Distances of the steps of clips ``[T, M, F]`` from those before them, of the first from the next."""
    if len(clips) == 1:
        return clips.new_zeros(clips.shape[:2])
    change = vector_norm(clips[1:] - clips[:-1], dim=2)
    return torch.cat([change[:1], change])
