"""Losses of the matching transformer, on padded batches. None of them knows the network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def step_targets(answers: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
    """Which steps lie in an answer, of half-open step intervals ``[G, 2]`` int64, and in which.

    ``[T]`` bool, and the interval of each such step, the first of several, ``[T, 2]`` int64; zeros elsewhere.
    """
    steps = torch.arange(num_steps, device=answers.device).unsqueeze(1)
    holds = (answers[:, 0] <= steps) & (steps < answers[:, 1])  # [T, G]
    inside = holds.any(1)
    spans = answers[holds.to(torch.uint8).argmax(1)]
    return inside, torch.where(inside.unsqueeze(1), spans, 0)


def boundary_steps(instances: Tensor, num_steps: int) -> Tensor:
    """Which steps are the first, and which the last, of a half-open interval ``[G, 2]``; ``[T, 2]`` bool."""
    targets = torch.zeros(num_steps, 2, dtype=torch.bool, device=instances.device)
    targets[instances[:, 0], 0] = True
    targets[instances[:, 1] - 1, 1] = True
    return targets


def focal_loss(logits: Tensor, targets: Tensor, mask: Tensor, focus: float = 2.0) -> Tensor:
    r"""Focal cross-entropy of yes and no, averaged over the steps that exist (Lin et al., ICCV 2017).

    .. math::
        L = -\frac1{|M|} \sum_{t \in M} (1 - p_t)^\gamma \log p_t

    where :math:`p_t` is the probability of the right decision.

    Args:
        logits, targets: ``[B, T]``, the targets bool.
        mask: which steps exist, M, ``[B, T]`` bool.
        focus: :math:`\gamma`; 0 is plain cross-entropy.
    """
    plain = F.binary_cross_entropy_with_logits(logits, targets.to(logits), reduction="none")
    weighted = (1 - torch.exp(-plain)) ** focus * plain if focus else plain
    return weighted[mask].mean()


def span_loss(spans: Tensor, targets: Tensor, inside: Tensor) -> Tensor:
    r"""One minus the distance-tIoU, averaged over the steps inside an answer (Zheng et al., AAAI 2020).

    .. math::
        L = \frac1{|I|} \sum_{t \in I} 1 - \mathrm{tIoU}(b_t, b^*_t)
        + \left(\frac{c_t - c^*_t}{\mathrm{hull}_t}\right)^2

    where c are centres and hull is the length of the shortest segment that covers both.

    Args:
        spans, targets: predicted, b, and true, ``[B, T, 2]`` in one unit.
        inside: I, ``[B, T]`` bool.
    """
    spans, truths = spans[inside], targets[inside].to(spans)
    if len(spans) == 0:
        return spans.sum()
    (start, end), (true_start, true_end) = spans.unbind(1), truths.unbind(1)
    overlap = (torch.minimum(end, true_end) - torch.maximum(start, true_start)).clamp(min=0)
    union = (end - start) + (true_end - true_start) - overlap
    hull = torch.maximum(end, true_end) - torch.minimum(start, true_start)
    apart = ((start + end) - (true_start + true_end)) / 2
    return (1 - overlap / union + (apart / hull).square()).mean()


def boundary_loss(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    r"""Negative log-likelihood that a draw of the steps' softmax is a right one, averaged over the batch.

    .. math::
        L = -\frac1B \sum_b \log \sum_{t \in R_b} \mathrm{softmax}_t(z_b)

    Args:
        logits: z, ``[B, T]``.
        targets: the right steps R, at least one for each of the batch, ``[B, T]`` bool.
        mask: which steps exist, ``[B, T]`` bool.
    """
    everything = torch.logsumexp(logits.masked_fill(~mask, -torch.inf), dim=1)
    right = torch.logsumexp(logits.masked_fill(~(targets & mask), -torch.inf), dim=1)
    return (everything - right).mean()
