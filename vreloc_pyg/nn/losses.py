"""Losses on scores and offsets. None of them knows a model or a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError


def triplet_loss(scores: Tensor, margin: float = 0.5, reduction: Literal["sum", "mean"] = "sum") -> Tensor:
    r"""Hinge between a positive proposal and each negative (paper section 4.7.1).

    .. math::
        L_{tri} = \sum_{i=1}^N \sum_{n} \max(0, \gamma - S(q_i, p_i) + S(q_i, n))

    The L2 term of the paper's loss is :func:`l2_penalty`.

    Args:
        scores: of N queries, the positive first, then one or more negatives, ``[N, 1 + C]``.
        margin: :math:`\gamma`.
        reduction: ``"sum"`` over the batch (paper) or ``"mean"``.
    """
    if reduction not in ("sum", "mean"):
        raise SettingsError(f"Expected reduction to be 'sum' or 'mean' (got {reduction!r})")
    hinge = (margin - scores[:, :1] + scores[:, 1:]).clamp(min=0)
    return hinge.sum() if reduction == "sum" else hinge.mean()


def l2_penalty(parameters: Iterable[Tensor], weight: float = 5e-3) -> Tensor:
    r""":math:`\lambda \lVert\theta\rVert_2^2` over the parameters of trunk and score head (section 4.7.1)."""
    return weight * torch.stack([parameter.square().sum() for parameter in parameters]).sum()


def regression_loss(offsets: Tensor, targets: Tensor) -> Tensor:
    r"""L1 distance of both offsets, averaged over the batch (paper section 4.7.2).

    .. math::
        L_{reg} = \frac1N \sum_{i=1}^N |T_{c,i} - T^*_{c,i}| + |T_{l,i} - T^*_{l,i}|

    of positive proposals, ``[N, 2]`` each; targets are those of :func:`vreloc_pyg.segments.encode_offsets`.
    """
    return (offsets - targets).abs().sum(dim=-1).mean()


def listwise_loss(logits: Tensor, overlaps: Tensor, temperature: float = 0.1) -> Tensor:
    r"""Cross-entropy between the ranking of candidates by score and by overlap.

    .. math::
        L = -\frac1N \sum_{i=1}^N \sum_c y_{ic} \log \mathrm{softmax}_c(s_{i}), \qquad
        y_i = \mathrm{softmax}(o_i / \tau)

    (ListNet, Cao et al., ICML 2007.) Unlike the hinge it also orders candidates that all overlap the truth.

    Args:
        logits: of C candidates of N queries, ``[N, C]``.
        overlaps: tIoU of each candidate with the true segment, 0 for other actions, ``[N, C]``.
        temperature: :math:`\tau`; smaller puts all weight on the best candidate.
    """
    target = torch.softmax(overlaps / temperature, dim=1)
    return -(target * torch.log_softmax(logits, dim=1)).sum(1).mean()
