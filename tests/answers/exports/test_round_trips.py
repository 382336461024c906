"""What is written in the formats of other tools is read back as it was, frame by frame."""

from fractions import Fraction
from xml.etree import ElementTree

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.exports.making import RATES, VIDEO, content_of, framed, labels
from vreloc_pyg.answers.exports.content import Content
from vreloc_pyg.answers.exports.formats import FORMATS, load_format
from vreloc_pyg.datasets.imports.action import video_id
from vreloc_pyg.datasets.imports.read import read_actions
from vreloc_pyg.moments import Moment

#: Formats that hold frames, and those that hold milliseconds or more.
FRAMES = ("edl", "otio", "labelstudio", "cvat")
TIMES = ("json", "csv", "eaf", "boris")


def back(tmp_path_factory, name, content, rate=None):
    path = tmp_path_factory.mktemp("back") / "found"
    path.write_text(load_format(name).write(content), encoding="utf-8")
    return read_actions([path], rate=rate)


@pytest.mark.parametrize("name", FRAMES)
@settings(max_examples=25)
@given(given_frames=framed())
def test_frames_come_back_exactly(tmp_path_factory, name, given_frames):
    rate, frames = given_frames
    if name == "edl":  # a time code tells no day
        frames = [one for one in frames if one[1] / rate < 24 * 3600 - 1000]
    told = None if name in ("otio", "labelstudio") else rate
    found = back(tmp_path_factory, name, content_of(rate, frames), told)
    assert {one.video for one in found} <= {video_id(VIDEO)}
    exact = sorted((one.start_s * rate, one.end_s * rate, one.label) for one in found)
    assert [(round(first), round(stop), label) for first, stop, label in exact] == sorted(set(frames))
    for first, stop, _ in exact:
        assert max(abs(first - round(first)), abs(stop - round(stop))) < 1e-6


@pytest.mark.parametrize("name", TIMES)
@settings(max_examples=25)
@given(given_frames=framed())
def test_times_come_back_to_the_millisecond(tmp_path_factory, name, given_frames):
    rate, frames = given_frames
    found = back(tmp_path_factory, name, content_of(rate, frames))
    assert {one.video for one in found} <= {video_id(VIDEO)}
    assert len(found) == len(set(frames))
    expected = sorted((label, float(first / rate), float(stop / rate)) for first, stop, label in set(frames))
    got = sorted((one.label, one.start_s, one.end_s) for one in found)
    tolerance = 1e-9 if name in ("json", "csv") else 0.5001e-3
    for (label, *times), (wanted, *right) in zip(got, expected, strict=True):
        assert label == wanted
        assert times == pytest.approx(right, abs=tolerance)


@given(framed())
def test_a_project_of_final_cut_holds_exact_frames(given_frames):
    rate, frames = given_frames
    root = ElementTree.fromstring(load_format("fcpxml").write(content_of(rate, frames)))
    (duration,) = {one.get("frameDuration") for one in root.iter("format")} or {None}
    assert duration is None or Fraction(duration.rstrip("s")) == 1 / rate
    found, place = [], Fraction(0)
    for clip in root.iter("clip"):
        start, lasting, offset = (
            Fraction(clip.get(key, "0s").rstrip("s")) for key in ("start", "duration", "offset")
        )
        assert abs(offset - place) < Fraction(1, 100_000)
        place += lasting
        found.append((start * rate, (start + lasting) * rate, clip.get("name")))
    assert found == sorted(frames, key=lambda one: one[:2])
    assert [len(root.findall(f".//{tag}")) for tag in ("asset", "asset-clip")] == [bool(frames)] * 2


@given(framed())
def test_ffmpeg_reads_the_chapters(tmp_path_factory, given_frames):
    rate, frames = given_frames
    path = tmp_path_factory.mktemp("chapters") / "found.ffmeta"
    path.write_text(load_format("chapters").write(content_of(rate, frames)), encoding="utf-8")
    with av.open(str(path), format="ffmetadata") as read:
        chapters = [
            (
                one["start"] * one["time_base"] * rate,
                one["end"] * one["time_base"] * rate,
                one["metadata"]["title"].rstrip(),
            )
            for one in read.chapters()
        ]
    assert [(round(first), round(stop), title) for first, stop, title in chapters] == sorted(
        frames, key=lambda one: one[:2]
    )


@pytest.mark.parametrize("rate", RATES)
def test_time_codes_are_those_of_broadcast(rate):
    hour = round(3600 * rate)  # of the clock on the wall
    text = load_format("edl").write(content_of(rate, [(hour, hour + 2, "a")]))
    drops = rate in (Fraction(30000, 1001), Fraction(60000, 1001))
    assert f"FCM: {'DROP FRAME' if drops else 'NON-DROP FRAME'}" in text.splitlines()
    # An hour is an hour in drop frame; at 23.976 numbers run a thousandth slower.
    assert {Fraction(24000, 1001): "00:59:56:10"}.get(rate, f"01:00:00{';' if drops else ':'}00") in text


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(1e-3, 1e3), labels), max_size=5))
def test_subtitles_hold_labels_and_milliseconds(given_moments):
    moments = [
        Moment("a.mp4", start, start + length, 0.5, None, label) for start, length, label in given_moments
    ]
    for name in ("srt", "vtt"):
        lines = load_format(name).write(Content(moments)).splitlines()
        times = [line for line in lines if " --> " in line]
        assert len(times) == len(moments)
        for line, one in zip(times, sorted(moments, key=lambda one: (one.start_s, one.end_s)), strict=True):
            start, end = (
                sum(60**power * float(part) for power, part in enumerate(reversed(clock.split(":"))))
                for clock in line.replace(",", ".").split(" --> ")
            )
            assert (start, end) == pytest.approx((one.start_s, one.end_s), abs=0.501e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_no_moments_and_thousands(tmp_path, name):
    chosen = load_format(name)
    assert "jump" not in chosen.write(content_of(Fraction(25), []))
    many = [(60 * i, 60 * i + 25, "jump") for i in range(2000)]
    text = chosen.write(content_of(Fraction(25), many))
    path = tmp_path / "many"
    path.write_text(text, encoding="utf-8")
    if name in (*FRAMES, *TIMES):
        assert len(read_actions([path], rate=Fraction(25))) == 2000
        path.write_text(chosen.write(content_of(Fraction(25), [])), encoding="utf-8")
        assert read_actions([path], rate=Fraction(25)) == []
    else:
        assert text.count("jump") >= 2000


@pytest.mark.parametrize("name", [*FRAMES, *TIMES])
def test_line_breaks_and_control_characters_become_spaces(tmp_path, name):
    odd = Content([Moment("a b.mp4", 1.0, 2.0, 0.0, None, "two\nlines\x00 \ud800and\u2028more ")])
    odd = Content(odd.moments, {"a b.mp4": content_of(Fraction(25), [(0, 1, "x")]).facts[VIDEO]})
    path = tmp_path / "odd"
    path.write_text(load_format(name).write(odd), encoding="utf-8")
    if name != "json":
        (found,) = read_actions([path], rate=Fraction(25))
        assert found == ("a b", 1.0, 2.0, "two lines and more")
