"""The local web page: who reaches which files, and the whole way in a real browser."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from tests.answers.serving import browsing, free_port, get, served
from tests.videos import Levels, counting, write_video
from vreloc_pyg import cli
from vreloc_pyg.answers import app as module
from vreloc_pyg.answers.app import App
from vreloc_pyg.answers.desk import Desk, Shown
from vreloc_pyg.answers.example_videos import draw_example
from vreloc_pyg.answers.questions import PairQuestion
from vreloc_pyg.answers.room import Room
from vreloc_pyg.answers.server import serve
from vreloc_pyg.errors import MissingExtraError, SettingsError, VideoError
from vreloc_pyg.localization.locate import locate
from vreloc_pyg.moments import Moment
from vreloc_pyg.video.decoding import video_duration

pytest.importorskip("gradio", reason="gradio is not installed")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of videos whose paths may be named, and one beside it that may not."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "open").mkdir()
    (folder / "closed").mkdir()
    draw_example(folder / "open")
    write_video(folder / "closed" / "secret.mp4", counting(20))
    (folder / "open" / "link.mp4").symlink_to(folder / "closed" / "secret.mp4")
    return folder


SERVER = """
import signal, sys
from functools import partial
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
from tests.videos import Levels
from vreloc_pyg.localization.locate import locate
from vreloc_pyg.answers.questions import PairQuestion
from vreloc_pyg.answers.server import serve
port, videos, cache = sys.argv[1:]
find = partial(locate, extractor=Levels(), cache=cache)
serve(partial(PairQuestion, find), port=int(port), videos=[videos], max_upload_mb=1)
"""


def question(desk: Desk) -> PairQuestion:
    return PairQuestion(partial(locate, extractor=Levels()), desk)


def app(folder: Path, videos=()) -> App:
    desk = Desk(Room(folder, 10**9))
    return App(question(desk), desk, videos)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    """Folder of the server's own files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(videos, temporary, tmp_path_factory):
    with served(SERVER, temporary, videos / "open", tmp_path_factory.mktemp("cache")) as address:
        yield address


@pytest.mark.slow
def test_other_files_are_out_of_reach(server, videos):
    assert get(server) == 200
    source = Path(module.__file__)
    for path in ("/etc/passwd", source, Path.cwd() / "setup.cfg", videos / "closed" / "secret.mp4"):
        assert get(f"{server}/gradio_api/file={path}") in (403, 404)
        assert get(f"{server}/file={path}") in (403, 404)
    for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd"):
        assert get(f"{server}/gradio_api/file={videos}/open/{path}") in (403, 404)
    # Of the folder that was named, only what was asked for.
    assert get(f"{server}/gradio_api/file={videos}/open/example_reference.mp4") in (403, 404)
    for prefix in ("", "/gradio_api"):
        assert get(f"{server}{prefix}/file=https://example.org/a.mp4") == 404
        assert get(f"{server}{prefix}/proxy=https://example.org/a.mp4") == 404


@pytest.mark.slow
def test_only_this_machine_is_listened_to(server):
    port = int(server.rpartition(":")[2])
    with socket.socket() as other:  # of the addresses of this machine, all but one are free
        other.bind(("127.0.0.2", port))


def test_paths_are_allowed_in_the_folders_that_were_named_only(videos, tmp_path):
    application = app(tmp_path, [videos / "open"])
    named = videos / "open" / "example_query.mp4"
    assert application.readable(str(named)) == named
    for path in (
        *(videos / "closed" / "secret.mp4", videos / "open" / ".." / "closed" / "secret.mp4"),
        *(videos / "open" / "link.mp4", "/etc/passwd", "/no/such/file", "", "."),
    ):
        with pytest.raises(VideoError, match="--videos"):
            application.readable(str(path))
    with pytest.raises(VideoError, match="--videos"):
        app(tmp_path).readable(str(named))


def test_no_error_names_a_folder_of_the_server(videos, tmp_path):
    application = app(tmp_path / "own", [videos / "open"])
    bad = tmp_path / "own" / "uploads" / "0f3a" / "bad one.mp4"
    bad.parent.mkdir()
    bad.write_bytes(b"none")
    gone = bad.with_name("gone.mp4")
    good, named = str(videos / "open" / "example_query.mp4"), str(videos / "open" / "none.mp4")
    for given, said in (
        ((str(bad), None, "", good), "bad one.mp4 as a video"),
        ((None, str(gone), good, ""), "gone.mp4"),
        ((None, None, good, named), "There is no video file none.mp4"),
        ((None, None, good, good), "no part"),
    ):
        text = application.find(lambda *_, **__: None, *given, 5.0, 7.0)
        text += application._preview(given[0], given[2]) + application._preview(given[1], given[3])
        assert said in text or "lasts 2.4" in text
        assert str(tmp_path) not in text
        assert str(videos) not in text


def test_the_desk_hands_out_what_it_was_given_for_as_long_as_it_is_remembered(videos, tmp_path, monkeypatch):
    testing = pytest.importorskip("starlette.testclient", reason="starlette's client is not installed")
    desk = Desk(Room(tmp_path, 10**9))
    client = testing.TestClient(desk.answer)
    reference = videos / "open" / "example_reference.mp4"
    address = desk.video(reference)
    assert address == desk.video(reference)  # one key, however often
    whole = client.get(address)
    assert whole.content == reference.read_bytes()
    part = client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    moment = Moment(str(reference), 1.0, 2.5, 0.5)
    key = desk.keep(Shown((None, moment)))
    clip = client.get(f"/vreloc/clip/{key}/1")
    assert "example_reference_0-00-01.000_0-00-02.500.mp4" in clip.headers["content-disposition"]
    (tmp_path / "clip.mp4").write_bytes(clip.content)
    assert video_duration(tmp_path / "clip.mp4") == pytest.approx(1.5, abs=0.05)
    for other in (f"clip/{key}/0", f"clip/{key}/2", f"clip/{key}x/1", f"more/{key}/1", "video/none"):
        assert client.get(f"/vreloc/{other}").status_code == 404
    changed = desk.keep(Shown((None, moment), {str(reference): [1, 2]}))
    refused = client.get(f"/vreloc/clip/{changed}/1")
    assert refused.status_code == 404
    assert "has changed since" in refused.text
    monkeypatch.setattr("vreloc_pyg.answers.desk.MOST_ANSWERS", 1)
    desk.keep(Shown((None,)))
    assert client.get(f"/vreloc/clip/{key}/1").status_code == 404


@pytest.mark.slow
def test_uploads_are_limited(server):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    body += bytes(1_100_000) + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(f"{server}/gradio_api/upload", body, kind)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 413
    refused.value.close()


@pytest.mark.slow
def test_a_question_is_answered_in_the_browser(server, videos, temporary, tmp_path):
    with browsing() as (tab, wrong):
        tab.goto(server)
        tab.locator("#find").click()
        tab.wait_for_selector("#answer .error")
        assert tab.locator("#answer .error").inner_text() == "Choose a query video"
        tab.locator("#path_query textarea, #path_query input").fill("/etc/passwd")
        tab.locator("#find").click()
        tab.wait_for_selector("#answer .error:has-text('does not lie in a folder')")
        tab.locator("#path_query textarea, #path_query input").fill("")
        tab.locator("#example").click()
        for role in ("query", "reference"):
            tab.wait_for_function(f"(document.querySelector('#preview_{role} video') || {{}}).readyState > 0")
        assert tab.locator("#end input[type=number]").input_value() == "2.4"
        tab.locator("#start input[type=number]").fill("0.4")
        tab.locator("#start input[type=number]").press("Enter")
        tab.locator("#find").click()
        page = tab.frame_locator("#answer iframe")
        page.locator("#verdict").wait_for()
        assert "Best match at 00:00:0" in page.locator("#verdict").inner_text()
        assert page.locator("#timeline .segment").count() >= 1
        assert page.locator("#timeline .proposal").count() >= 1
        assert len(page.locator("#timeline .curve").get_attribute("points").split()) == 45
        player = page.locator("#reference")
        player.evaluate("v => v.readyState > 0 || new Promise(done => v.onloadedmetadata = done)")
        start, end = page.locator("#data").evaluate(
            "e => { const s = JSON.parse(e.textContent).segments[0]; return [s.start_s, s.end_s]; }"
        )
        assert 2.9 <= start <= 4.1  # where somebody else does the same
        assert float(page.locator("#data").evaluate("e => JSON.parse(e.textContent).query_start_s")) == 0.4
        click = "b => { b.click(); return document.getElementById('reference').currentTime; }"
        assert page.locator(".result").first.evaluate(click) == pytest.approx(start)
        player.evaluate("v => v.pause()")
        with tab.expect_download() as download:
            page.get_by_text("save clip").first.click()
        assert download.value.suggested_filename.startswith("example_reference_0-00-0")
        download.value.save_as(tmp_path / "clip.mp4")
        assert video_duration(tmp_path / "clip.mp4") == pytest.approx(end - start, abs=0.05)
        frame = tab.locator("#answer iframe")
        assert frame.bounding_box()["height"] >= page.locator("body").evaluate("b => b.scrollHeight")
        tab.screenshot(path=tmp_path / "serve.png", full_page=True)
        ours = page.locator("html").evaluate("e => e.outerHTML")
        ours += "".join(tab.locator(f"#preview_{role}").inner_html() for role in ("query", "reference"))
        for place in (temporary, videos):  # of the server; Gradio says itself where an upload is
            assert str(place) not in ours
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert wrong == []


def test_settings_that_cannot_be_served_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match="Expected a folder of videos"):
        app(tmp_path, [tmp_path / "none"])
    with pytest.raises(SettingsError, match="max_upload_mb"):
        serve(question, max_upload_mb=0)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vreloc_pyg\[demo\]'"):
        app(tmp_path).build()


def test_missing_weights_end_the_command_before_it_listens(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path))
    assert cli.main(["serve", "--port", str(free_port())]) == 2
    assert "vreloc weights import-i3d" in capsys.readouterr().err
