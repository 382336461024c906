"""Cross-gated bilinear matching: which steps of a reference start, end and belong to the query's action."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.systems.cross_gated.cross_gated_labels import score_segments, step_labels, step_loss
from vreloc_pyg.systems.cross_gated.cross_gated_matching import CrossGatedMatching
from vreloc_pyg.systems.spec import (
    Example,
    PaddedClips,
    Ranked,
    Rival,
    RivalNetwork,
    RivalTraining,
    cap_length,
    pad_clips,
)


@dataclass(frozen=True)
class CrossGatedBilinearSettings:
    """Settings of :class:`CrossGatedBilinear`; the defaults are the published ones.

    Args:
        hidden_channels: l, width of all states.
        num_factors: k, products summed for each number of the bilinear matching.
        aggregation_dropout: rate on the states of both clips.
        matching_dropout: rate on the states of the matching.
        longest: greatest length of an answer in steps.
        boundary_weight: weight in the loss of steps that start or end an answer.

    Raises:
        SettingsError: for an impossible value.
    """

    hidden_channels: int = 128
    num_factors: int = 8
    aggregation_dropout: float = 0.4
    matching_dropout: float = 0.2
    longest: int = 64
    boundary_weight: float = 10.0

    def __post_init__(self) -> None:
        for name in ("hidden_channels", "num_factors", "longest"):
            if getattr(self, name) < 1:
                raise SettingsError(f"Expected {name} >= 1 (got {getattr(self, name)})")
        for name in ("aggregation_dropout", "matching_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"Expected {name} in [0, 1) (got {getattr(self, name)})")
        if not 0 < self.boundary_weight < math.inf:
            raise SettingsError(f"Expected a positive boundary_weight (got {self.boundary_weight})")


class CrossGatedBilinear(RivalNetwork):
    r"""Cross-gated bilinear matching (Feng et al., "Video Re-localization", ECCV 2018, section 3).

    .. math::
        H^q &= \mathrm{LSTM}(q), \qquad H^r = \mathrm{LSTM}(r) \quad \text{(the same)} \\
        H &= [\overrightarrow{\mathrm{match}}(H^q, H^r); \overleftarrow{\mathrm{match}}(H^q, H^r)], \qquad
        z = W \, \mathrm{LSTM}_l(H) + b \in \mathbb{R}^{r \times 4}

    The matching is :class:`.CrossGatedMatching`; z are logits of
    start, end, inside and outside. Weights start as in the authors' program
    (https://github.com/fengyang0317/video_reloc): Glorot uniform, no bias but 1 of the LSTMs' forget gates.

    Args:
        num_features: F, width of the features.
        settings: widths and rates.

    Shapes:
        - queries: ``[B, q, F]``, references: ``[B, r, F]``, padded
        - output: ``[B, r, 4]``; behind a short reference the logits mean nothing
    """

    def __init__(self, num_features: int, settings: CrossGatedBilinearSettings) -> None:
        super().__init__(num_features, settings)
        width = settings.hidden_channels
        self.aggregation = nn.LSTM(num_features, width, batch_first=True)
        self.aggregation_dropout = nn.Dropout(settings.aggregation_dropout)
        self.matching = CrossGatedMatching(width, settings.num_factors)
        self.matching_dropout = nn.Dropout(settings.matching_dropout)
        self.localization = nn.LSTM(2 * width, width, batch_first=True)
        self.classifier = nn.Linear(width, 4)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.LSTM, nn.LSTMCell)):
                _reset_lstm(module)

    def forward(self, queries: PaddedClips, references: PaddedClips) -> Tensor:
        """Logits of start, end, inside and outside of every reference step, ``[B, r, 4]``."""
        # Trailing padding changes no state before it.
        query = self.aggregation_dropout(self.aggregation(queries.features)[0])
        reference = self.aggregation_dropout(self.aggregation(references.features)[0])
        matched = self.matching(query, queries.mask, reference, references.lengths)
        located, _ = self.localization(self.matching_dropout(matched))
        logits: Tensor = self.classifier(located)
        return logits

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """All segments of up to ``longest`` steps, scored by Eq. 11; the candidates are not looked at."""
        logits = self(pad_clips([query]), pad_clips([reference]))[0]
        return Ranked(*score_segments(logits.log_softmax(dim=1), self.settings.longest))


def cross_gated_loss(network: CrossGatedBilinear, examples: Sequence[Example]) -> Tensor:
    """:func:`.step_loss` of a batch of examples."""
    queries = pad_clips([example.query for example in examples])
    references = pad_clips([example.reference for example in examples])
    labels = [step_labels(example.answers, len(example.reference)) for example in examples]
    padded = pad_clips(labels).features.to(references.features)  # [B, r, 4]
    logits = network(queries, references)
    return step_loss(logits, padded, references.mask, network.settings.boundary_weight)


def _reset_lstm(lstm: nn.LSTM | nn.LSTMCell) -> None:
    """Glorot uniform over input and state together, and a forget bias of 1 in sum of PyTorch's two biases."""
    weights = [weight for name, weight in lstm.named_parameters() if name.startswith("weight")]
    biases = [bias for name, bias in lstm.named_parameters() if name.startswith("bias")]
    bound = math.sqrt(6 / (sum(weight.size(1) for weight in weights) + weights[0].size(0)))
    for weight in weights:
        nn.init.uniform_(weight, -bound, bound)
    for bias in biases:
        nn.init.zeros_(bias)
    with torch.no_grad():
        biases[0].chunk(4)[1].fill_(1.0)  # gates are in the order input, forget, cell, output


CROSS_GATED = Rival(
    name="cgbm",
    network=CrossGatedBilinear,
    settings=CrossGatedBilinearSettings,
    loss=cross_gated_loss,
    training=RivalTraining(
        learning_rate=1e-3,
        batch_size=128,
        epochs=10,
        steps_per_epoch=100,
        gradient_clip=5.0,
        crop=0.9,
        buckets=True,
    ),
    source="Feng et al., Video Re-localization, ECCV 2018",
    suit=cap_length,
)
