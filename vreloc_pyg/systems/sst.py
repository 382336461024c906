"""SST as a rival: the most probable action proposal of the reference, whatever the query shows.

Buch et al., *SST: Single-Stream Temporal Action Proposals*, CVPR 2017; as a baseline of video
relocalization: Feng et al., *Video Re-localization*, ECCV 2018.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings, sst_labels
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.systems.examples import Example, pad_clips
from vreloc_pyg.systems.network import Ranked, RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem, Traits


class SST(RankingNetwork):
    """An :class:`~vreloc_pyg.nn.sst_network.SSTNetwork` as a system; the query is not looked at."""

    def __init__(self, num_features: int, settings: SSTSettings) -> None:
        super().__init__(num_features, settings)
        self.sst = SSTNetwork(num_features, settings)

    @property
    def takes(self) -> frozenset[str]:
        return frozenset()

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Every anchor inside the reference with its probability; of equal ones the shortest, then earliest.

        Neither the query nor the windows are looked at.
        """
        return Ranked(*self.sst.score_anchors(reference))

    def proposals(self) -> SSTProposals:
        """The network's best anchors as candidate windows for other systems."""
        return SSTProposals(self.sst)


def anchor_loss(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    r"""Class-balanced binary cross-entropy, averaged over steps and summed over anchors.

    .. math::
        L = -\sum_j \frac{1}{N_j} \sum_{b,t} (1 - w_j)\, y_{btj} \log \sigma(z_{btj})
        + w_j (1 - y_{btj}) \log (1 - \sigma(z_{btj}))

    over the :math:`N_j` steps of the batch at which anchor j exists; :math:`w_j` is the share of positive
    labels among them. Of an anchor without a positive one in the batch nothing is learned.

    Args:
        logits, labels: z, and y as bool, ``[B, T, K]``.
        valid: which anchors lie inside their video, ``[B, T, K]`` bool.
    """
    count = valid.sum((0, 1)).clamp(min=1)  # [K]
    rate = (labels & valid).sum((0, 1)) / count
    weight = torch.where(labels, 1 - rate, rate) * valid
    entropy = functional.binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none")
    return ((weight * entropy).sum((0, 1)) / count).sum()


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
    states = network.sst.states(references.features)
    lengths = [len(one.reference) for one in examples]
    labels, valid = batch_labels(lengths, [one.instances for one in examples], network.settings)
    return anchor_loss(network.sst.anchors(states), labels.to(states.device), valid.to(states.device))


def widen_anchors(traits: Traits) -> Mapping[str, Any]:
    """Settings whose anchors reach ``longest`` steps: the same number of anchors, further apart."""
    return {"stride": math.ceil(traits.longest / SSTSettings().num_anchors)}


SST_RIVAL = LearnedSystem(
    name="sst",
    row="sst",
    published="SST",
    network=SST,
    settings=SSTSettings,
    loss=sst_loss,
    training=RunSettings(learning_rate=1e-3, batch_size=32, gradient_clip=100.0),
    source="Buch et al., SST: Single-Stream Temporal Action Proposals, CVPR 2017",
    suit=widen_anchors,
)
