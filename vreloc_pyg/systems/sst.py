"""SST as a rival: the most probable action proposal of the reference, whatever the query shows.

Buch et al., *SST: Single-Stream Temporal Action Proposals*, CVPR 2017; as a baseline of video
relocalization: Feng et al., *Video Re-localization*, ECCV 2018.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings, sst_labels
from vreloc_pyg.systems.spec import (
    Example,
    Mirror,
    Ranked,
    Rival,
    RivalNetwork,
    RivalTraining,
    pad_clips,
)

SOURCE = "Buch et al., SST: Single-Stream Temporal Action Proposals, CVPR 2017"


@dataclass(frozen=True)
class SSTTripletSettings(SSTSettings):
    """:class:`~vreloc_pyg.nn.sst_network.SSTSettings`, and the triplet term of the loss.

    Args:
        triplet_weight: of the triplet term; the anchors' term has 1.
        margin: by which the query is to be more like states in the answer than like others, as a cosine.

    Raises:
        SettingsError: if a value is impossible.
    """

    triplet_weight: float = 1.0
    margin: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.triplet_weight < 0 or self.margin < 0:
            raise SettingsError(
                f"Expected triplet_weight >= 0 and margin >= 0 (got {self.triplet_weight} and {self.margin})"
            )


class SST(RivalNetwork):
    """An :class:`~vreloc_pyg.nn.sst_network.SSTNetwork` as a system; the query is not looked at.

    Args:
        num_features: F, width of the features.
        settings: of the network; :class:`SSTTripletSettings` for the loss with triplets.
    """

    def __init__(self, num_features: int, settings: SSTSettings) -> None:
        super().__init__(num_features, settings)
        self.sst = SSTNetwork(num_features, settings)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Every anchor inside the reference with its probability; of equal ones the shortest, then earliest.

        Args:
            query: not looked at.
            reference: ``[r, F]``.
            windows: not looked at.
        """
        return Ranked(*self.sst.score_anchors(reference))


def anchor_loss(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    r"""Class-balanced binary cross-entropy, averaged over steps and summed over anchors.

    .. math::
        L = -\sum_j \frac{1}{N_j} \sum_{b,t} (1 - w_j)\, y_{btj} \log \sigma(z_{btj})
        + w_j (1 - y_{btj}) \log (1 - \sigma(z_{btj}))

    over the :math:`N_j` steps of the batch at which anchor j exists; :math:`w_j` is the share of positive
    labels among them. Of an anchor without a positive one in the batch nothing is learned.

    Args:
        logits: z, ``[B, T, K]``.
        labels: y, ``[B, T, K]`` bool.
        valid: which anchors lie inside their video, ``[B, T, K]`` bool.
    """
    count = valid.sum((0, 1)).clamp(min=1)  # [K]
    rate = (labels & valid).sum((0, 1)) / count
    weight = torch.where(labels, 1 - rate, rate) * valid
    entropy = functional.binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none")
    return ((weight * entropy).sum((0, 1)) / count).sum()


def cosine_hinge(similarity: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.5) -> Tensor:
    r"""Hinge between every positive and every negative step of a reference, averaged over those pairs.

    .. math::
        L = \frac1B \sum_b \frac{1}{|P_b| |N_b|} \sum_{p \in P_b} \sum_{n \in N_b}
        \max(0, \gamma - s_{bp} + s_{bn})

    A reference without a positive or without a negative step counts with 0.

    Args:
        similarity: s, of query and steps, ``[B, T]``.
        positive, negative: which steps are, ``[B, T]`` bool.
        margin: :math:`\gamma`.
    """
    hinge = (margin - similarity.unsqueeze(2) + similarity.unsqueeze(1)).clamp(min=0)  # [B, P, N]
    pairs = positive.unsqueeze(2) & negative.unsqueeze(1)
    return ((hinge * pairs).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)).mean()


def batch_labels(
    lengths: Sequence[int], instances: Sequence[Tensor], settings: SSTSettings
) -> tuple[Tensor, Tensor]:
    """Labels of videos of different lengths, and which anchors lie in them, ``[B, T, K]`` bool each."""
    made = [sst_labels(num_steps, own, settings) for num_steps, own in zip(lengths, instances, strict=True)]
    labels, valid = (pad_clips(part).features for part in zip(*made, strict=True))
    return labels, valid


def sst_loss(network: SST, examples: Sequence[Example]) -> Tensor:
    """:func:`anchor_loss` of references, where *all* annotated instances are positive.

    SST knows no query, so an instance of any class is an action to propose.
    """
    references = pad_clips([one.reference for one in examples])
    return _anchor_term(network, network.sst.states(references.features), examples)


def sst_triplet_loss(network: SST, examples: Sequence[Example]) -> Tensor:
    """:func:`sst_loss`, plus :func:`cosine_hinge` of the query's last state and the reference's states.

    A step is positive where some anchor that ends there is one of an answer to the query, else negative.
    """
    settings: SSTTripletSettings = network.settings
    references, queries = (
        pad_clips([one.reference for one in examples]),
        pad_clips([one.query for one in examples]),
    )
    states = network.sst.states(references.features)  # [B, T, d]
    rows = torch.arange(len(examples), device=states.device)
    last = network.sst.states(queries.features)[rows, queries.lengths - 1]  # [B, d]
    similarity = functional.cosine_similarity(states, last.unsqueeze(1), dim=-1)
    answers, _ = batch_labels(references.lengths.tolist(), [one.answers for one in examples], settings)
    positive = answers.any(-1).to(states.device)
    triplets = cosine_hinge(similarity, positive, ~positive & references.mask, settings.margin)
    return _anchor_term(network, states, examples) + settings.triplet_weight * triplets


def _anchor_term(network: SST, states: Tensor, examples: Sequence[Example]) -> Tensor:
    lengths = [len(one.reference) for one in examples]
    labels, valid = batch_labels(lengths, [one.instances for one in examples], network.settings)
    return anchor_loss(network.sst.anchors(states), labels.to(states.device), valid.to(states.device))


def widen_anchors(longest: int, mirror: Mirror | None) -> Mapping[str, Any]:
    """Settings whose anchors reach ``longest`` steps: the same number of anchors, further apart."""
    return {"stride": math.ceil(longest / SSTSettings().num_anchors)}


SST_RIVAL = Rival(
    name="sst",
    network=SST,
    settings=SSTSettings,
    loss=sst_loss,
    training=RivalTraining(learning_rate=1e-3, batch_size=32, gradient_clip=100.0),
    source=SOURCE,
    suit=widen_anchors,
)

SST_TRIPLET = Rival(
    name="sst-triplet",
    network=SST,
    settings=SSTTripletSettings,
    loss=sst_triplet_loss,
    training=SST_RIVAL.training,
    source=f"{SOURCE}, trained with triplets too",
    suit=widen_anchors,
)
