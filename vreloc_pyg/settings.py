"""Building settings dataclasses from plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vreloc_pyg.errors import SettingsError

Settings = TypeVar("Settings")


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
