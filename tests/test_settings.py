import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import (
    Below1,
    CheckedSettings,
    Count,
    NotNegative,
    OneOf,
    Positive,
    Share,
    Within,
    settings_from_dict,
)

FILMS = {"colour": 1}


@dataclass(frozen=True)
class Camera(CheckedSettings):
    width: Count = 4
    name: str = "left"
    zoom: Positive | None = None
    sound: bool = True
    lens: Literal["wide", "long"] = "wide"
    crop: tuple[Count, ...] = ()
    marks: tuple[tuple[int, int], ...] = ()
    tilt: Annotated[float, Within("(-90, 90]")] = 0.0
    film: Annotated[str, OneOf(FILMS)] = "colour"
    shift: float = 0.0


@dataclass(frozen=True)
class Lamp(CheckedSettings):
    power: NotNegative = 0.0
    shade: Share = 0.0
    flicker: Below1 = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.shade and not self.power:
            raise SettingsError("A lamp without power throws no shade")


@dataclass(frozen=True)
class Studio(Lamp, Camera):
    rooms: Count = 1
    width: int = 8  # another default, not another range


def test_missing_keys_keep_their_defaults():
    assert settings_from_dict(Camera, {}) == Camera()
    values = {"name": "right", "width": 2}
    assert settings_from_dict(Camera, values) == Camera(2, "right")
    assert values == {"name": "right", "width": 2}


def test_unknown_keys_are_named_beside_the_known():
    known = "width, name, zoom, sound, lens, crop, marks, tilt, film, shift"
    with pytest.raises(
        SettingsError, match=rf"^Unknown setting 'hight', 'nam' of Camera; known are {known}$"
    ):
        settings_from_dict(Camera, {"nam": "right", "width": 2, "hight": 3})


@pytest.mark.parametrize(
    "values",
    [
        {"width": np.int64(3)},
        {"zoom": 2},  # an integer is a number
        {"zoom": np.float32(2.5)},
        {"zoom": None},
        {"sound": False},
        {"lens": "long"},
        {"crop": ()},
        {"tilt": 90},
        {"tilt": -89.9},
    ],
)
def test_values_of_the_right_type_are_taken(values):
    settings = settings_from_dict(Camera, values)
    for name, value in values.items():
        assert getattr(settings, name) == value


def test_lists_become_tuples():  # JSON and YAML know no others
    settings = Camera(crop=[1, 2, 3], marks=[[1, 2], (3, 4)])
    assert (settings.crop, settings.marks) == ((1, 2, 3), ((1, 2), (3, 4)))
    assert hash(settings) == hash(Camera(crop=(1, 2, 3), marks=((1, 2), (3, 4))))
    assert settings_from_dict(Camera, settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"width": "2"}, "width as int in [1, inf) (got '2')"),
        ({"width": 2.0}, "width as int in [1, inf) (got 2.0)"),
        ({"width": True}, "width as int in [1, inf) (got True)"),
        ({"width": None}, "width as int in [1, inf) (got None)"),
        ({"width": 0}, "width as int in [1, inf) (got 0)"),
        ({"name": 3}, "name as str (got 3)"),
        ({"zoom": "far"}, "zoom as float in (0, inf) or none (got 'far')"),
        ({"zoom": True}, "zoom as float in (0, inf) or none (got True)"),
        ({"zoom": 0}, "zoom as float in (0, inf) or none (got 0)"),
        ({"zoom": math.nan}, "zoom as float in (0, inf) or none (got nan)"),
        ({"zoom": math.inf}, "zoom as float in (0, inf) or none (got inf)"),
        ({"sound": 1}, "sound as bool (got 1)"),
        ({"lens": 3}, "lens as 'wide' or 'long' (got 3)"),
        ({"lens": "short"}, "lens as 'wide' or 'long' (got 'short')"),
        ({"crop": 3}, "crop as (int in [1, inf), ...) (got 3)"),
        ({"crop": "12"}, "crop as (int in [1, inf), ...) (got '12')"),
        ({"crop": [1, "2"]}, "crop as (int in [1, inf), ...) (got (1, '2'))"),
        ({"crop": [1, 0]}, "crop as (int in [1, inf), ...) (got (1, 0))"),
        ({"marks": [[1, 2, 3]]}, "marks as ((int, int), ...) (got ((1, 2, 3),))"),
        ({"tilt": -90}, "tilt as float in (-90, 90] (got -90)"),
        ({"tilt": 90.1}, "tilt as float in (-90, 90] (got 90.1)"),
        ({"tilt": math.nan}, "tilt as float in (-90, 90] (got nan)"),
        ({"film": "grey"}, "film as one of colour (got 'grey')"),
        ({"shift": math.nan}, "shift as float (got nan)"),
        ({"shift": -math.inf}, "shift as float (got -inf)"),
    ],
)
def test_other_values_are_refused(values, shown):
    for build in (lambda: Camera(**values), lambda: settings_from_dict(Camera, values)):
        with pytest.raises(SettingsError) as caught:
            build()
        assert str(caught.value) == f"Expected {shown}"


def test_a_table_may_grow(monkeypatch):
    monkeypatch.setitem(FILMS, "grey", 2)
    assert Camera(film="grey").film == "grey"
    with pytest.raises(SettingsError, match="one of colour, grey"):
        Camera(film="sepia")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"rooms": 0}, r"rooms .*\[1, inf\) \(got 0\)"),
        ({"width": 0}, r"width .*\(got 0\)"),
        ({"power": -1}, r"power .*\[0, inf\) \(got -1\)"),
        ({"flicker": 1.0}, r"flicker .*\[0, 1\) \(got 1.0\)"),
        ({"shade": 1.5, "power": 1}, r"shade .*\[0, 1\] \(got 1.5\)"),
        ({"shade": 0.5}, "without power"),
    ],
)
def test_joined_settings_keep_the_checks_of_both(values, problem):
    with pytest.raises(SettingsError, match=problem):
        Studio(**values)
    assert Studio(power=1, shade=1, crop=[2]).crop == (2,)
