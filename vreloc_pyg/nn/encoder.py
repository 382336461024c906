"""The recurrent encoder of clips, and what a network checks before it reads one."""

from __future__ import annotations

from torch import Tensor, nn

from vreloc_pyg.errors import FeatureError


def check_steps(features: Tensor, width: int, what: str) -> None:
    """Raise :class:`FeatureError` unless features are of the width that a network reads, and hold a step."""
    if features.dim() != 2 or features.size(0) == 0 or features.size(1) != width:
        raise FeatureError(
            f"Expected features as [num_steps, {width}] for {what} (got shape {tuple(features.shape)})"
        )


class ClipEncoder(nn.Module):
    r"""A one-layer unidirectional LSTM over a clip (paper section 4.2).

    .. math::
        h_t = \mathrm{LSTM}(x_t, h_{t-1}), \qquad t = 0, \dots, T - 1

    Trailing padding does not change the states before it, so clips of a batch need no packing.

    Of the states, ``dropout`` is the share dropped in training; the paper names no rate, its preset takes .4.

    Shapes:
        - input: ``[B, T, F]``
        - output: ``[B, T, d]``
    """

    def __init__(self, in_channels: int, hidden_channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_channels, hidden_channels, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def reset_parameters(self) -> None:
        self.lstm.reset_parameters()

    def forward(self, clips: Tensor) -> Tensor:
        states, _ = self.lstm(clips)
        dropped: Tensor = self.dropout(states)
        return dropped
