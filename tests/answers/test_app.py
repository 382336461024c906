"""The local web page: who reaches which files, and the whole way in a real browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from tests.videos import Levels, counting, write_video
from vreloc_pyg import cli
from vreloc_pyg.answers import app as module
from vreloc_pyg.answers.app import DemoApp
from vreloc_pyg.answers.example_videos import draw_example
from vreloc_pyg.answers.server import serve
from vreloc_pyg.errors import MissingExtraError, SettingsError, VideoError
from vreloc_pyg.localization.locate import locate

pytest.importorskip("gradio", reason="gradio is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(address: str) -> int:
    """Status of a request."""
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


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
from vreloc_pyg.answers.server import serve
port, videos, cache = sys.argv[1:]
serve(partial(locate, extractor=Levels(), cache=cache), port=int(port), videos=[videos], max_upload_mb=1)
"""


@pytest.fixture(scope="module")
def server(videos, tmp_path_factory):
    """Address of a server in a process of its own, whose temporary files are watched."""
    temporary, port = tmp_path_factory.mktemp("temporary"), free_port()
    arguments = [sys.executable, "-c", SERVER, str(port), videos / "open", tmp_path_factory.mktemp("cache")]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stdout.readline()
            assert line == f"Open http://127.0.0.1:{port}/ in a browser; Ctrl-C ends it.\n"
            assert [path.name[:13] for path in temporary.iterdir()] == ["vreloc-serve-"]
            yield f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stdout.read() == "Ended\n"
        finally:
            process.kill()
    assert list(temporary.iterdir()) == []  # uploads do not outlive the server


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
    application = DemoApp(partial(locate, extractor=Levels()), tmp_path, [videos / "open"])
    named = videos / "open" / "example_query.mp4"
    assert application.readable(str(named)) == named
    for path in (
        *(videos / "closed" / "secret.mp4", videos / "open" / ".." / "closed" / "secret.mp4"),
        *(videos / "open" / "link.mp4", "/etc/passwd", "/no/such/file", "", "."),
    ):
        with pytest.raises(VideoError, match="--videos"):
            application.readable(str(path))
    with pytest.raises(VideoError, match="--videos"):
        DemoApp(partial(locate, extractor=Levels()), tmp_path).readable(str(named))


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
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_question_is_answered_in_the_browser(server, videos, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    address = server
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1200, "height": 1500})
        tab.set_default_timeout(60_000)
        wrong: list[str] = []
        elsewhere: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: elsewhere.append(request.url))
        tab.goto(address)
        tab.locator("#find").click()
        tab.wait_for_selector("#answer .error")
        assert tab.locator("#answer .error").inner_text() == "Choose a query video"
        tab.locator("#path_query textarea, #path_query input").fill("/etc/passwd")
        tab.locator("#find").click()
        tab.wait_for_selector("#answer .error:has-text('does not lie in a folder')")
        tab.locator("#path_query textarea, #path_query input").fill("")
        tab.locator("#example").click()
        tab.wait_for_function("(document.querySelector('#preview video') || {}).readyState > 0")
        assert tab.locator("#end input[type=number]").input_value() == "2.4"
        tab.wait_for_function("document.querySelector('#upload_reference').innerText.includes('example_ref')")
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
        start = float(page.locator("#data").evaluate("e => JSON.parse(e.textContent).segments[0].start_s"))
        assert 2.9 <= start <= 4.1  # where somebody else does the same
        assert float(page.locator("#data").evaluate("e => JSON.parse(e.textContent).query_start_s")) == 0.4
        page.locator(".result").first.click()
        assert start - 1e-6 <= player.evaluate("v => v.currentTime") < start + 0.8
        player.evaluate("v => v.pause()")
        tab.screenshot(path=tmp_path / "serve.png", full_page=True)
        assert wrong == []
        strange = [url for url in elsewhere if not url.startswith((address, "data:", "blob:", "about:"))]
        assert strange == []
        browser.close()


def test_settings_that_cannot_be_served_are_refused(tmp_path, monkeypatch):
    answer = partial(locate, extractor=Levels())
    with pytest.raises(SettingsError, match="Expected a folder of videos"):
        DemoApp(answer, tmp_path, [tmp_path / "none"])
    with pytest.raises(SettingsError, match="max_upload_mb"):
        serve(answer, max_upload_mb=0)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vreloc_pyg\[demo\]'"):
        DemoApp(answer, tmp_path).build()


def test_missing_weights_end_the_command_before_it_listens(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VRELOC_CACHE", str(tmp_path))
    assert cli.main(["serve", "--port", str(free_port())]) == 2
    assert "vreloc weights import-i3d" in capsys.readouterr().err
