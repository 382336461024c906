"""Settings dataclasses: how their values are checked, and what every training run has.

A setting says what it may be by its type: ``dropout: Below1 = 0.2``, ``fit: Literal["resample", "pad"]``,
``overlap: Annotated[float, Within("(0, 1]")]``. :class:`CheckedSettings` reads that.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vreloc_pyg.errors import SettingsError

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Within:
    """The numbers of an interval, written ``[0, 1)`` or ``(0, inf)``; never NaN."""

    interval: str

    def __contains__(self, value: float) -> bool:
        low, high = map(float, self.interval[1:-1].split(","))
        above = low <= value if self.interval.startswith("[") else low < value
        return above and (value <= high if self.interval.endswith("]") else value < high)

    def __str__(self) -> str:
        return f"in {self.interval}"


@dataclass(frozen=True)
class OneOf:
    """The names that a table or another collection holds when the setting is checked."""

    names: Collection[str]

    def __contains__(self, value: str) -> bool:
        return value in self.names

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"


Whole = Annotated[int, Within("[0, inf)")]
Count = Annotated[int, Within("[1, inf)")]
Steps = Annotated[int, Within("[1, 10000]")]  # of a clip that a network looks at: memory grows with them
Positive = Annotated[float, Within("(0, inf)")]
NotNegative = Annotated[float, Within("[0, inf)")]
Context = Annotated[float, Within("[0, 10]")]  # seen beside a window, as a share of its length
Share = Annotated[float, Within("[0, 1]")]
Below1 = Annotated[float, Within("[0, 1)")]  # a rate of dropout, say


class CheckedSettings:
    """Base of frozen dataclasses whose fields are checked against their types when they are built.

    Lists become the tuples that a type asks for. An impossible value is a :class:`SettingsError` that names
    the setting and what it may be. A subclass with conditions between fields calls
    ``super().__post_init__()`` first; several such classes may be joined by inheritance.
    """

    def __post_init__(self) -> None:
        known = [field.name for field in fields(self)]  # type: ignore[arg-type]
        # By every class: one that only changes a default may declare the plain type anew.
        hints = [get_type_hints(cls, include_extras=True) for cls in type(self).__mro__]
        for name, hint in ((name, of[name]) for of in hints for name in known if name in of):
            value = _with_tuples(getattr(self, name), hint)
            if not _fits(value, hint):
                raise SettingsError(f"Expected {name} as {_shown(hint)} (got {value!r})")
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON."""
        return asdict(self)  # type: ignore[call-overload]


@dataclass(frozen=True)
class RunSettings(CheckedSettings):
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
        schedule: of the learning rates, ``"constant"``, or ``"decay"``: 50 steps of warm-up, then falling to
            zero with the square root of what is left.
        augment: change training features at random (:func:`~vreloc_pyg.datasets.augmentation.usual_changes`).
        buckets: batches hold references of like lengths, which saves computing on padding; the order of the
            batches stays random.
        mixed_precision: take training steps in bfloat16 where PyTorch holds it safe (``torch.autocast``);
            weights, validation and answers stay float32. Faster on processors that are made for it.
        seed: decides initial weights, examples and dropout.
    """

    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.0
    batch_size: Count = 32
    epochs: Count = 10
    steps_per_epoch: Count = 100
    validation_pairs: Count | None = None
    patience: Count | None = None
    gradient_clip: Positive | None = None
    crop: Share = 0.0
    ema_decay: Below1 | None = None
    schedule: Literal["constant", "decay"] = "constant"
    augment: bool = False
    buckets: bool = False
    mixed_precision: bool = False
    seed: Whole = 0


def settings_from_dict(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Settings of a mapping with some of their keys; for an unknown key the error names the known."""
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(
            f"Unknown setting {', '.join(map(repr, unknown))} of {cls.__name__}; known are {', '.join(known)}"
        )
    return cls(**values)


def settings_of(cls: type[Settings], given: Any, replaced: Mapping[str, Any] | None = None) -> Settings:
    """Those settings of an object that ``cls`` has too, some replaced."""
    own = {field.name: getattr(given, field.name) for field in fields(cls)}  # type: ignore[arg-type]
    return settings_from_dict(cls, {**own, **(replaced or {})})


def _with_tuples(value: Any, hint: Any) -> Any:
    parts = get_args(hint)
    if get_origin(hint) is tuple and isinstance(value, (tuple, list)):
        return tuple(_with_tuples(item, parts[0]) for item in value)
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a setting's type; of types other than plain ones any value is."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, parts[0]) and all(value in legal for legal in parts[1:])
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(parts) == 2 and parts[1] is Ellipsis:
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if origin is Literal:
        return value in parts
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is int:
        return isinstance(value, numbers.Integral)
    if hint is float:
        return isinstance(value, numbers.Real) and value == value and value not in (math.inf, -math.inf)
    return isinstance(value, hint) if hint in (bool, str, NoneType) else True


def _shown(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([*([] if parts[0] is str else [_shown(parts[0])]), *map(str, parts[1:])])
    if origin in (Union, UnionType):
        return " or ".join(map(_shown, parts))
    if origin is tuple:
        return f"({', '.join('...' if part is Ellipsis else _shown(part) for part in parts)})"
    if origin is Literal:
        return " or ".join(map(repr, parts))
    return "none" if hint is NoneType else getattr(hint, "__name__", str(hint))
