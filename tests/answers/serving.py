"""A server in a process of its own, and a browser to look at what it serves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@contextmanager
def served(script: str, temporary: Path, *arguments: object) -> Iterator[str]:
    """The address of a server that a script runs, given a port and further arguments; it ends by Ctrl-C.

    Its temporary files are in a folder, which is empty when it has ended.
    """
    port = free_port()
    words = [sys.executable, "-c", script, str(port), *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
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
    assert list(temporary.iterdir()) == []


@contextmanager
def browsing(width: int = 1200, height: int = 1500) -> Iterator[tuple[object, list[str]]]:
    """A tab of a browser, and what went wrong in it: errors of scripts, and requests to other machines."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    near = ("http://127.0.0.1:", "file:", "data:", "blob:", "about:")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.set_default_timeout(60_000)
        wrong: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda one: None if one.url.startswith(near) else wrong.append(one.url))
        try:
            yield tab, wrong
        finally:
            browser.close()
