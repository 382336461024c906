"""Single-stream temporal proposals: a recurrent network scores, at every step, segments that end there.

Buch et al., *SST: Single-Stream Temporal Action Proposals*, CVPR 2017, and the authors' released code
(https://github.com/shyamal-b/sst), which decodes; how labels and losses are made is that of the PyTorch
implementation of the same laboratory (https://github.com/ranjaykrishna/SST).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.segments import temporal_iou


@dataclass(frozen=True)
class SSTSettings:
    """The network of :class:`SSTNetwork` and its labels.

    Args:
        hidden_channels: d, width of the recurrent states.
        num_layers: number of stacked GRU layers.
        num_anchors: K, segments scored at each step.
        stride: an anchor is so many steps longer than the one before it; anchors reach ``K * stride`` steps.
            The original network has 1.
        overlap: least tIoU with an instance that makes an anchor a positive one.
        dropout: share of state values dropped after each layer in training.

    Raises:
        SettingsError: if a value is impossible.
    """

    hidden_channels: int = 512
    num_layers: int = 2
    num_anchors: int = 64
    stride: int = 1
    overlap: float = 0.5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.hidden_channels, self.num_layers, self.num_anchors, self.stride)
        if min(counts) < 1 or not 0 < self.overlap <= 1 or not 0 <= self.dropout < 1:
            raise SettingsError(
                f"Expected counts of at least 1, overlap in (0, 1] and dropout in [0, 1) (got {self})"
            )


def sst_anchors(num_steps: int, num_anchors: int, stride: int = 1) -> tuple[Tensor, Tensor]:
    r"""The segments that each step stands for.

    .. math::
        a_{t,j} = [t + 1 - (j + 1) s,\; t + 1), \qquad 0 \le t < T, \; 0 \le j < K

    Args:
        num_steps: T.
        num_anchors: K.
        stride: s in steps.

    Returns:
        Half-open step intervals, ``[T, K, 2]`` int64, and which do not begin before the video, ``[T, K]``.
    """
    ends = torch.arange(1, num_steps + 1).unsqueeze(1).expand(-1, num_anchors)  # [T, K]
    starts = ends - stride * torch.arange(1, num_anchors + 1)
    return torch.stack([starts, ends], dim=-1), starts >= 0


def sst_labels(num_steps: int, instances: Tensor, settings: SSTSettings) -> tuple[Tensor, Tensor]:
    """Which anchors show an instance: those with a tIoU of at least ``settings.overlap`` with some.

    Args:
        num_steps: T, length of the video.
        instances: in steps, ``[G, 2]``.
        settings: of the network.

    Returns:
        Labels ``[T, K]`` bool, and which anchors do not begin before the video, ``[T, K]`` bool; the
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
    its last step.

    Args:
        logits: of every anchor, ``[T, K]``.
        stride: of the anchors in steps.

    Returns:
        Half-open step intervals, ``[M, 2]`` int64, and probabilities, ``[M]`` float64, in which more
        confident anchors stay apart than in float32.
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

    Args:
        num_features: F, width of the features.
        settings: of the network.

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
        """Anchors of one video and their probabilities, as :func:`decode_anchors` gives them.

        Args:
            features: ``[T, F]``.

        Raises:
            FeatureError: if the features are of another width or hold no step.
        """
        if features.dim() != 2 or features.size(0) == 0 or features.size(1) != self.num_features:
            raise FeatureError(
                f"Expected features as [num_steps, {self.num_features}] for this network "
                f"(got shape {tuple(features.shape)})"
            )
        logits = self(features.to(self.anchors.weight).unsqueeze(0)).squeeze(0)  # [T, K]
        return decode_anchors(logits, self.settings.stride)
