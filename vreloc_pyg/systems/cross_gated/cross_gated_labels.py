"""Start, end, inside and outside of answers: labels of steps, their loss, and scores of segments."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.systems.examples import segments_up_to

#: Columns of labels and logits.
START, END, INSIDE, OUTSIDE = range(4)


def step_labels(answers: Tensor, num_steps: int) -> Tensor:
    r"""Soft labels of the steps of a reference (Feng et al., ECCV 2018, section 3.3).

    A step may be the first of an answer, the last, inside and outside; the first and the last are inside
    too. Every row is divided by its sum.

    Args:
        answers: half-open step intervals within the reference, all of them labelled, ``[G, 2]`` int64.
        num_steps: r; of shares of start, end, inside and outside ``[r, 4]`` float32 are returned.
    """
    steps = torch.arange(num_steps, device=answers.device).unsqueeze(1)
    starts, ends = answers.unbind(1)
    inside = ((starts <= steps) & (steps < ends)).any(1)  # [r]
    columns = [(steps == starts).any(1), (steps == ends - 1).any(1), inside, ~inside]
    labels = torch.stack(columns, dim=1).float()
    return labels / labels.sum(1, keepdim=True)


def step_loss(logits: Tensor, labels: Tensor, mask: Tensor, boundary_weight: float = 10.0) -> Tensor:
    r"""Weighted cross-entropy with soft labels (Feng et al., ECCV 2018, Eq. 10).

    .. math::
        L = -\frac1N \sum_{b, t} w_{bt} \sum_c y_{btc} \log \mathrm{softmax}_c(z_{bt})

    N counts the steps that exist; w is the boundary weight where a step starts or ends an answer, else 1.

    Args:
        logits, labels: z, and y of :func:`step_labels`, ``[B, r, 4]``.
        mask: which steps exist, ``[B, r]`` bool.
    """
    logits, labels = logits[mask], labels[mask]  # [N, 4]
    entropy = -(labels * logits.log_softmax(dim=1)).sum(1)
    boundary = (labels[:, START] > 0) | (labels[:, END] > 0)
    return torch.where(boundary, boundary_weight * entropy, entropy).mean()


def score_segments(log_probabilities: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    r"""Every segment with its score (Feng et al., ECCV 2018, Eq. 11).

    .. math::
        S(s, L) = \log p^S_s + \log p^E_{s + L - 1} + \frac{1}{m} \sum_{t = s}^{s + m - 1} \log p^I_t,
        \qquad m = \max(1, L - 1)

    Args:
        log_probabilities: of start, end, inside and outside, ``[r, 4]``.
        longest: greatest L in steps.

    Returns:
        Windows of :func:`.segments_up_to` ``[M, 2]`` and their scores ``[M]``.
    """
    windows = segments_up_to(len(log_probabilities), longest).to(log_probabilities.device)
    start, end = windows.unbind(1)
    last = torch.maximum(end - 1, start + 1)  # the end itself is left out of the mean
    # In double precision, since differences of sums over the whole reference cancel.
    sums = torch.nn.functional.pad(log_probabilities[:, INSIDE].double().cumsum(0), (1, 0))  # [r + 1]
    mean = ((sums[last] - sums[start]) / (last - start)).to(log_probabilities)
    scores = log_probabilities[start, START] + log_probabilities[end - 1, END] + mean
    return windows, scores
