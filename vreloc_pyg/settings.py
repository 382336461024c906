"""Settings dataclasses: what every training run has, and how settings are built from plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vreloc_pyg.errors import SettingsError

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class RunSettings:
    """What every training run has.

    Args:
        learning_rate: of Adam.
        weight_decay: decoupled (AdamW).
        batch_size: examples a step.
        epochs: validations, at most.
        steps_per_epoch: steps between validations.
        validation_pairs: judge only so many validation pairs, spread evenly; ``None``: all.
        patience: stop after this many validations without a better one; ``None``: never.
        gradient_clip: greatest norm of a gradient; ``None``: unlimited.
        crop: probability that a training reference is cropped at random to the stretch about its instances
            (Feng et al., ECCV 2018: .9).
        ema_decay: weights are averaged over steps with this decay; ``None``: not averaged.
        seed: decides initial weights, examples and dropout.

    Raises:
        SettingsError: for an impossible value.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 32
    epochs: int = 10
    steps_per_epoch: int = 100
    validation_pairs: int | None = None
    patience: int | None = None
    gradient_clip: float | None = None
    crop: float = 0.0
    ema_decay: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "steps_per_epoch", "learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"Expected a positive {name} (got {getattr(self, name)})")
        for name in ("weight_decay", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"Expected {name} >= 0 (got {getattr(self, name)})")
        for name in ("validation_pairs", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise SettingsError(f"Expected {name} >= 1 or none (got {getattr(self, name)})")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise SettingsError(f"Expected a positive gradient_clip or none (got {self.gradient_clip})")
        if not 0 <= self.crop <= 1:
            raise SettingsError(f"Expected crop in [0, 1] (got {self.crop})")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise SettingsError(f"Expected ema_decay in [0, 1) or none (got {self.ema_decay})")


def settings_from_dict(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Settings of a mapping with the dataclass's keys or fewer.

    Raises:
        SettingsError: for a key that is not a setting, naming those that are, or a value of another type.
    """
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(
            f"Unknown setting {', '.join(map(repr, unknown))} of {cls.__name__}; known are {', '.join(known)}"
        )
    for name, hint in get_type_hints(cls).items():
        if name in values and not _fits(values[name], hint):
            raise SettingsError(f"Expected {name} of {cls.__name__} as {_shown(hint)} (got {values[name]!r})")
    return cls(**values)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value, such as JSON or YAML give, is of a setting's type."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            return False
        if len(parts) == 2 and parts[1] is Ellipsis:
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if origin is Literal:
        return isinstance(value, str)  # the settings know their choices
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _shown(hint: Any) -> str:
    plain = isinstance(hint, type) and not get_args(hint)
    return hint.__name__ if plain else str(hint).replace("typing.", "")
