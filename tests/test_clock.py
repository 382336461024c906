import pytest
from hypothesis import given
from hypothesis.strategies import floats

from vreloc_pyg.clock import clock, parse_time
from vreloc_pyg.errors import SettingsError


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00:00.000"),
        (3725.5, "1:02:05.500"),
        (0.0004, "0:00:00.000"),
        (0.0006, "0:00:00.001"),
        (59.9996, "0:01:00.000"),
        (3599.9999, "1:00:00.000"),
        (36_000, "10:00:00.000"),
        (61.001, "0:01:01.001"),
    ],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


@given(floats(0, 1e6))
def test_what_is_shown_can_be_given(seconds):
    assert parse_time(clock(seconds)) == pytest.approx(seconds, abs=6e-4)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        *((form, 65.5) for form in ("65.5", 65.5, "1:05.5", "0:01:05.5")),
        *((3, 3), ("75:00", 4500), (".5", 0.5)),
    ],
)
def test_times_in_any_form(given, seconds):
    assert parse_time(given) == seconds


@pytest.mark.parametrize("given", ["soon", "", "1:2:3:4", "-1", -1.0, "1:-5", float("nan"), "1h"])
def test_other_times_are_refused(given):
    with pytest.raises(SettingsError, match="Expected a time in seconds or as h:mm:ss"):
        parse_time(given)
