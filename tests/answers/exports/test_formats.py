"""What can be written is said before the work, and what is written is safe to open."""

import csv
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answers.exports.making import RATES, write_at
from tests.videos import counting, write_video
from vreloc_pyg.answers.exports.edl import reel_names
from vreloc_pyg.answers.exports.formats import FORMATS, check_export, export_moments, format_name, load_format
from vreloc_pyg.datasets.imports.cells import FORMULA, as_text, from_text
from vreloc_pyg.errors import DataError, MissingExtraError, SettingsError, VideoError
from vreloc_pyg.moments import Moment
from vreloc_pyg.video.facts import parse_rate, read_facts


def moment(video="a.mp4", start=1.0, end=2.0, **other):
    return Moment(str(video), start, end, 0.5, **other)


def test_a_format_is_named_or_told_by_its_suffix():
    told = {"a.srt": "srt", "b.XML": "cvat", "c.labelstudio.json": "labelstudio", "d.json": "json"}
    told |= {"e.ffmeta": "chapters", "f.boris": "boris", "g.fcpxml": "fcpxml"}
    assert {path: format_name(path) for path in told} == told
    assert format_name("a.srt", "edl") == "edl"
    for wrong in (("a.txt", None), ("a", None), ("a.srt", "word")):
        with pytest.raises(SettingsError, match="srt, vtt, edl"):
            format_name(*wrong)


@pytest.mark.parametrize("rate", RATES)
def test_the_rate_of_a_file_is_exact(tmp_path, rate):
    facts = read_facts(write_at(tmp_path / "a.mp4", rate))
    assert (facts.rate, facts.num_frames, facts.size) == (rate, 12, (64, 48))
    assert (
        parse_rate(f"{float(rate):.2f}") == parse_rate(f"{float(rate):.3f}") == parse_rate(str(rate)) == rate
    )


@pytest.mark.parametrize("text", ["", "fast", "0", "-25", "1/0", "nan", "1e9", "1e99999999", "1e-99999999"])
def test_what_is_no_rate(text):
    with pytest.raises(SettingsError, match="Expected a frame rate"):
        parse_rate(text)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_for_a_real_file(tmp_path, name):
    video = write_video(tmp_path / "a b & c.mp4", counting(50), rate=25)
    place = tmp_path / "out" / "found"
    assert export_moments(place, [moment(video, 0.0, 0.04), moment(video, 1.5, 2.0)], name) == place
    assert place.read_text(encoding="utf-8")
    assert [path.name for path in place.parent.iterdir()] == ["found"]


@pytest.mark.parametrize("name", ["edl", "fcpxml", "otio", "labelstudio", "cvat"])
def test_frames_of_a_video_that_is_not_there_need_a_rate(tmp_path, name):
    with pytest.raises(DataError, match="there is no video file"):
        export_moments(tmp_path / "a", [moment("v_17")], name)
    if name == "cvat":
        with pytest.raises(DataError, match="size of the picture"):
            export_moments(tmp_path / "a", [moment("v_17")], name, rate=Fraction(25))
    else:
        export_moments(tmp_path / "a", [moment("v_17")], name, rate=Fraction(25))


def test_what_a_format_cannot_hold_is_refused_and_nothing_written(tmp_path):
    slow, fast = (write_at(tmp_path / f"{rate}.mp4", rate) for rate in (25, 50))
    two, out = [moment(slow, 0.0, 0.2), moment(fast, 0.0, 0.1)], tmp_path / "out"
    for name in ("srt", "vtt", "eaf", "cvat", "chapters"):
        with pytest.raises(DataError, match="belongs to one video"):
            export_moments(out, two, name)
    for name in ("edl", "fcpxml"):
        with pytest.raises(DataError, match=r"has one frame rate \(the videos have 25.000, 50.000\)"):
            export_moments(out, two, name)
    with pytest.raises(DataError, match="after 24 hours"):
        export_moments(out, [moment("v", 86_399, 86_400)], "edl", rate=Fraction(25))
    with pytest.raises(DataError, match=r"12\.5 frames a second have no time code"):
        export_moments(out, [moment("v")], "edl", rate=Fraction(25, 2))
    assert not out.exists()


def test_a_file_that_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("#EXTM3U\nsecret.ts\n")
    with pytest.raises(VideoError, match="Cannot read"):
        check_export(tmp_path / "a.otio", [str(tmp_path / "a.mp4")])
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    with pytest.raises(DataError, match="counts frames"):
        check_export(tmp_path / "a.otio", [str(tmp_path / "a.npy")])
    check_export(tmp_path / "a.srt", [str(tmp_path / "a.npy")])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("vreloc_pyg.answers.exports.formats.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pympi: pip install 'vreloc_pyg\[exports\]'"):
        load_format("eaf")


def test_a_spreadsheet_computes_nothing(tmp_path):
    odd = [
        moment(video, label=label)
        for video, label in (("=a.mp4", "+1"), ("@b", "-x"), ("c", "=cmd|' /C'!A0"))
    ]
    place = export_moments(tmp_path / "found.csv", odd)
    rows = list(csv.DictReader(place.read_text(encoding="utf-8").splitlines()))
    assert not any(row[column].startswith(FORMULA) for row in rows for column in ("video", "label"))
    assert [(from_text(row["video"]), from_text(row["label"])) for row in rows] == [
        (one.video, one.label) for one in odd
    ]
    assert rows[0]["score"] == "0.5"


@given(st.text(st.sampled_from("'=+-@a\t"), max_size=6))
def test_an_apostrophe_is_taken_away_again(cell):
    assert from_text(as_text(cell)) == cell
    assert not as_text(cell).startswith(FORMULA)


@given(st.lists(st.text(st.sampled_from("AbB1 -Lé/"), min_size=1, max_size=12), unique=True, max_size=20))
def test_reels_tell_videos_apart(videos):
    names = list(reel_names(videos).values())
    assert len(set(names)) == len(videos)
    assert all(name.isalnum() and name.isascii() and len(name) <= 8 for name in names)


def test_the_page_of_formats_names_all(request):
    page = (request.config.rootpath / "docs" / "exports.md").read_text(encoding="utf-8")
    for name in FORMATS:
        (row,) = [
            line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]
        ]
        for suffix in row.split("|")[2].replace("`", "").split(","):
            assert format_name(f"a{suffix.strip()}") in row.split("|")[1]
