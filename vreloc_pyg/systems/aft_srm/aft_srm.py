"""AFT+SRM: attention-based fusion of two clips, and their relevance by convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import TrainingPool, TripletSampler
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.encoder import ClipEncoder
from vreloc_pyg.nn.heads import RegressionHead, ScoreHead
from vreloc_pyg.nn.losses import regression_loss, triplet_loss
from vreloc_pyg.nn.ranking import refine_windows
from vreloc_pyg.nn.relevance import Relevance
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import encode_offsets
from vreloc_pyg.sequences.windows import cut_windows
from vreloc_pyg.settings import Below1, CheckedSettings, Count, Positive, RunSettings, Steps
from vreloc_pyg.systems.aft_srm.attention_fusion import AttentionFusion, relevance_blocks
from vreloc_pyg.systems.examples import draw_hard_window
from vreloc_pyg.systems.network import EVERYTHING, Ranked, RankingNetwork, without
from vreloc_pyg.systems.spec import LearnedSystem
from vreloc_pyg.training.recipe import Group


@dataclass(frozen=True)
class AFTSRMSettings(CheckedSettings):
    """Everything that decides the shape and the arithmetic of :class:`AFTSRM`.

    Args:
        hidden_channels: d, of both encoders; 500 in the literal reading.
        num_steps: T, to which clips are brought; 40 in the literal reading, at 6 times the cost of 16.
        fit: how, see :func:`~vreloc_pyg.sequences.windows.cut_windows`.
        fusion_channels: of the fused tensor.
        channels: of the convolution blocks, each of which halves the tensor.
        head_channels: of the hidden layer of both heads.
        dropout: share of encoder outputs dropped in training.
        refine: windows are moved by their predicted offsets.
        regression_learning_rate: of the regression head alone.
        chunk: windows scored at once, which bounds the memory.
    """

    hidden_channels: Count = 128
    num_steps: Steps = 16
    fit: Literal["resample", "pad"] = "resample"
    fusion_channels: Count = 64
    channels: tuple[Count, ...] = (64, 64, 128, 128)
    head_channels: Count = 64
    dropout: Below1 = 0.4
    refine: bool = True
    regression_learning_rate: Positive = 1e-3
    chunk: Count = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 2 ** len(self.channels)
        if not self.channels or self.num_steps < least:
            raise SettingsError(
                f"Expected channels of at least one block, and num_steps >= {least}, since each halves it "
                f"(got {self.channels} and {self.num_steps})"
            )


class AFTSRM(RankingNetwork):
    """Scores a window by convolutions over the fusion of its steps with the query's.

    A reconstruction, not a copy: "AFT+SRM" is known from a comparison and a description in words (Huo et
    al., "Semantic relevance learning for video-query based video moment retrieval", IEEE Transactions on
    Multimedia 25, 2023); no code was published. Attention-based fusion makes a tensor of both clips'
    encoded steps (:class:`.AttentionFusion`), and the semantic relevance measure is made of convolutions
    only. Encoders, losses and the regression are those of :class:`~vreloc_pyg.nn.MGFFNet`; the shapes are
    this package's choice.
    """

    settings: AFTSRMSettings

    def __init__(self, num_features: int, settings: AFTSRMSettings) -> None:
        super().__init__(num_features, settings)
        width = settings.hidden_channels
        self.query_encoder = ClipEncoder(num_features, width, settings.dropout)
        self.proposal_encoder = ClipEncoder(num_features, width, settings.dropout)
        self.fusion = AttentionFusion(width, settings.fusion_channels)
        self.relevance = relevance_blocks(settings.fusion_channels, settings.channels)
        self.score_head = ScoreHead(settings.channels[-1], (settings.head_channels,))
        self.regression_head = RegressionHead(settings.channels[-1], (settings.head_channels,))

    @property
    def takes(self) -> frozenset[str]:
        return EVERYTHING

    def forward(
        self, queries: Tensor, proposals: Tensor, query_mask: Tensor, proposal_mask: Tensor
    ) -> Relevance:
        """Scores and offsets of pairs of clips; offsets send no gradient into the trunk.

        Clips are ``[B, T, F]``, or ``[1, T, F]`` for one query of all proposals; masks say which steps exist.
        """
        fused = self.fusion(
            self.query_encoder(queries), self.proposal_encoder(proposals), query_mask, proposal_mask
        )
        pooled = self.relevance(fused)  # [B, d']
        return Relevance(self.score_head(pooled), self.regression_head(pooled.detach()))

    def clips(self, features: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Windows ``[M, 2]`` of a video ``[N, F]`` as clips of T steps, and which of these exist."""
        return cut_windows(features, windows, self.settings.num_steps, self.settings.fit)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Score every window, and refine it where the settings say so."""
        own, own_mask = self.clips(query, torch.tensor([[0, len(query)]], device=query.device))
        parts = []
        for some in windows.split(self.settings.chunk):
            clips, mask = self.clips(reference, some)
            parts.append(self(own, clips, own_mask, mask))
        scores, offsets = map(torch.cat, zip(*parts, strict=True))
        refined = refine_windows(windows, offsets, len(reference)) if self.settings.refine else None
        return Ranked(windows, scores, refined)

    def parameter_groups(self, training: RunSettings) -> list[Group]:
        """The trunk and the score head at one rate, the regression head at its own."""
        decay, head = training.weight_decay, self.regression_head
        return [
            Group(without(self, head), training.learning_rate, decay),
            Group(list(head.parameters()), self.settings.regression_learning_rate, decay),
        ]


class TripletExample(NamedTuple):
    """A query and two windows.

    Args:
        query: features, ``[q, F]``.
        positive, negative: features of a window that shows its action, ``[p, F]``, and of one that shows
            none or another, ``[n, F]``.
        offsets: of the positive window from its instance
            (:func:`~vreloc_pyg.segments.encode_offsets`), ``[2]``.
    """

    query: Tensor
    positive: Tensor
    negative: Tensor
    offsets: Tensor


#: Positives are instances with jittered ends, since a draw knows no task's proposals.
SAMPLER = TripletSampler(SlidingWindows(shortest=2), positive_jitter=0.1)


def draw_triplet(
    pool: TrainingPool, rng: np.random.Generator, augmentation: Augmentation | None
) -> TripletExample:
    """Draw a triplet of :data:`SAMPLER`; arguments as of :func:`.draw_example`.

    Half of the negatives are hard windows of the same reference (:func:`.draw_hard_window`): other actions
    alone do not teach where to stop.
    """
    query, (right, wrong) = SAMPLER.draw(pool, rng)
    own = query.features
    cut = [one.reference.features[slice(*one.windows[0].tolist())] for one in (right, wrong)]
    if rng.random() < 0.5:
        hard = draw_hard_window(right.reference, right.reference.steps_of(query.label), rng)
        if hard is not None:
            cut[1] = right.reference.features[slice(*hard.tolist())]
    if augmentation is not None:
        change = augmentation.draw_episode(own.size(1), rng)
        own = change(augmentation.draw_query(own.size(1), rng)(own))
        cut = [change(clip) for clip in cut]
    offsets = encode_offsets(right.windows[0].float(), right.truths[0].float())
    return TripletExample(own, cut[0], cut[1], offsets)


def aft_srm_loss(network: AFTSRM, examples: Sequence[TripletExample]) -> Tensor:
    r"""Hinge of score and L1 distance of offsets, averaged over a batch of B triplets.

    .. math::
        L = \frac1B \sum_i \max(0, \tfrac12 - S(q_i, p_i) + S(q_i, n_i)) + \lVert T_i - T_i^* \rVert_1
    """
    queries, query_mask = _clips(network, [example.query for example in examples])
    windows = [example.positive for example in examples] + [example.negative for example in examples]
    clips, mask = _clips(network, windows)
    found: Relevance = network(queries.repeat(2, 1, 1), clips, query_mask.repeat(2, 1), mask)
    targets = torch.stack([example.offsets for example in examples])
    scores = found.score.view(2, -1).T  # [B, 2]
    return triplet_loss(scores, reduction="mean") + regression_loss(found.offsets[: len(examples)], targets)


def _clips(network: AFTSRM, clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Whole clips, brought to T steps: ``[B, T, F]`` and their mask."""
    ends = torch.tensor([len(clip) for clip in clips], device=clips[0].device).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    return network.clips(torch.cat(list(clips)), torch.stack([starts, ends], dim=1))


AFT_SRM = LearnedSystem(
    name="aft-srm",
    row="aft-srm",
    published="AFT+SRM",
    network=AFTSRM,
    settings=AFTSRMSettings,
    loss=aft_srm_loss,
    draw=draw_triplet,
    judged_windows=64,  # a window costs a convolution, and a validation of all more than the training
    training=RunSettings(
        weight_decay=1e-2, batch_size=16, steps_per_epoch=50, gradient_clip=2.0, ema_decay=0.99, augment=True
    ),
    source="Huo et al., IEEE Transactions on Multimedia 25, 2023 (a reconstruction)",
)
