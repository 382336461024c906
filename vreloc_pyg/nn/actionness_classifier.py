"""Actionness: the probability that a step shows any action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.encoder import check_steps
from vreloc_pyg.settings import Below1, CheckedSettings, Count


@dataclass(frozen=True)
class ActionnessSettings(CheckedSettings):
    """The network of :class:`ActionnessClassifier`.

    Args:
        in_channels: F, the width of the features.
        hidden_channels, kernel_size: width of the temporal convolutions, and their size in steps, odd.
        num_layers: number of temporal convolutions; each looks twice as far as the one before.
        dropout: share of hidden values dropped in training.
    """

    in_channels: Count
    hidden_channels: Count = 256
    kernel_size: Count = 3
    num_layers: Count = 1
    dropout: Below1 = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise SettingsError(f"Expected an odd kernel_size (got {self.kernel_size})")


class ActionnessClassifier(nn.Module):
    """Tells steps of any action from background: temporal convolutions over feature steps.

    A light stand-in for the two-class network of Zhao et al. (ICCV 2017,
    https://arxiv.org/abs/1704.06228), which reads frames. Features are first normalised by ``mean`` and
    ``std``, which training sets and checkpoints hold.

    Shapes:
        - input: features ``[B, num_steps, F]``
        - output: logits of background and foreground ``[B, num_steps, 2]``
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: ActionnessSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("mean", torch.zeros(settings.in_channels))
        self.register_buffer("std", torch.ones(settings.in_channels))
        layers: list[nn.Module] = []
        width = settings.in_channels
        for layer in range(settings.num_layers):
            dilation = 2**layer
            padding = dilation * (settings.kernel_size // 2)
            conv = nn.Conv1d(
                width, settings.hidden_channels, settings.kernel_size, padding=padding, dilation=dilation
            )
            layers += [conv, nn.ReLU(), nn.Dropout(settings.dropout)]
            width = settings.hidden_channels
        self.layers = nn.Sequential(*layers, nn.Conv1d(width, 2, 1))

    @property
    def context(self) -> int:
        """Steps to either side that the answer for a step depends on."""
        return (self.settings.kernel_size // 2) * (2**self.settings.num_layers - 1)

    def normalize_by(self, features: Sequence[Tensor]) -> None:
        """Set ``mean`` and ``std`` to those of training features, each ``[num_steps, F]``."""
        count = sum(len(one) for one in features)
        mean = torch.stack([one.double().sum(0) for one in features]).sum(0) / count
        spread = torch.stack([(one.double() - mean).square().sum(0) for one in features]).sum(0) / count
        self.mean.copy_(mean)
        self.std.copy_(spread.sqrt().clamp(min=1e-6))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(((features - self.mean) / self.std).transpose(1, 2))  # [B, 2, num_steps]
        return logits.transpose(1, 2)

    @torch.no_grad()
    def actionness(self, features: Tensor, chunk: int = 4096) -> Tensor:
        """Probability of foreground of every step of features ``[num_steps, F]``, ``[num_steps]`` in [0, 1].

        Dropout is off. ``chunk`` steps are computed at once, so that memory is bounded; the answer does not
        depend on it. Features of another width or without a step are a :class:`FeatureError`.
        """
        check_steps(features, self.settings.in_channels, "this classifier")
        training = self.training
        self.eval()
        parts = []
        for start in range(0, len(features), chunk):
            low = max(0, start - self.context)
            seen = features[low : start + chunk + self.context].to(self.mean)
            logits = self(seen.unsqueeze(0)).squeeze(0)[start - low : start - low + chunk]
            parts.append(logits.softmax(-1)[:, 1])
        self.train(training)
        return torch.cat(parts).cpu()
