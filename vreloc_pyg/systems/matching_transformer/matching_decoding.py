"""From what a network says of every step of a reference to windows with scores."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.segments import clip_segments, temporal_iou

#: So many of a reference's steps judge its windows.
NUM_VOTERS = 20


def decode(
    foreground: Tensor, spans: Tensor, starts: Tensor, ends: Tensor, boundary_share: float, num_kept: int
) -> tuple[Tensor, Tensor]:
    r"""Windows that likely bound an answer and that the surest steps agree on, with scores.

    .. math::
        S[s, e) = \frac1{|V|} \sum_{t \in V} p_t\, \mathrm{tIoU}([s, e), b_t)
        + \beta \left(\log \mathrm{softmax}_s(y) + \log \mathrm{softmax}_{e-1}(z)\right)

    where V are the :data:`NUM_VOTERS` steps of greatest foreground probability p. Candidates are every
    pair of a likely start with a later likely end, and the segments b of all steps.

    Args:
        foreground, spans: logits, ``[T]``, and b, in steps, ``[T, 2]``.
        starts, ends: logits y and z of first and last steps, ``[T]``.
        boundary_share: :math:`\beta`.
        num_kept: likely starts, and ends, that are paired.

    Returns:
        Distinct step intervals inside the reference, ``[M, 2]`` int64, and scores ``[M]`` float64.
    """
    num_steps = len(foreground)
    first = starts.topk(min(num_kept, num_steps)).indices
    last = ends.topk(min(num_kept, num_steps)).indices
    pairs = torch.cartesian_prod(first, last + 1)
    windows = torch.cat([pairs[pairs[:, 0] < pairs[:, 1]], whole_steps(spans, num_steps)])
    windows = torch.unique(windows, dim=0)
    sure = torch.sigmoid(foreground.double()).topk(min(NUM_VOTERS, num_steps))
    voters = clip_segments(spans[sure.indices].double(), float(num_steps), 1.0)
    agreement = (temporal_iou(windows.double(), voters) * sure.values).mean(1)
    likely = [torch.log_softmax(logits.double(), dim=0) for logits in (starts, ends)]
    return windows, agreement + boundary_share * (likely[0][windows[:, 0]] + likely[1][windows[:, 1] - 1])


def whole_steps(spans: Tensor, num_steps: int) -> Tensor:
    """The nearest step intervals of at least one step inside a video, ``[M, 2]`` int64."""
    start = spans[:, 0].round().long().clamp(0, num_steps - 1)
    end = torch.maximum(spans[:, 1].round().long().clamp(max=num_steps), start + 1)
    return torch.stack([start, end], dim=1)
