"""What stands before the web page's server: limits of size and time, and nothing fetched from elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

from vreloc_pyg.answers.desk import DOOR
from vreloc_pyg.answers.room import UPLOAD_S, Room

#: A request that is no upload, in bytes, and the seconds in which it must have come.
MOST_BODY, BODY_S = 2**20, 30.0
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Guard:
    """An ASGI application before another: refuses what would take too much, or fetch from other servers.

    Gradio fetches what a client calls the address of a file. Here addresses are taken out of requests, so
    that not even a name is looked up: the path of a file that was uploaded is enough.

    Args:
        app: the application.
        room: for uploads; where it is full of what is in use, a further one is refused.
        one_upload: bytes of a request that uploads, at most.
        desk: an application that answers for addresses that begin with :data:`.DOOR`.
    """

    def __init__(self, app: Any, room: Room, one_upload: int, desk: Any) -> None:
        self.app, self.room, self.one_upload, self.desk = app, room, one_upload, desk

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or answer with an error."""
        path = scope.get("path", "").lower()
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif "/proxy=" in path or re.search(r"/file=/*[a-z][a-z0-9+.-]*:", path):
            await refuse(send, 404, "not found")
        elif scope.get("path", "").startswith(DOOR):
            await self.desk(scope, receive, send)
        elif scope.get("method") != "POST":
            await self.app(scope, receive, send)
        elif path.endswith("/upload"):
            await self._upload(scope, receive, send)
        else:
            await self._ask(scope, receive, send)

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        claimed = dict(scope["headers"]).get(b"content-length", b"")
        left = int(claimed[:20]) if claimed.isdigit() else self.one_upload
        until, ended = time.monotonic() + UPLOAD_S, False

        async def limited() -> Any:
            nonlocal left, ended
            message = await (receive() if ended else within(receive, until))
            left -= len(message.get("body", b""))
            ended = ended or not message.get("more_body", False)
            return message if left >= 0 else {"type": "http.disconnect"}

        if left <= self.one_upload:
            with self.room.reserving(left) as fits:
                if fits:
                    await self.app(scope, limited, send)
                    return
        left = self.one_upload
        while not ended and (await limited())["type"] == "http.request":
            pass  # a client that is still sending would not see the answer
        await refuse(send, 413, "the upload, or all uploads together, exceed their maximum allowed size")

    async def _ask(self, scope: Any, receive: Any, send: Any) -> None:
        body, size, until, more = b"", 0, time.monotonic() + BODY_S, True
        while more and size < 4 * MOST_BODY:  # of what is too large some is read, so that the answer is seen
            message = await within(receive, until)
            if message["type"] != "http.request":
                await refuse(send, 408, "the request did not come in time")
                return
            part = message.get("body", b"")
            size += len(part)
            body = body + part if size <= MOST_BODY else b""
            more = message.get("more_body", False)
        if size > MOST_BODY:
            await refuse(send, 413, "the request is too large")
            return
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
