"""What the web page's server hands out: videos, clips and further answers, by keys that nobody guesses."""

from __future__ import annotations

import hashlib
import html
import os
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.answers.cutting import check_unchanged, clip_name
from vreloc_pyg.answers.found_page import CLIP_HEIGHT, LONGEST_S
from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.answers.room import Room
from vreloc_pyg.errors import VideoError, VrelocError
from vreloc_pyg.moments import Moment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: Addresses of the desk begin so.
DOOR = "/vreloc/"
#: So many questions are answered at a time, and so many clips are made.
TOGETHER = 4
#: So many videos, and moments of so many answers, are remembered; of more, the first are forgotten.
MOST_VIDEOS, MOST_ANSWERS = 1000, 200


@dataclass(frozen=True)
class Shown:
    """What a page shows.

    Args:
        moments: by rank; the first one is that of the query, where it is one.
        marks: size and date of videos when they were searched.
        more: the page of what is like a moment.
    """

    moments: Sequence[Moment | None]
    marks: Mapping[str, Any] = field(default_factory=dict)
    more: Callable[[Moment], str] | None = None


class Desk:
    """Hands out what pages show, and nothing else: no client names a file, or a part of one.

    Args:
        room: for copies and clips.
        hidden: folders that no text for a client names.
    """

    def __init__(self, room: Room, hidden: Sequence[str | Path] = ()) -> None:
        from starlette.routing import Route, Router

        self.room, self.hidden = room, {str(Path(one)) for one in hidden}
        self._videos: OrderedDict[str, Path] = OrderedDict()
        self._shown: OrderedDict[str, Shown] = OrderedDict()
        self._lock = threading.Lock()
        ways = {"clip": self._clip, "preview": self._preview, "more": self._more}
        turns = threading.Semaphore(TOGETHER)
        routes = [
            Route(f"{DOOR}{name}/{{key}}/{{rank:int}}", self._guarded(way, turns))
            for name, way in ways.items()
        ]
        #: An ASGI application that answers for addresses that begin with :data:`DOOR`.
        self.answer = Router(
            [*routes, Route(f"{DOOR}video/{{key}}", self._guarded(self._video, nullcontext()))]
        )

    def video(self, path: Path) -> str:
        """The address of a video, or of a copy that browsers play; :class:`VideoError` if it is none."""
        with self.room.using(path):
            if not is_playable(path):
                name = hashlib.sha256(f"{path} {path.stat().st_mtime_ns}".encode()).hexdigest()[:16]
                copy = self.room.place("copies", f"{name}.mp4")
                path = copy if copy.exists() else playable_copy(path, copy)
        with self.room.using(path):
            self.room.make()
        return f"{DOOR}video/{self._remember(self._videos, path, MOST_VIDEOS)}"

    def keep(self, shown: Shown) -> str:
        """A key for what a page shows."""
        return self._remember(self._shown, shown, MOST_ANSWERS)

    def hide(self, text: str) -> str:
        """A text without the folders of this machine: names of files alone, or from a folder of videos on."""
        own = re.escape(str(self.room.folder)) + r"/(?:uploads/[^/\s]+/|copies/|clips/)?"
        text = re.sub(own, "", text)
        for folder in sorted(self.hidden, key=len, reverse=True):
            if len(folder) > 1:
                text = text.replace(folder + os.sep, "")
        return text

    def _remember(self, where: OrderedDict[str, Any], what: Any, most: int) -> str:
        with self._lock:
            key = next((key for key, one in where.items() if one == what), None) or secrets.token_urlsafe(18)
            where[key] = what
            where.move_to_end(key)
            while len(where) > most:
                where.popitem(last=False)
            return key

    def _guarded(
        self, way: Callable[[Request], Response], turns: AbstractContextManager[Any]
    ) -> Callable[[Request], Response]:
        """A way of answering, when its turn has come, whose errors are told without folders."""

        def answer(request: Request) -> Response:
            from starlette.responses import HTMLResponse

            try:
                with turns:
                    return way(request)
            except (VrelocError, OSError) as error:
                return HTMLResponse(sorry(self.hide(str(error))), 404)

        return answer

    def _video(self, request: Request) -> Response:
        path = self._videos.get(request.path_params["key"])
        if path is None or not path.is_file():
            raise VideoError("This video is not there any more: ask again")
        with self.room.using(path):
            return _file(path)

    def _find(self, request: Request) -> tuple[Shown, Moment, str]:
        key, rank = request.path_params["key"], request.path_params["rank"]
        shown = self._shown.get(key)
        moment = shown.moments[rank] if shown is not None and rank < len(shown.moments) else None
        if shown is None or moment is None:
            raise VideoError("This answer is not there any more: ask again")
        return shown, moment, f"{key}-{rank}.mp4"

    def _clip(self, request: Request) -> Response:
        shown, one, name = self._find(request)
        place = self.room.place("clips", name)
        with self.room.using(Path(one.video), place):
            if not place.exists():
                check_unchanged(one, shown.marks)
                cut_clip(one.video, one.start_s, one.end_s, place)
                self.room.make()
            return _file(place, f"{clip_name(one)}.mp4")

    def _preview(self, request: Request) -> Response:
        _, one, name = self._find(request)
        place = self.room.place("copies", name)
        with self.room.using(Path(one.video), place):
            if not place.exists():
                end_s = min(one.end_s, one.start_s + LONGEST_S)
                playable_copy(one.video, place, one.start_s, end_s, CLIP_HEIGHT)
                self.room.make()
            return _file(place)

    def _more(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        shown, one, _ = self._find(request)
        if shown.more is None:
            raise VideoError("There is nothing to search for more")
        return HTMLResponse(shown.more(one))


def sorry(why: str) -> str:
    """A line of HTML that says why there is no answer."""
    return f'<p class="error" role="alert">{html.escape(" ".join(why.split()))}</p>'


def _file(path: Path, name: str | None = None) -> Response:
    from starlette.responses import FileResponse

    return FileResponse(path, filename=name)
