"""Single-stream temporal proposals: a recurrent network scores, at every step, segments that end there.

Buch et al., *SST: Single-Stream Temporal Action Proposals*, CVPR 2017, and the authors' released code
(https://github.com/shyamal-b/sst), which decodes; how labels and losses are made is that of the PyTorch
implementation of the same laboratory (https://github.com/ranjaykrishna/SST).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from vreloc_pyg.nn.encoder import check_steps
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.settings import Below1, CheckedSettings, Count, Within


@dataclass(frozen=True)
class SSTSettings(CheckedSettings):
    """The network of :class:`SSTNetwork` and its labels.

    Args:
        hidden_channels: d, width of the recurrent states.
        num_layers: number of stacked GRU layers.
        num_anchors: K, segments scored at each step.
        stride: an anchor is so many steps longer than the one before it; anchors reach ``K * stride`` steps.
            The original network has 1.
        overlap: least tIoU with an instance that makes an anchor a positive one.
        dropout: share of state values dropped after each layer in training.
    """

    hidden_channels: Count = 512
    num_layers: Count = 2
    num_anchors: Count = 64
    stride: Count = 1
    overlap: Annotated[float, Within("(0, 1]")] = 0.5
    dropout: Below1 = 0.0


def sst_anchors(num_steps: int, num_anchors: int, stride: int = 1) -> tuple[Tensor, Tensor]:
    r"""The segments that each step stands for.

    .. math::
        a_{t,j} = [t + 1 - (j + 1) s,\; t + 1), \qquad 0 \le t < T, \; 0 \le j < K

    for T steps, K anchors and the stride s: half-open step intervals, ``[T, K, 2]`` int64, and which do not
    begin before the video, ``[T, K]``.
    """
    ends = torch.arange(1, num_steps + 1).unsqueeze(1).expand(-1, num_anchors)  # [T, K]
    starts = ends - stride * torch.arange(1, num_anchors + 1)
    return torch.stack([starts, ends], dim=-1), starts >= 0


def sst_labels(num_steps: int, instances: Tensor, settings: SSTSettings) -> tuple[Tensor, Tensor]:
    """Which anchors show one of the instances ``[G, 2]``, by a tIoU of at least ``settings.overlap``.

    Instances are in steps. Labels ``[T, K]`` bool, and which anchors do not begin before the video; the
    others are never positive.
    """
    anchors, valid = sst_anchors(num_steps, settings.num_anchors, settings.stride)
    positive = torch.zeros_like(valid)
    if len(instances):
        overlaps = temporal_iou(anchors[valid].double(), instances.cpu().double())  # [M, G]
        positive[valid] = overlaps.amax(1) >= settings.overlap
    return positive, valid


def decode_anchors(logits: Tensor, stride: int = 1) -> tuple[Tensor, Tensor]:
    """Every anchor inside the video, the shortest first and of those the earliest, with its probability.

    A video that is shorter than every anchor is one segment, with the probability of the shortest anchor at
    its last step. Logits ``[T, K]`` become half-open step intervals, ``[M, 2]`` int64, and probabilities,
    ``[M]`` float64, in which more confident anchors stay apart than in float32.
    """
    anchors, valid = sst_anchors(logits.size(0), logits.size(1), stride)
    probabilities = logits.double().sigmoid().t()  # [K, T]: by length, then by end
    inside = valid.t().to(logits.device)
    if not valid.any():
        return torch.tensor([[0, len(logits)]], device=logits.device), probabilities[0, -1:]
    return anchors.to(logits.device).transpose(0, 1)[inside], probabilities[inside]


class SSTNetwork(nn.Module):
    r"""Stacked GRUs over a video, and the logits of K anchors that end at each step.

    .. math::
        h_t = \mathrm{GRU}(x_t, h_{t-1}), \qquad z_t = W h_t + b \in \mathbb{R}^K

    The network reads forwards only, so padding behind a video changes none of its states.

    Shapes:
        - input: features ``[B, T, F]``
        - output: logits ``[B, T, K]``
    """

    def __init__(self, num_features: int, settings: SSTSettings) -> None:
        super().__init__()
        self.num_features = num_features
        self.settings = settings
        between = settings.dropout if settings.num_layers > 1 else 0.0
        self.gru = nn.GRU(
            num_features, settings.hidden_channels, settings.num_layers, batch_first=True, dropout=between
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.anchors = nn.Linear(settings.hidden_channels, settings.num_anchors)

    def states(self, features: Tensor) -> Tensor:
        """States of the last layer, ``[B, T, d]``."""
        states: Tensor = self.dropout(self.gru(features)[0])
        return states

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.anchors(self.states(features))
        return logits

    def score_anchors(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors of one video ``[T, F]`` and their probabilities, as :func:`decode_anchors` gives them.

        Features of another width or without a step are a :class:`FeatureError`.
        """
        check_steps(features, self.num_features, "this network")
        logits = self(features.to(self.anchors.weight).unsqueeze(0)).squeeze(0)  # [T, K]
        return decode_anchors(logits, self.settings.stride)
