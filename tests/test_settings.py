from dataclasses import dataclass

import pytest

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import settings_from_dict


@dataclass(frozen=True)
class Camera:
    width: int = 4
    name: str = "left"

    def __post_init__(self):
        if self.width < 1:
            raise SettingsError(f"Expected width >= 1 (got {self.width})")


def test_missing_keys_keep_their_defaults():
    assert settings_from_dict(Camera, {}) == Camera()
    assert settings_from_dict(Camera, {"name": "right"}) == Camera(4, "right")
    assert settings_from_dict(Camera, {"name": "right", "width": 2}) == Camera(2, "right")


def test_unknown_keys_are_named_beside_the_known():
    with pytest.raises(
        SettingsError, match=r"^Unknown setting 'hight', 'nam' of Camera; known are width, name$"
    ):
        settings_from_dict(Camera, {"nam": "right", "width": 2, "hight": 3})


def test_checks_of_the_dataclass_apply():
    with pytest.raises(SettingsError, match=r"width >= 1 \(got 0\)"):
        settings_from_dict(Camera, {"width": 0})


def test_the_mapping_is_not_changed():
    values = {"width": 2}
    settings_from_dict(Camera, values)
    assert values == {"width": 2}
