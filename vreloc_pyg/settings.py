"""Building settings dataclasses from plain mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from vreloc_pyg.errors import SettingsError

Settings = TypeVar("Settings")


def settings_from_dict(cls: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Settings of a mapping with the dataclass's keys or fewer.

    Raises:
        SettingsError: for a key that is not a setting, naming those that are.
    """
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(
            f"Unknown setting {', '.join(map(repr, unknown))} of {cls.__name__}; known are {', '.join(known)}"
        )
    return cls(**values)
