"""The server under many requests at once, some of which mean harm."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.answers.test_app import free_port
from tests.videos import counting, write_video
from vreloc_pyg.answers.guard import without_addresses

pytest.importorskip("gradio", reason="gradio is not installed")

SERVER = """
import socket, sys
from functools import partial
real = socket.getaddrinfo
def noted(host, *more, **named):
    if host not in ("127.0.0.1", "localhost", None):
        print("LOOKED UP", host, flush=True)
    return real(host, *more, **named)
socket.getaddrinfo = noted
from tests.videos import Levels
from vreloc_pyg.answers import guard
from vreloc_pyg.answers.server import serve
from vreloc_pyg.localization.locate import locate
guard.BODY_S = 2.0
port, videos, cache = sys.argv[1:]
def answer(query, reference, **options):
    if "hostile" in str(reference):
        import time
        time.sleep(30)
    return locate(query, reference, extractor=Levels(), cache=cache, **options)
serve(answer, port=int(port), videos=[videos], max_upload_mb=1, max_uploads_mb=2)
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "reference.mp4", counting(60))
    write_video(folder / "query.mp4", counting(20))
    (folder / "hostile.mp4").write_bytes((folder / "reference.mp4").read_bytes())
    return folder


@pytest.fixture(scope="module")
def server(videos, tmp_path_factory):
    port = free_port()
    arguments = [sys.executable, "-c", SERVER, str(port), videos, tmp_path_factory.mktemp("cache")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout.readline().startswith("Open")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
        assert "LOOKED UP" not in process.stdout.read()


def post(address, values):
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def status(call):
    with pytest.raises(urllib.error.HTTPError) as refused:
        call()
    refused.value.close()
    return refused.value.code


def ask(server, number, session, data):
    """What the page is told of a question, and the seconds that took."""
    began = time.monotonic()
    post(f"{server}/gradio_api/queue/join", {"data": data, "fn_index": number, "session_hash": session})
    with urllib.request.urlopen(
        f"{server}/gradio_api/queue/data?session_hash={session}", timeout=60
    ) as lines:
        for line in lines:
            message = json.loads(line[5:]) if line.startswith(b"data:") else {}
            if message.get("msg") == "process_completed":
                return str(message["output"]), time.monotonic() - began
    return "", time.monotonic() - began


@pytest.fixture(scope="module")
def find(server):
    """Number of the function that finds."""
    with urllib.request.urlopen(f"{server}/config", timeout=30) as answer:
        functions = json.loads(answer.read())["dependencies"]
    return next(one["id"] for one in functions if len(one["inputs"]) == 6)


@pytest.mark.slow
def test_fifty_requests_of_which_some_are_hostile(server, find, videos):
    port = int(server.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as stalled:  # a request that never ends
        stalled.sendall(b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        hostile = [None, None, str(videos / "query.mp4"), str(videos / "hostile.mp4"), 0, 1]
        honest = [None, None, str(videos / "query.mp4"), str(videos / "reference.mp4"), 0, 1]
        threading.Thread(target=ask, args=(server, find, "hostile", hostile), daemon=True).start()
        with ThreadPoolExecutor(49) as pool:
            found = list(pool.map(lambda i: ask(server, find, f"honest{i}", honest), range(49)))
        assert all("iframe" in text for text, _ in found)
        assert max(seconds for _, seconds in found) < 25  # before the hostile one has ended
        stalled.settimeout(20)
        assert b" 408 " in stalled.recv(100)


@pytest.mark.slow
def test_nothing_is_looked_up_for_a_client(server, find):
    file = {"path": "/none", "url": "http://name.invalid/a.mp4", "meta": {"_type": "gradio.FileData"}}
    ask(server, find, "url", [file, file, "", "", 0, 1])
    named = {**file, "path": "https://name.invalid/a.mp4"}
    join = f"{server}/gradio_api/queue/join"
    assert status(lambda: post(join, {"data": [named], "fn_index": find, "session_hash": "x"})) == 400
    assert status(lambda: post(join, b"[" * 10_000)) == 400
    assert status(lambda: post(join, b" " * 2_000_000)) == 413
    # The fixture looks for names that were looked up, when the server has ended.


@pytest.mark.slow
def test_all_uploads_together_are_limited(server):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.mp4"\r\n\r\n'

    def upload(number):
        content = body % number + bytes([number]) * 900_000 + b"\r\n--x--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(f"{server}/gradio_api/upload", content, kind)
        urllib.request.urlopen(request, timeout=30).close()

    upload(1)
    upload(2)
    assert status(lambda: upload(3)) == 413


def test_addresses_are_taken_out():
    given = {"data": [{"path": "/a/b.mp4", "url": "http://x/y"}, "http://text"], "n": 1}
    assert without_addresses(given) == {"data": [{"path": "/a/b.mp4"}, "http://text"], "n": 1}
    for path in ("http://x", " HTTPS://x", "ftp:x", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="address"):
            without_addresses([{"path": path}])
