"""What stands before the web page's server: limits of size and time, and nothing fetched from elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

#: A request that is no upload, in bytes, and the seconds in which it must have come.
MOST_BODY, BODY_S = 2**20, 30.0
#: Seconds in which an upload must have come.
UPLOAD_S = 1800.0
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Guard:
    """An ASGI application before another: refuses what would take too much, or fetch from other servers.

    Gradio fetches what a client calls the address of a file. Here addresses are taken out of requests, so
    that not even a name is looked up: the path of a file that was uploaded is enough.

    Args:
        app: the application.
        uploads: folder of the server's files.
        most_bytes: that all files in it may take; a further upload is refused.
    """

    def __init__(self, app: Any, uploads: Path, most_bytes: int) -> None:
        self.app, self.uploads, self.most_bytes = app, uploads, most_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or answer with an error."""
        path = scope.get("path", "").lower()
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif "/proxy=" in path or re.search(r"/file=/*[a-z][a-z0-9+.-]*:", path):
            await refuse(send, 404, "not found")
        elif scope.get("method") != "POST":
            await self.app(scope, receive, send)
        elif path.endswith("/upload"):
            await self._upload(scope, receive, send)
        else:
            await self._ask(scope, receive, send)

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        left = self.most_bytes - await asyncio.to_thread(size_of, self.uploads)
        until = time.monotonic() + UPLOAD_S
        claimed = dict(scope["headers"]).get(b"content-length", b"0")
        if left <= 0 or (claimed.isdigit() and int(claimed[:20]) > left):
            await refuse(send, 413, "the uploads together have exceeded their maximum allowed size")
            return
        ended = False

        async def limited() -> Any:
            nonlocal left, ended
            message = await (receive() if ended else within(receive, until))
            left -= len(message.get("body", b""))
            ended = ended or not message.get("more_body", False)
            return message if left >= 0 else {"type": "http.disconnect"}

        await self.app(scope, limited, send)

    async def _ask(self, scope: Any, receive: Any, send: Any) -> None:
        body, until, more = b"", time.monotonic() + BODY_S, True
        while more:
            message = await within(receive, until)
            if message["type"] != "http.request":
                await refuse(send, 408, "the request did not come in time")
                return
            body += message.get("body", b"")
            if len(body) > MOST_BODY:
                await refuse(send, 413, "the request is too large")
                return
            more = message.get("more_body", False)
        try:
            values = json.loads(body) if body.strip() else None
            changed = body if values is None else json.dumps(without_addresses(values)).encode()
        except (ValueError, RecursionError):
            await refuse(send, 400, "the request is no JSON, or names a file elsewhere")
            return
        headers = [(key, value) for key, value in scope["headers"] if key != b"content-length"]
        scope = {**scope, "headers": [*headers, (b"content-length", str(len(changed)).encode())]}
        given = False

        async def whole() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": changed, "more_body": False}

        await self.app(scope, whole, send)


def without_addresses(value: Any) -> Any:
    """The same without addresses of files; :class:`ValueError` for a path that is one."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and _ADDRESS.match(value["path"]):
            raise ValueError("a path that is an address")
        return {key: without_addresses(one) for key, one in value.items() if key != "url"}
    return [without_addresses(one) for one in value] if isinstance(value, list) else value


async def within(receive: Any, until: float) -> Any:
    """The next message of a client, or that it has gone, if it does not come until a time."""
    try:
        return await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
    except asyncio.TimeoutError:
        return {"type": "http.disconnect"}


async def refuse(send: Any, status: int, why: str) -> None:
    """Answer with an error."""
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}
    )
    await send({"type": "http.response.body", "body": why.encode()})


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    total = 0
    for one in folder.rglob("*"):
        try:
            total += one.stat().st_size if one.is_file() else 0
        except OSError:  # gone in the meantime
            continue
    return total
