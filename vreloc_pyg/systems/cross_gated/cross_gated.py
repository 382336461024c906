"""Cross-gated bilinear matching: which steps of a reference start, end and belong to the query's action."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vreloc_pyg.settings import Below1, CheckedSettings, Count, NotNegative, Positive, RunSettings
from vreloc_pyg.systems.cross_gated.cross_gated_labels import score_segments, step_labels, step_loss
from vreloc_pyg.systems.cross_gated.cross_gated_matching import CrossGatedMatching
from vreloc_pyg.systems.examples import Example, PaddedClips, pad_clips
from vreloc_pyg.systems.network import Ranked, RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem, cap_length


@dataclass(frozen=True)
class CrossGatedBilinearSettings(CheckedSettings):
    """Settings of :class:`CrossGatedBilinear`; the defaults are the published ones.

    Args:
        hidden_channels: l, width of all states.
        num_factors: k, products summed for each number of the bilinear matching.
        aggregation_dropout: rate on the states of both clips.
        matching_dropout: rate on the states of the matching.
        longest: greatest length of an answer in steps.
        boundary_weight: weight in the loss of steps that start or end an answer.
        instance_weight: of a second loss in training: where instances of any class are, told from the same
            states by a layer of its own. References whose instances are all answers have none. (published: 0)
    """

    hidden_channels: Count = 128
    num_factors: Count = 8
    aggregation_dropout: Below1 = 0.4
    matching_dropout: Below1 = 0.2
    longest: Count = 64
    boundary_weight: Positive = 10.0
    instance_weight: NotNegative = 0.0


class CrossGatedBilinear(RankingNetwork):
    r"""Cross-gated bilinear matching (Feng et al., "Video Re-localization", ECCV 2018, section 3).

    .. math::
        H^q &= \mathrm{LSTM}(q), \qquad H^r = \mathrm{LSTM}(r) \quad \text{(the same)} \\
        H &= [\overrightarrow{\mathrm{match}}(H^q, H^r); \overleftarrow{\mathrm{match}}(H^q, H^r)], \qquad
        z = W \, \mathrm{LSTM}_l(H) + b \in \mathbb{R}^{r \times 4}

    The matching is :class:`.CrossGatedMatching`; z are logits of start, end, inside and outside. Weights
    start as in the authors' program (https://github.com/fengyang0317/video_reloc): Glorot uniform, no bias
    but 1 of the LSTMs' forget gates.

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
        self.instances = nn.Linear(width, 4) if settings.instance_weight else None
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.LSTM, nn.LSTMCell)):
                _reset_lstm(module)

    def forward(self, queries: PaddedClips, references: PaddedClips) -> Tensor:
        """Logits of start, end, inside and outside of every reference step, ``[B, r, 4]``."""
        logits: Tensor = self.classifier(self.states(queries, references))
        return logits

    def states(self, queries: PaddedClips, references: PaddedClips) -> Tensor:
        """What every reference step is told by, ``[B, r, l]``."""
        # Trailing padding changes no state before it.
        query = self.aggregation_dropout(self.aggregation(queries.features)[0])
        reference = self.aggregation_dropout(self.aggregation(references.features)[0])
        matched = self.matching(query, queries.mask, reference, references.lengths)
        located: Tensor = self.localization(self.matching_dropout(matched))[0]
        return located

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """All segments of up to ``longest`` steps, scored by Eq. 11; the candidates are not looked at."""
        logits = self(pad_clips([query]), pad_clips([reference]))[0]
        return Ranked(*score_segments(logits.log_softmax(dim=1), self.settings.longest))


def cross_gated_loss(network: CrossGatedBilinear, examples: Sequence[Example]) -> Tensor:
    """:func:`.step_loss` of the answers of a batch, and of all instances where there are others too."""
    queries = pad_clips([example.query for example in examples])
    references = pad_clips([example.reference for example in examples])
    states, weight = network.states(queries, references), network.settings.boundary_weight

    def labels(kind: str) -> Tensor:
        made = [step_labels(getattr(example, kind), len(example.reference)) for example in examples]
        return pad_clips(made).features.to(states)  # [B, r, 4]

    loss = step_loss(network.classifier(states), labels("answers"), references.mask, weight)
    others = torch.tensor([len(example.instances) > len(example.answers) for example in examples])
    mask = references.mask & others.to(references.mask.device).unsqueeze(1)
    if network.instances is not None and mask.any():
        every = step_loss(network.instances(states), labels("instances"), mask, weight)
        loss = loss + network.settings.instance_weight * every
    return loss


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


CROSS_GATED = LearnedSystem(
    name="cgbm",
    row="cgbm",
    published="CGBM",
    network=CrossGatedBilinear,
    settings=CrossGatedBilinearSettings,
    loss=cross_gated_loss,
    chosen={"instance_weight": 1.0},
    training=RunSettings(batch_size=128, gradient_clip=5.0, crop=0.9, buckets=True),
    source="Feng et al., Video Re-localization, ECCV 2018",
    suit=cap_length,
)
