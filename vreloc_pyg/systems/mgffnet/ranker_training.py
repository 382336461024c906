"""Settings of MGFFNet's training runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vreloc_pyg.settings import Below1, Count, NotNegative, Positive, RunSettings, Share


@dataclass(frozen=True)
class RankerTraining(RunSettings):
    """How MGFFNet is trained. The defaults are the paper's.

    Args:
        loss: ``"triplet"`` (paper section 4.7.1) or ``"listwise"``.
        margin: of the triplet loss.
        reduction: of the triplet loss over the batch, ``"sum"`` (paper) or ``"mean"``.
        overlap_temperature: of the listwise loss, see :func:`~vreloc_pyg.nn.losses.listwise_loss`.
        score_scale: the listwise loss sees scores, which lie in [-1, 1], times this.
        l2_weight: lambda of the L2 penalty on trunk and score head.
        regression_weight: mu, the weight of the regression loss in the total (paper section 4.7).
        joint: how the paper's two accounts of its training are read. Its section 5.2.2 has two Adams, and the
            regression loss trains the regression head alone: ``False``. Its section 4.7 has one total loss,
            ranking loss + mu times regression loss: ``True``, one Adam at ``learning_rate`` minimises it over
            all weights. With two Adams mu hardly matters, since Adam divides by the size of gradients.
        regression_learning_rate: Adam, regression head, unless ``joint``; ``learning_rate`` and
            ``weight_decay`` are those of trunk and score head.
        sampler: of training episodes: one positive and one negative window, ``"triplet"`` (paper), or many
            windows from nearly right to plainly wrong, ``"graded"``.
        num_candidates: windows of a graded episode, a multiple of 4.
        own_parts: share of graded episodes whose query is a part of the reference itself, played otherwise.
        regression_overlap: candidates of greater tIoU with the answer train the regression head.
    """

    learning_rate: Positive = 1e-4
    epochs: Count = 100
    loss: Literal["triplet", "listwise"] = "triplet"
    margin: NotNegative = 0.5
    reduction: Literal["sum", "mean"] = "sum"
    overlap_temperature: Positive = 0.1
    score_scale: Positive = 20.0
    l2_weight: NotNegative = 5e-3
    regression_weight: NotNegative = 1.0
    joint: bool = False
    regression_learning_rate: Positive = 0.1
    sampler: Literal["triplet", "graded"] = "triplet"
    num_candidates: Count = 24
    own_parts: Share = 0.0
    regression_overlap: Below1 = 0.0
