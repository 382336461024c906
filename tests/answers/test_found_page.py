"""The page of a library's results, in a file and served, in a real browser with real clips."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.answers.serving import browsing, served
from tests.videos import REAL, Levels
from vreloc_pyg import cli
from vreloc_pyg.answers.found_page import write_found_page
from vreloc_pyg.answers.results import load_results
from vreloc_pyg.library.asking import LibraryAnswer, LibrarySearch
from vreloc_pyg.library.indexing import index_videos
from vreloc_pyg.library.library import Library
from vreloc_pyg.moments import Moment
from vreloc_pyg.video.decoding import video_duration
from vreloc_pyg.video.extractors import EXTRACTORS

HOSTILE = "<img src=x onerror=document.title='taken'> & \"it's\" $(rm -r).mp4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A library of three real clips, of which one has a hostile name, and one that has vanished since."""
    across = REAL / "across"
    if not across.is_dir():
        pytest.skip(f"There is no {across}: set VRELOC_DATA")
    place = tmp_path_factory.mktemp("found")
    names = {"golf_swing_1": HOSTILE, "golf_swing_2": "swing.mp4", "soccer_juggling_1": "juggle.mp4"}
    for clip, name in {**names, "segway_1": "gone.mp4"}.items():
        shutil.copy(across / f"{clip}.mp4", place / name)
    index_videos(Library(place / "lib", create=True), sorted(place.glob("*.mp4")), Levels, progress=False)
    (place / "gone.mp4").unlink()
    shutil.copy(across / "golf_swing_1.mp4", place / "query.mp4")
    return place


@pytest.fixture(autouse=True)
def levels(monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "levels", "tests.videos:LEVELS")


def ask(folder: Path, top: int = 12) -> LibraryAnswer:
    search = LibrarySearch(folder / "lib", cache=str(folder / "cache"))
    return search.ask([str(folder / "query.mp4")], (1.0, 3.0), top)


def values(tab):
    return json.loads(tab.locator("#data").text_content())


def judge_and_save(tab, tmp_path):
    """Call the first result right and the second one wrong; the rows of the CSV, and the export's moments."""
    tab.locator("[data-rate='1'][data-right='true']").click()
    tab.locator("[data-rate='2'][data-right='false']").click()
    tab.locator("[data-rate='2'][data-right='false'][aria-pressed='true']").wait_for()
    for button, name in (("#ratings", "annotations.csv"), ("#export", "answer.json")):
        with tab.page.expect_download() if hasattr(tab, "page") else tab.expect_download() as download:
            tab.locator(button).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    with (tmp_path / "annotations.csv").open(newline="") as file:
        return list(csv.DictReader(file)), load_results(tmp_path / "answer.json")[0]


@pytest.mark.slow
def test_a_page_that_stands_by_itself(folder, tmp_path):
    answer = ask(folder)
    page = write_found_page(tmp_path / "found.html", answer)
    assert [one.name for one in tmp_path.iterdir()] == ["found.html"]
    with browsing(1200, 1000) as (tab, wrong):
        tab.goto(page.as_uri())
        moments = values(tab)["moments"]
        assert tab.title() == "query.mp4 in lib"  # no name of a file was taken as HTML
        assert tab.locator("img[src=x]").count() == 0
        cards = tab.locator(".card")
        assert cards.count() == len(answer.moments)
        assert cards.first.locator(".name").inner_text() == HOSTILE
        assert tab.evaluate("[...document.querySelectorAll('.play img')].every(i => i.naturalWidth > 0)")
        # What is there plays, for as long as the moment lasts; what is gone is said to be.
        gone = [n for n, one in enumerate(moments) if one["video"].endswith("gone.mp4")]
        assert gone
        assert "its video is gone" in cards.nth(gone[0]).inner_text()
        assert "gone.mp4 is no file any more" in tab.locator("#notes").inner_text()
        cards.first.locator(".play").hover()
        tab.wait_for_function("(document.querySelector('.play video') || {}).currentTime > 0.05")
        lasting = tab.evaluate("document.querySelector('.play video').duration")
        assert lasting == pytest.approx(moments[0]["end_s"] - moments[0]["start_s"], abs=0.15)
        tab.locator("#verdict").hover()
        assert tab.locator(".play video").count() == 0
        tab.keyboard.press("2")
        assert tab.locator(".card.on").get_attribute("data-rank") == "2"
        # Filters
        names = [one["video"] for one in moments]
        tab.locator("#videos").select_option(label="swing.mp4")
        shown = [one for one in range(len(names)) if cards.nth(one).is_visible()]
        assert shown == [one for one, name in enumerate(names) if name.endswith("swing.mp4")]
        assert f"{len(shown)} of {len(names)} shown" in tab.locator("#count").inner_text()
        tab.locator("#videos").select_option(label="all")
        # More like this: a command that a shell reads as it is meant, and that finds that moment first.
        cards.first.get_by_text("more like this").click()
        program, *words = shlex.split(tab.locator("#command").inner_text())
        assert program == "vreloc"
        more = tmp_path / "more.html"
        words[words.index("more.html")] = str(more)
        assert cli.main([*words, "--cache", str(folder / "cache"), "--top", "3"]) == 0
        rows, kept = judge_and_save(tab, tmp_path)
        first = answer.moments[0]
        assert [(row["video"], row["label"]) for row in rows] == [(Path(first.video).stem, "query")]
        assert float(rows[0]["start_s"]) == pytest.approx(first.start_s, abs=1e-3)
        assert kept == [answer.moments[0], *answer.moments[2:]]
        tab.screenshot(path=tmp_path / "found.png", full_page=True)
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.screenshot(path=tmp_path / "found-phone.png", full_page=True)
        tab.goto(more.as_uri())
        again = values(tab)["moments"][0]
        assert again["video"] == first.video
        assert again["start_s"] == pytest.approx(first.start_s, abs=0.25)
        assert wrong == []


def test_clips_that_are_too_large_together_are_linked(folder, tmp_path):
    answer = ask(folder, 4)
    text = write_found_page(tmp_path / "found.html", answer, embed_bytes=0).read_text()
    data = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    for one in data["moments"]:
        if one["video"].endswith("gone.mp4"):
            assert one["clip"] is None
        else:
            assert one["clip"]["whole"]
            assert one["clip"]["src"].endswith(f"#t={one['start_s']:.3f},{one['end_s']:.3f}")
    assert "<img src=x" not in text


def test_moments_of_features_alone_have_no_picture(tmp_path):
    moments = [Moment("a </script><b>name", 1.0, 2.0, 0.5)]
    answer = LibraryAnswer(tmp_path / "lib", ("q",), (0.0, None), "a rule", moments, ("a <note>",), {})
    text = write_found_page(tmp_path / "found.html", answer).read_text()
    assert "a </script><b>" not in text
    data = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    (one,) = data["moments"]
    assert (one["video"], one["clip"], one["thumbnail"]) == ("a </script><b>name", None, None)
    assert one["missing"] == "no picture: no video"


SERVER = """
import signal, sys
from functools import partial
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
from vreloc_pyg.video.extractors import EXTRACTORS
EXTRACTORS["levels"] = "tests.videos:LEVELS"
from vreloc_pyg import cli
port, library, cache = sys.argv[1:]
cli.main(["serve", "--port", port, "--library", library, "--cache", cache])
"""


@pytest.mark.slow
def test_a_library_that_is_served(folder, tmp_path):
    pytest.importorskip("gradio", reason="gradio is not installed")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with (
        served(SERVER, temporary, folder / "lib", folder / "cache") as address,
        browsing(1200, 1000) as (tab, wrong),
    ):
        tab.goto(address)
        assert tab.locator("#upload_reference").count() == 0
        tab.locator("#upload_query input[type=file]").set_input_files(folder / "query.mp4")
        tab.wait_for_function("(document.querySelector('#preview_query video') || {}).readyState > 0")
        tab.locator("#start input[type=number]").fill("1")
        tab.locator("#start input[type=number]").press("Enter")
        tab.locator("#end input[type=number]").fill("3")
        tab.locator("#end input[type=number]").press("Enter")
        tab.locator("#find").click()
        page = tab.frame_locator("#answer iframe")
        page.locator(".card").first.wait_for()
        moments = values(page)["moments"]
        assert moments[0]["video"] == HOSTILE  # as seen from the library's videos
        assert str(folder) not in page.locator("html").evaluate("e => e.outerHTML")
        page.locator(".card .play").first.click()
        video = page.locator(".play video")
        video.evaluate("v => v.readyState > 0 || new Promise(done => v.onloadedmetadata = done)")
        lasting = moments[0]["end_s"] - moments[0]["start_s"]
        assert video.evaluate("v => v.duration") == pytest.approx(lasting, abs=0.15)
        with tab.expect_download() as download:
            page.get_by_text("save clip").first.click()
        download.value.save_as(tmp_path / "clip.mp4")
        assert video_duration(tmp_path / "clip.mp4") == pytest.approx(lasting, abs=0.15)
        second = moments[1]
        page.locator(".card").nth(1).get_by_text("more like this").click()
        page.locator(f"#asked:has-text('{second['video'].split()[-1]}')").wait_for()
        page.locator(".card").first.wait_for()
        found = values(page)["moments"][0]
        assert (found["video"], found["start_s"]) == (second["video"], second["start_s"])
        tab.screenshot(path=tmp_path / "library.png", full_page=True)
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.screenshot(path=tmp_path / "library-phone.png", full_page=True)
        assert wrong == []
