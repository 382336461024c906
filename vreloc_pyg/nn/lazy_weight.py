"""The weight of a convolution whose input width may be left open until it is known."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.inits import glorot

from vreloc_pyg.errors import FeatureError, SettingsError


class WeightedConv(MessagePassing):
    """A message passing layer with one weight, ``lin_weight [parts * in_channels, out_channels]``.

    As in PyG's own convolutions ``in_channels`` may be -1: the weight is then made by the first input, or by
    the first state that is loaded. Until then an optimiser cannot be given it.

    Args:
        in_channels, out_channels: widths of input and output.
        parts: how many vectors of the input's width the weight is applied to side by side.
        options: those of ``MessagePassing``.

    Raises:
        SettingsError: if a width is impossible.
    """

    def __init__(self, in_channels: int, out_channels: int, parts: int = 1, **options: Any) -> None:
        if in_channels < -1 or in_channels == 0 or out_channels < 1:
            raise SettingsError(
                "Expected in_channels >= 1, or -1 for that of the first input, and out_channels >= 1 "
                f"(got {in_channels} and {out_channels})"
            )
        super().__init__(**options)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.parts = parts
        self.lin_weight: nn.Parameter
        if in_channels < 0:
            self.lin_weight = cast(nn.Parameter, UninitializedParameter())
        else:
            self.lin_weight = nn.Parameter(torch.empty(parts * in_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew (Glorot)."""
        super().reset_parameters()
        if self.in_channels > 0:
            glorot(self.lin_weight)

    def check_width(self, x: Tensor) -> None:
        """Make the weight if it is missing, or raise :class:`FeatureError` for input of another width."""
        if self.in_channels < 0:
            self._set_width(x.size(-1))
            self.reset_parameters()
        if x.size(-1) != self.in_channels:
            raise FeatureError(f"Expected x as [..., {self.in_channels}] (got {tuple(x.shape)})")

    def _set_width(self, in_channels: int) -> None:
        self.in_channels = in_channels
        cast(Any, self.lin_weight).materialize((self.parts * in_channels, self.out_channels))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        weight = state_dict.get(f"{prefix}lin_weight")
        if self.in_channels < 0 and isinstance(weight, Tensor):
            self._set_width(len(weight) // self.parts)
        super()._load_from_state_dict(state_dict, prefix, *others)
