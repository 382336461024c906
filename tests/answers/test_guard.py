"""The server under many requests at once, some of which mean harm."""

import asyncio
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
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.answers.serving import free_port, get
from tests.videos import counting, write_video
from vreloc_pyg.answers.guard import Guard, without_addresses
from vreloc_pyg.answers.room import Room

pytest.importorskip("gradio", reason="gradio is not installed")

SERVER = """
import socket, sys
from functools import partial
port, videos, cache, log, planted = sys.argv[1:]
NAMED = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.connect": 1, "socket.sendto": 1}
def watch(event, given):
    if event in NAMED:
        host = given[NAMED[event]]
        host = host[0] if isinstance(host, tuple) else host
        host = host.decode() if isinstance(host, bytes) else host
        if host not in ("127.0.0.1", "localhost", "::1", None):
            print(host, file=open(log, "a"))
            raise OSError("nothing leaves this machine")
sys.addaudithook(watch)  # whoever asks, whichever way
from tests.videos import Levels
from vreloc_pyg.answers import guard
from vreloc_pyg.answers.questions import PairQuestion
from vreloc_pyg.answers.server import serve
from vreloc_pyg.localization.locate import locate
guard.BODY_S = 2.0
if planted == "planted":
    guard.without_addresses = lambda values: values
def answer(query, reference, **options):
    if "hostile" in str(reference):
        import time
        time.sleep(30)
    return locate(query, reference, extractor=Levels(), cache=cache, **options)
serve(partial(PairQuestion, answer), port=int(port), videos=[videos], max_upload_mb=1, max_uploads_mb=2)
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "reference.mp4", counting(60))
    write_video(folder / "query.mp4", counting(20))
    (folder / "hostile.mp4").write_bytes((folder / "reference.mp4").read_bytes())
    return folder


@contextmanager
def running(videos, folder, planted="none"):
    """Address of a server, and the file that gets a line for each machine that it would speak to."""
    port, log = free_port(), folder / "looked_up"
    log.touch()
    arguments = [sys.executable, "-c", SERVER, str(port), videos, folder / "cache", log, planted]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(folder)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout.readline().startswith("Open")
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.kill()


@pytest.fixture(scope="module")
def watched(videos, tmp_path_factory):
    with running(videos, tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(scope="module")
def server(watched):
    return watched[0]


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


def finding(server):
    """Number of the function that finds."""
    with urllib.request.urlopen(f"{server}/config", timeout=30) as answer:
        functions = json.loads(answer.read())["dependencies"]
    return next(one["id"] for one in functions if len(one["inputs"]) == 6)


@pytest.fixture(scope="module")
def find(server):
    return finding(server)


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


def named(path):
    """What a client says of a file, with an address."""
    return {"path": path, "url": "http://other.invalid/a.mp4", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.slow
def test_nothing_is_looked_up_for_a_client(watched, find):
    server, log = watched
    ask(server, find, "url", [named("/none"), named("/none"), "", "", 0, 1])
    asked = {"data": [named("https://name.invalid/a.mp4")], "fn_index": find, "session_hash": "x"}
    join = f"{server}/gradio_api/queue/join"
    assert status(lambda: post(join, asked)) == 400
    assert status(lambda: post(join, b"[" * 10_000)) == 400
    assert status(lambda: post(join, b" " * 2_000_000)) == 413
    assert log.read_text() == ""


@pytest.mark.slow
def test_a_server_that_takes_addresses_is_seen_to_look_them_up(videos, tmp_path):
    """What the test above watches for does happen where addresses are not taken out."""
    with running(videos, tmp_path, "planted") as (server, log):
        file = named("https://name.invalid/a.mp4")
        ask(server, finding(server), "planted", [file, file, "", "", 0, 1])
        assert "name.invalid" in log.read_text().split()


@pytest.mark.slow
def test_uploads_make_room_for_each_other(server, find):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.mp4"\r\n\r\n'

    def upload(number, size=900_000):
        content = body % number + bytes([number]) * size + b"\r\n--x--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(f"{server}/gradio_api/upload", content, kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())[0]

    paths = [upload(number) for number in (1, 2, 3)]
    there = [get(f"{server}/gradio_api/file={path}") == 200 for path in paths]
    assert there == [False, True, True]  # together they may take 2 MB
    assert status(lambda: upload(4, 1_200_000)) == 413  # one alone 1 MB
    gone = {"path": paths[0], "meta": {"_type": "gradio.FileData"}}
    text, _ = ask(server, find, "gone", [gone, gone, "", "", 0, 1])
    assert "1.mp4 was removed to make room" in text


def test_addresses_are_taken_out():
    given = {"data": [{"path": "/a/b.mp4", "url": "http://x/y"}, "http://text"], "n": 1}
    assert without_addresses(given) == {"data": [{"path": "/a/b.mp4"}, "http://text"], "n": 1}
    for path in ("http://x", " HTTPS://x", "ftp:x", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="address"):
            without_addresses([{"path": path}])


@pytest.mark.parametrize(
    ("room", "claimed", "expected"), [(10_000, 500, 200), (400, 500, 413), (10_000, 1_500, 413)]
)
def test_an_upload_is_passed_on_if_it_is_small_enough_and_has_room(tmp_path, room, claimed, expected):
    passed, sent = [], []

    async def app(scope, receive, send):
        passed.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200})

    async def receive():
        return {"type": "http.request", "body": b"x" * claimed, "more_body": False}

    async def send(message):
        sent.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/gradio_api/upload",
        "headers": [(b"content-length", str(claimed).encode())],
    }
    asyncio.run(Guard(app, Room(tmp_path, room), 1_000, None)(scope, receive, send))
    assert sent[0] == expected
    assert len(passed) == (expected == 200)
