"""What MGFFNet minimises: a ranking loss and a regression loss."""

from __future__ import annotations

from torch import Tensor

from vreloc_pyg.nn.losses import l2_penalty, listwise_loss, regression_loss, triplet_loss
from vreloc_pyg.systems.mgffnet.episodes import EpisodeBatch
from vreloc_pyg.systems.mgffnet.ranker import MGFFRanker
from vreloc_pyg.systems.mgffnet.ranker_training import RankerTraining


def ranker_loss(network: MGFFRanker, batch: EpisodeBatch, training: RankerTraining) -> dict[str, Tensor]:
    """Both losses of a batch (paper section 4.7).

    The ranking loss moves the trunk and the score head. The regression loss, times its weight, moves the
    regression head; the trunk too only where ``training.joint`` says so, else it sees the pooled features
    detached. It is left out where fewer than two candidates overlap their answer enough, since batch norm
    cannot normalise one row.
    """
    pooled = network.pool(batch.pairs)
    scores = network.model.score_head(pooled.graph).view(batch.overlaps.shape)
    ranking = ranking_loss(scores, batch.overlaps, training)
    if training.l2_weight:
        ranking = ranking + l2_penalty(network.ranking_parameters(), training.l2_weight)
    losses = {"ranking_loss": ranking}
    chosen = (batch.overlaps > training.regression_overlap).flatten()
    if chosen.sum() > 1:
        seen = pooled if training.joint else pooled.detached()
        offsets = network.model.regress(seen.rows(chosen))
        error = regression_loss(offsets, batch.offsets.flatten(0, 1)[chosen])
        losses["regression_loss"] = training.regression_weight * error
    return losses


def ranking_loss(scores: Tensor, overlaps: Tensor, training: RankerTraining) -> Tensor:
    """The chosen loss of scores and overlaps, ``[B, C]`` each, without the L2 penalty."""
    if training.loss == "triplet":
        return triplet_loss(scores, training.margin, training.reduction)
    return listwise_loss(training.score_scale * scores, overlaps, training.overlap_temperature)
