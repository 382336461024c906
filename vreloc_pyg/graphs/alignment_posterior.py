"""How likely two steps are aligned, over all alignments of two clips whose slope is limited."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.errors import GraphError

#: Logarithm of the weight of a path that does not exist; finite, so that differences stay numbers.
IMPOSSIBLE = -1e4


def alignment_posterior(
    distances: Tensor, places: Tensor, sharpness: float = 10.0, slack: float = 0.07
) -> tuple[Tensor, Tensor]:
    r"""Posterior of the cells of a slope-limited alignment of a query with windows, and its cost.

    A path goes from the first to the last query step by the moves (1, 1), (1, 2) and (2, 1) in query and
    window steps (Sakoe and Chiba, IEEE Trans. ASSP 26, 1978). A move costs the mean distance of the two cells
    that it joins for every query step that it covers, and both ends of a path half their distance more, so
    that every path has as many query steps to pay for. Its weight is

    .. math::
        w(\pi) = \exp\left(-\beta\, c(\pi) - \frac{v_a^2 + (v_b - 1)^2}{2 s^2}\right)

    where a and b are the window steps at which it starts and ends. The posterior of a cell is the share of
    the paths through it, by weight; the cost is the soft minimum
    :math:`-\log(\sum_\pi w(\pi)) / (\beta T_q)`. The sums over all paths are made by the forward-backward
    recursion, all windows at once.

    Args:
        distances: of query and window steps, ``[M, Tq, Tp]``.
        places: v, where the window steps lie: 0 at the window's start and 1 at its end, ``[M, Tp]``.
        sharpness: beta.
        slack: s, how far from the window's ends a path may start and end, in window lengths.

    Returns:
        Logarithms of the posterior, ``[M, Tq, Tp]``, and costs per query step, ``[M]``.

    Raises:
        GraphError: if the window steps are too few for any path: fewer than (Tq + 1) / 2.
    """
    num_query, num_proposal = distances.shape[1:]
    if 2 * num_proposal < num_query + 1:
        raise GraphError(
            f"{num_query} query steps cannot be aligned with {num_proposal} window steps at a slope of at "
            f"most 2; expected at least {(num_query + 2) // 2}"
        )
    # All windows of a cell lie together, so that a row of cells is one piece of memory.
    half = -0.5 * sharpness * distances.permute(1, 2, 0)  # [Tq, Tp, M]
    first = -places.t().square() / (2 * slack**2)
    last = -(places.t() - 1).square() / (2 * slack**2)
    # The recursion from the end is that from the start on the table turned round; both run as one batch.
    both = _partial_sums(torch.cat([half, half.flip(0, 1)], 2), torch.cat([first, last.flip(0)], 1))
    forward, backward = both[..., : len(distances)], both[..., len(distances) :]
    through = forward + backward.flip(0, 1)  # every path through the cell
    total = torch.logsumexp(through[0], dim=0)
    return (through - total).permute(2, 0, 1), -total / (sharpness * num_query)


def _partial_sums(half: Tensor, first: Tensor) -> Tensor:
    """Logarithms of the weights of all paths from the first query step to every cell, ``[Tq, Tp, M]``.

    ``half`` are half the cells' logarithmic weights, and ``first`` those of where a path starts, ``[Tp, M]``.
    """
    rows, nowhere = [first + half[0]], torch.full_like(first, IMPOSSIBLE)
    skipping = nowhere[1:]  # over the row before, so that the first two rows have none
    for i in range(1, len(half)):
        before = rows[-1] + half[i - 1]
        one_on = torch.logaddexp(before[:-1], skipping + half[i, 1:])
        two_on = torch.logaddexp(one_on[1:], before[:-2])
        rows.append(torch.cat([nowhere[:1], one_on[:1], two_on]) + half[i])
        skipping = (before + half[i - 1])[:-1]
    return torch.stack(rows)
