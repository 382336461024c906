"""Settings of MGFFNet and the presets that ship with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.weights import WeightKind, check_weight


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
    num_steps: int | None = 40
    fit: Literal["resample", "pad"] = "pad"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        object.__setattr__(self, "head_channels", tuple(self.head_channels))
        check_weight(self.weight, self.bandwidth)
        if min(self.in_channels, self.hidden_channels, self.num_layers, self.num_steps or 1) < 1:
            raise SettingsError(
                "Expected in_channels, hidden_channels, num_layers and num_steps >= 1 "
                f"(got {self.in_channels}, {self.hidden_channels}, {self.num_layers}, {self.num_steps})"
            )
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"Expected dropout in [0, 1) (got {self.dropout})")
        if self.fit not in ("resample", "pad"):
            raise SettingsError(f"Expected fit to be 'resample' or 'pad' (got {self.fit!r})")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MGFFSettings:
        """Settings of a mapping with exactly these keys or fewer.

        Raises:
            SettingsError: for a key that is not a setting, naming those that are.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise SettingsError(f"Unknown MGFFNet setting {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)

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
    return MGFFSettings.from_dict({**PRESETS[preset], **overrides})


#: ``paper`` is the literal reading of the paper; ``recommended`` is what did best on validation classes.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "recommended": {
        "hidden_channels": 128,
        "weight": "row",
        "mask_padding": True,
        "num_steps": 24,
        "fit": "resample",
    },
}
