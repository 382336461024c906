"""A joint transformer over query and reference that marks foreground steps and regresses their segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.pose import check_mirror
from vreloc_pyg.settings import Below1, CheckedSettings, Count, NotNegative, RunSettings
from vreloc_pyg.systems.examples import Example, PaddedClips, pad_clips
from vreloc_pyg.systems.matching_transformer.joint_layer import JointLayer, sinusoids
from vreloc_pyg.systems.matching_transformer.matching_decoding import decode
from vreloc_pyg.systems.matching_transformer.matching_losses import (
    boundary_loss,
    boundary_steps,
    focal_loss,
    span_loss,
    step_targets,
)
from vreloc_pyg.systems.matching_transformer.matching_relations import NUM_RELATIONS, relations
from vreloc_pyg.systems.network import Ranked, RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem, Traits


@dataclass(frozen=True)
class MatchingTransformerSettings(CheckedSettings):
    """Everything that decides the shape and the arithmetic of :class:`MatchingTransformer`.

    Args:
        hidden_channels: d, a multiple of ``2 * num_heads``.
        num_layers: of the encoder.
        num_heads: of its attention.
        dropout: share of values dropped in training.
        content: steps are also told by their features, not only by their relations to the query.
        foreground_weight, span_weight, boundary_weight: of the three losses of the query's answers.
        instance_weight: of the loss of where *any* annotated instance starts and ends.
        mirror_index, mirror_sign: how to mirror features, for relations to the query's mirror image too
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`); empty: none.
        boundary_share, num_kept: see :func:`.decode`.
    """

    hidden_channels: Count = 64
    num_layers: Count = 2
    num_heads: Count = 4
    dropout: Below1 = 0.2
    content: bool = True
    foreground_weight: NotNegative = 1.0
    span_weight: NotNegative = 1.0
    boundary_weight: NotNegative = 0.1
    instance_weight: NotNegative = 1.0
    mirror_index: tuple[int, ...] = ()
    mirror_sign: tuple[float, ...] = ()
    boundary_share: NotNegative = 0.07
    num_kept: Count = 48

    def __post_init__(self) -> None:
        super().__post_init__()
        check_mirror(self.mirror_index, self.mirror_sign)
        if self.hidden_channels % (2 * self.num_heads):
            raise SettingsError(
                f"Expected hidden_channels to be a multiple of 2 * num_heads = {2 * self.num_heads} "
                f"(got {self.hidden_channels})"
            )


class StepAnswers(NamedTuple):
    """What the network says of every step of padded references.

    Args:
        foreground: logits of lying in an answer, ``[B, T]``.
        spans: segment that each step would lie in, in steps, ``[B, T, 2]``.
        starts, ends: logits of being the first and the last step of an answer, ``[B, T]``.
        instances: logits of being the first and the last step of any action, ``[B, T, 2]``; in training
            they teach where actions begin and end, whichever they are.
    """

    foreground: Tensor
    spans: Tensor
    starts: Tensor
    ends: Tensor
    instances: Tensor


class MatchingTransformer(RankingNetwork):
    r"""Self-attention over the steps of query and reference together, and heads on the reference's steps.

    .. math::
        Z_0 &= [W x_q + e_q + \mathrm{pos};\; W x_r + V \rho + e_r + \mathrm{pos}], \qquad
        Z = \mathrm{Encoder}(Z_0) \\
        b_t &= \left[t + \tfrac12 - \tfrac q2 e^{u_t},\; t + \tfrac12 + \tfrac q2 e^{v_t}\right)

    In the spirit of MATR (Kumar et al., ICCV 2025) and UniVTG (Lin et al., ICCV 2023): every step of the
    reference has a foreground logit, distances to both ends of its segment, and boundary logits. Beside
    their features the reference's steps carry :math:`\rho`, their :func:`.relations` to the query, which
    mean the same for classes never seen; and distances are predicted relative to the query's length q.
    """

    settings: MatchingTransformerSettings

    def __init__(self, num_features: int, settings: MatchingTransformerSettings) -> None:
        super().__init__(num_features, settings)
        width = settings.hidden_channels
        self.features = nn.Sequential(
            nn.LayerNorm(num_features), nn.Dropout(settings.dropout), nn.Linear(num_features, width)
        )
        self.relations = nn.Sequential(
            nn.Linear(NUM_RELATIONS, width), nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(width, width)
        )
        self.types = nn.Parameter(0.02 * torch.randn(2, width))
        self.layers = nn.ModuleList(
            [JointLayer(width, settings.num_heads, settings.dropout) for _ in range(settings.num_layers)]
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 7))

    def forward(self, queries: PaddedClips, references: PaddedClips, related: Tensor) -> StepAnswers:
        """What is said of every step of B pairs, with their padded :func:`.relations` ``related``."""
        width, device = self.settings.hidden_channels, related.device
        num_query, num_steps = queries.features.size(1), references.features.size(1)
        own = self.types[0] + sinusoids(num_query, width, device)
        own = own.expand(len(related), -1, -1)  # [B, Tq, d]
        theirs = self.types[1] + sinusoids(num_steps, width, device) + self.relations(related)  # [B, T, d]
        if self.settings.content:
            own, theirs = own + self.features(queries.features), theirs + self.features(references.features)
        steps = torch.cat([own, theirs], dim=1)  # [B, Tq + T, d]
        mask = torch.cat([queries.mask, references.mask], dim=1)
        for layer in self.layers:
            steps = layer(steps, mask)
        found = self.head(self.norm(steps[:, num_query:]))  # [B, T, 7]
        # e^3 query lengths are more than any answer has; without a bound one wild step makes no number.
        half = queries.lengths.to(found).view(-1, 1, 1) / 2 * torch.exp(found[..., 1:3].clamp(-5, 3))
        centres = torch.arange(num_steps, device=device, dtype=found.dtype) + 0.5
        spans = torch.stack([centres - half[..., 0], centres + half[..., 1]], dim=-1)  # [B, T, 2]
        return StepAnswers(found[..., 0], spans, found[..., 3], found[..., 4], found[..., 5:])

    def relate(self, query: Tensor, reference: Tensor) -> Tensor:
        """The :func:`.relations` that this network is told of."""
        chosen = self.settings
        mirror = (chosen.mirror_index, chosen.mirror_sign) if chosen.mirror_index else None
        return relations(query, reference, mirror)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Windows that the steps of the reference tell of; the task's own are not looked at."""
        related = self.relate(query, reference).unsqueeze(0)
        found: StepAnswers = self(pad_clips([query]), pad_clips([reference]), related)
        foreground, spans, starts, ends = (part[0] for part in found[:4])
        kept = self.settings.boundary_share, self.settings.num_kept
        return Ranked(*decode(foreground, spans, starts, ends, *kept))


def matching_loss(network: MatchingTransformer, examples: Sequence[Example]) -> Tensor:
    """Weighted sum of the losses of foreground, segments, and boundaries of answers and of all instances."""
    queries, references = pad_clips([e.query for e in examples]), pad_clips([e.reference for e in examples])
    related = pad_clips([network.relate(e.query, e.reference) for e in examples]).features
    found: StepAnswers = network(queries, references, related)
    num_steps = references.features.size(1)
    targets = [step_targets(example.answers, num_steps) for example in examples]
    inside, spans = map(torch.stack, zip(*targets, strict=True))
    steps = torch.arange(num_steps, device=spans.device)
    first, last = inside & (spans[..., 0] == steps), inside & (spans[..., 1] - 1 == steps)
    weights, mask = network.settings, references.mask
    boundary = boundary_loss(found.starts, first, mask) + boundary_loss(found.ends, last, mask)
    bounds = torch.stack([boundary_steps(example.instances, num_steps) for example in examples])
    instances = sum(focal_loss(found.instances[..., side], bounds[..., side], mask) for side in (0, 1))
    return (
        weights.foreground_weight * focal_loss(found.foreground, inside, mask)
        + weights.span_weight * span_loss(found.spans, spans, inside)
        + weights.boundary_weight * boundary
        + weights.instance_weight * instances
    )


def mirrored(traits: Traits) -> Mapping[str, Any]:
    """Settings that know the mirror image of the data's features."""
    if traits.skeleton is None:
        return {"mirror_index": (), "mirror_sign": ()}
    index, sign = traits.skeleton.mirror_features()
    return {"mirror_index": index, "mirror_sign": sign}


MATCHING_TRANSFORMER = LearnedSystem(
    name="matching-transformer",
    row="matching-transformer",
    network=MatchingTransformer,
    settings=MatchingTransformerSettings,
    loss=matching_loss,
    training=RunSettings(
        weight_decay=1e-2, batch_size=8, steps_per_epoch=40, gradient_clip=2.0, ema_decay=0.99, augment=True
    ),
    source="in the spirit of MATR (Kumar et al., ICCV 2025) and UniVTG (Lin et al., ICCV 2023)",
    suit=mirrored,
)
