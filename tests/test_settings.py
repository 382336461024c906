from dataclasses import dataclass
from typing import Literal

import pytest

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import settings_from_dict


@dataclass(frozen=True)
class Camera:
    width: int = 4
    name: str = "left"
    zoom: float | None = None
    colour: bool = True
    lens: Literal["wide", "long"] = "wide"
    crop: tuple[int, ...] = ()
    marks: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        if self.width < 1:
            raise SettingsError(f"Expected width >= 1 (got {self.width})")


def test_missing_keys_keep_their_defaults():
    assert settings_from_dict(Camera, {}) == Camera()
    assert settings_from_dict(Camera, {"name": "right"}) == Camera(4, "right")
    assert settings_from_dict(Camera, {"name": "right", "width": 2}) == Camera(2, "right")


def test_unknown_keys_are_named_beside_the_known():
    known = "width, name, zoom, colour, lens, crop, marks"
    with pytest.raises(
        SettingsError, match=rf"^Unknown setting 'hight', 'nam' of Camera; known are {known}$"
    ):
        settings_from_dict(Camera, {"nam": "right", "width": 2, "hight": 3})


@pytest.mark.parametrize(
    "values",
    [
        {"zoom": 2},  # an integer is a number
        {"zoom": 2.5},
        {"zoom": None},
        {"colour": False},
        {"lens": "long"},
        {"crop": [1, 2, 3]},  # JSON and YAML know no tuples
        {"crop": ()},
        {"marks": [[1, 2], (3, 4)]},
    ],
)
def test_plain_values_of_the_right_type_are_taken(values):
    settings = settings_from_dict(Camera, values)
    for name, value in values.items():
        assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"width": "2"}, "width of Camera as int (got '2')"),
        ({"width": 2.0}, "width of Camera as int (got 2.0)"),
        ({"width": True}, "width of Camera as int (got True)"),
        ({"width": None}, "width of Camera as int (got None)"),
        ({"name": 3}, "name of Camera as str (got 3)"),
        ({"zoom": "far"}, "zoom of Camera as float | None (got 'far')"),
        ({"zoom": True}, "zoom of Camera as float | None (got True)"),
        ({"colour": 1}, "colour of Camera as bool (got 1)"),
        ({"lens": 3}, "lens of Camera as Literal['wide', 'long'] (got 3)"),
        ({"crop": 3}, "crop of Camera as tuple[int, ...] (got 3)"),
        ({"crop": "12"}, "crop of Camera as tuple[int, ...] (got '12')"),
        ({"crop": [1, "2"]}, "crop of Camera as tuple[int, ...] (got [1, '2'])"),
        ({"marks": [[1, 2, 3]]}, "marks of Camera as tuple[tuple[int, int], ...] (got [[1, 2, 3]])"),
    ],
)
def test_values_of_another_type_are_refused(values, shown):
    with pytest.raises(SettingsError) as caught:
        settings_from_dict(Camera, values)
    assert str(caught.value) == f"Expected {shown}"


def test_checks_of_the_dataclass_apply():
    with pytest.raises(SettingsError, match=r"width >= 1 \(got 0\)"):
        settings_from_dict(Camera, {"width": 0})


def test_the_mapping_is_not_changed():
    values = {"width": 2}
    settings_from_dict(Camera, values)
    assert values == {"width": 2}
