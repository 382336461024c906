"""Settings of MGFFNet and the presets that ship with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.weights import WeightKind, check_weight
from vreloc_pyg.nn.branches import ConvKind, check_conv
from vreloc_pyg.settings import settings_from_dict


@dataclass(frozen=True)
class MGFFSettings:
    """Everything that decides the shape and the arithmetic of :class:`~vreloc_pyg.nn.MGFFNet`.

    The defaults are the paper's; see :class:`~vreloc_pyg.nn.MGFFNet` for their meaning.
    """

    in_channels: int = 500
    hidden_channels: int = 500
    num_layers: int = 2
    scales: tuple[int, ...] = (1, 2, 3)
    weight: WeightKind = "binary"
    bandwidth: float | None = None
    mask_padding: bool = False
    dropout: float = 0.4
    head_channels: tuple[int, ...] = (128, 32)
    aggregate: bool = True
    input_norm: bool = False
    residual: bool = False
    pool: Literal["all", "separate"] = "all"
    score_gain: float = 1.0
    pair_features: bool = False
    conv: ConvKind = "mgff"
    regression: Literal["pooled", "boundaries"] = "pooled"
    context: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        object.__setattr__(self, "head_channels", tuple(self.head_channels))
        check_weight(self.weight, self.bandwidth)
        check_conv(self.conv, self.weight, self.aggregate)
        if min(self.in_channels, self.hidden_channels, self.num_layers) < 1:
            raise SettingsError(
                "Expected in_channels, hidden_channels and num_layers >= 1 "
                f"(got {self.in_channels}, {self.hidden_channels} and {self.num_layers})"
            )
        if min(self.head_channels, default=1) < 1:
            raise SettingsError(f"Expected head_channels >= 1 (got {self.head_channels})")
        if self.pool not in ("all", "separate"):
            raise SettingsError(f"Expected pool to be 'all' or 'separate' (got {self.pool!r})")
        if self.regression not in ("pooled", "boundaries"):
            raise SettingsError(
                f"Expected regression to be 'pooled' or 'boundaries' (got {self.regression!r})"
            )
        if self.regression == "boundaries" and not self.mask_padding:
            raise SettingsError(
                "regression='boundaries' needs mask_padding: padding has no place in a window"
            )
        if self.context < 0:
            raise SettingsError(f"Expected context >= 0 (got {self.context})")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"Expected dropout in [0, 1) (got {self.dropout})")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON."""
        return asdict(self)


def preset_settings(preset: str, **overrides: Any) -> MGFFSettings:
    """The settings of a named preset, with single values replaced.

    Raises:
        SettingsError: if the preset or an override is unknown.
    """
    if preset not in PRESETS:
        raise SettingsError(f"Unknown preset {preset!r}; known are {', '.join(PRESETS)}")
    return settings_from_dict(MGFFSettings, {**PRESETS[preset], **overrides})


#: ``paper`` is the literal reading of the paper; ``recommended`` is what did best on validation classes.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "recommended": {
        "hidden_channels": 32,
        "weight": "row",
        "mask_padding": True,
        "dropout": 0.2,
        "head_channels": (64, 32),
        "input_norm": True,
        "residual": True,
        "pool": "separate",
        "score_gain": 0.1,
    },
}
