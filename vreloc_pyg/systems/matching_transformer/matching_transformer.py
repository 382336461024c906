"""A joint transformer over query and reference that marks foreground steps and regresses their segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.systems.matching_transformer.joint_layer import JointLayer, sinusoids
from vreloc_pyg.systems.matching_transformer.matching_decoding import decode
from vreloc_pyg.systems.matching_transformer.matching_losses import (
    boundary_loss,
    focal_loss,
    span_loss,
    step_targets,
)
from vreloc_pyg.systems.matching_transformer.matching_relations import NUM_RELATIONS, relations
from vreloc_pyg.systems.spec import (
    Example,
    Mirror,
    PaddedClips,
    Ranked,
    Rival,
    RivalNetwork,
    RivalTraining,
    pad_clips,
)


@dataclass(frozen=True)
class MatchingTransformerSettings:
    """Everything that decides the shape and the arithmetic of :class:`MatchingTransformer`.

    Args:
        hidden_channels: d, a multiple of ``2 * num_heads``.
        num_layers: of the encoder.
        num_heads: of its attention.
        dropout: share of values dropped in training.
        content: steps are also told by their features, not only by their relations to the query.
        foreground_weight, span_weight, boundary_weight: of the three losses.
        mirror_index, mirror_sign: how to mirror features, for relations to the query's mirror image too
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`); empty: none.
        boundary_share, num_kept: see :func:`.decode`.

    Raises:
        SettingsError: for an impossible value.
    """

    hidden_channels: int = 64
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.2
    content: bool = True
    foreground_weight: float = 1.0
    span_weight: float = 1.0
    boundary_weight: float = 0.1
    mirror_index: tuple[int, ...] = ()
    mirror_sign: tuple[float, ...] = ()
    boundary_share: float = 0.07
    num_kept: int = 48

    def __post_init__(self) -> None:
        object.__setattr__(self, "mirror_index", tuple(self.mirror_index))
        object.__setattr__(self, "mirror_sign", tuple(self.mirror_sign))
        if len(self.mirror_index) != len(self.mirror_sign):
            raise SettingsError(
                "Expected mirror_index and mirror_sign of one length "
                f"(got {len(self.mirror_index)} and {len(self.mirror_sign)})"
            )
        if min(self.hidden_channels, self.num_layers, self.num_heads) < 1:
            raise SettingsError(
                "Expected hidden_channels, num_layers and num_heads >= 1 "
                f"(got {self.hidden_channels}, {self.num_layers} and {self.num_heads})"
            )
        if self.hidden_channels % (2 * self.num_heads):
            raise SettingsError(
                f"Expected hidden_channels to be a multiple of 2 * num_heads = {2 * self.num_heads} "
                f"(got {self.hidden_channels})"
            )
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"Expected dropout in [0, 1) (got {self.dropout})")
        if self.boundary_share < 0 or self.num_kept < 1:
            raise SettingsError(
                "Expected boundary_share >= 0 and num_kept >= 1 "
                f"(got {self.boundary_share} and {self.num_kept})"
            )
        if min(self.foreground_weight, self.span_weight, self.boundary_weight) < 0:
            raise SettingsError("Expected no negative weight of a loss")


class StepAnswers(NamedTuple):
    """What the network says of every step of padded references.

    Args:
        foreground: logits of lying in an answer, ``[B, T]``.
        spans: segment that each step would lie in, in steps, ``[B, T, 2]``.
        starts: logits of being the first step of an answer, ``[B, T]``.
        ends: logits of being the last step of an answer, ``[B, T]``.
    """

    foreground: Tensor
    spans: Tensor
    starts: Tensor
    ends: Tensor


class MatchingTransformer(RivalNetwork):
    r"""Self-attention over the steps of query and reference together, and heads on the reference's steps.

    .. math::
        Z_0 &= [W x_q + e_q + \mathrm{pos};\; W x_r + V \rho + e_r + \mathrm{pos}], \qquad
        Z = \mathrm{Encoder}(Z_0) \\
        b_t &= \left[t + \tfrac12 - \tfrac q2 e^{u_t},\; t + \tfrac12 + \tfrac q2 e^{v_t}\right)

    In the spirit of MATR (Kumar et al., ICCV 2025) and UniVTG (Lin et al., ICCV 2023): every step of the
    reference has a foreground logit, distances to both ends of its segment, and boundary logits. Beside
    their features the reference's steps carry :math:`\rho`, their
    :func:`.relations` to the query, which mean the same for classes
    never seen; and distances are predicted relative to the query's length q.

    Args:
        num_features: F.
        settings: of shape and losses.
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
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 5))

    def forward(self, queries: PaddedClips, references: PaddedClips, related: Tensor) -> StepAnswers:
        """What is said of every step.

        Args:
            queries: ``[B, Tq, F]``.
            references: ``[B, T, F]``.
            related: :func:`.relations` of each pair, padded,
                ``[B, T, NUM_RELATIONS]``.
        """
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
        found = self.head(self.norm(steps[:, num_query:]))  # [B, T, 5]
        # e^3 query lengths are more than any answer has; without a bound one wild step makes no number.
        half = queries.lengths.to(found).view(-1, 1, 1) / 2 * torch.exp(found[..., 1:3].clamp(-5, 3))
        centres = torch.arange(num_steps, device=device, dtype=found.dtype) + 0.5
        spans = torch.stack([centres - half[..., 0], centres + half[..., 1]], dim=-1)  # [B, T, 2]
        return StepAnswers(found[..., 0], spans, found[..., 3], found[..., 4])

    def relate(self, query: Tensor, reference: Tensor) -> Tensor:
        """The :func:`.relations` that this network is told of."""
        chosen = self.settings
        mirror = (chosen.mirror_index, chosen.mirror_sign) if chosen.mirror_index else None
        return relations(query, reference, mirror)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Windows that the steps of the reference tell of; the benchmark's own are not looked at."""
        related = self.relate(query, reference).unsqueeze(0)
        found: StepAnswers = self(pad_clips([query]), pad_clips([reference]), related)
        windows, scores = decode(
            found.foreground[0],
            found.spans[0],
            found.starts[0],
            found.ends[0],
            self.settings.boundary_share,
            self.settings.num_kept,
        )
        return Ranked(windows, scores)


def matching_loss(network: MatchingTransformer, examples: Sequence[Example]) -> Tensor:
    """Weighted sum of the losses of foreground, segments and boundaries over a batch."""
    queries, references = pad_clips([e.query for e in examples]), pad_clips([e.reference for e in examples])
    related = pad_clips([network.relate(e.query, e.reference) for e in examples]).features
    found: StepAnswers = network(queries, references, related)
    num_steps = references.features.size(1)
    targets = [step_targets(example.answers, num_steps) for example in examples]
    inside = torch.stack([one for one, _ in targets])
    spans = torch.stack([one for _, one in targets])
    steps = torch.arange(num_steps, device=spans.device)
    first, last = inside & (spans[..., 0] == steps), inside & (spans[..., 1] - 1 == steps)
    weights = network.settings
    boundary = boundary_loss(found.starts, first, references.mask) + boundary_loss(
        found.ends, last, references.mask
    )
    return (
        weights.foreground_weight * focal_loss(found.foreground, inside, references.mask)
        + weights.span_weight * span_loss(found.spans, spans, inside)
        + weights.boundary_weight * boundary
    )


def mirrored(longest: int, mirror: Mirror | None) -> Mapping[str, Any]:
    """Settings that know the mirror image of the data's features."""
    return {} if mirror is None else {"mirror_index": mirror[0], "mirror_sign": mirror[1]}


MATCHING_TRANSFORMER = Rival(
    name="matching-transformer",
    network=MatchingTransformer,
    settings=MatchingTransformerSettings,
    loss=matching_loss,
    training=RivalTraining(
        learning_rate=1e-3,
        weight_decay=1e-2,
        batch_size=8,
        epochs=10,
        steps_per_epoch=40,
        gradient_clip=2.0,
        ema_decay=0.99,
        augment=True,
    ),
    source="in the spirit of MATR (Kumar et al., ICCV 2025) and UniVTG (Lin et al., ICCV 2023)",
    suit=mirrored,
)
