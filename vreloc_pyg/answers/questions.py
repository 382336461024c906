"""What the web page can be asked: where a reference shows an action, and where a library does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vreloc_pyg.answers.desk import DOOR, Desk, Shown
from vreloc_pyg.answers.found_page import found_text
from vreloc_pyg.answers.page import page_text
from vreloc_pyg.library.asking import LibraryAnswer, LibrarySearch
from vreloc_pyg.localization.locate import VideoAnswer
from vreloc_pyg.localization.sources import Progress
from vreloc_pyg.moments import Moment

#: What finds a query's action: :func:`vreloc_pyg.localization.locate.locate` with a system chosen.
Answering = Callable[..., VideoAnswer]


@dataclass(frozen=True)
class Chosen:
    """A video that a client chose.

    Args:
        path: where it is.
        shown: what the client knows it by.
        address: where a page plays it.
    """

    path: Path
    shown: str
    address: str


class Question(Protocol):
    """A question that a page asks of videos, the first of which is a query.

    Args:
        roles: of the videos.
        about: what is asked, in a sentence.
        example: whether the drawn example answers it.
    """

    roles: tuple[str, ...]
    about: str
    example: bool

    def answer(self, videos: Sequence[Chosen], part: tuple[float, float | None], progress: Progress) -> str:
        """The page of an answer; what is asked for is a part of the query, in seconds."""


class PairQuestion:
    """Where does a reference show the action of a query?

    Args:
        find: finds the segments.
        desk: hands out what the answer shows.
    """

    roles: tuple[str, ...] = ("query", "reference")
    about, example = "A query clip shows it, the reference is searched for it.", True

    def __init__(self, find: Answering, desk: Desk) -> None:
        self.find, self.desk = find, desk

    def answer(self, videos: Sequence[Chosen], part: tuple[float, float | None], progress: Progress) -> str:
        query, reference = videos
        found = self.find(query.path, reference.path, start_s=part[0], end_s=part[1], progress=progress)
        key = self.desk.keep(Shown((None, *found.moments)))
        clips = [f"{DOOR}clip/{key}/{rank}" for rank in range(1, len(found.moments) + 1)]
        shown = {"query": query.shown, "reference": reference.shown}
        notes = [self.desk.hide(note) for note in found.notes]
        return page_text(found, query.address, reference.address, clips, notes=notes, **shown)


class LibraryQuestion:
    """Where does a library show the action of a query, or of one of its own moments?

    Args:
        search: of the library.
        desk: hands out what the answer shows.
    """

    roles: tuple[str, ...] = ("query",)
    about, example = "A query clip shows it, every video of the library is searched for it.", False

    def __init__(self, search: LibrarySearch, desk: Desk) -> None:
        self.search, self.desk = search, desk
        desk.hidden |= _folders([entry.name for entry in search.library.entries()])
        desk.hidden.add(str(search.library.folder.absolute().parent))

    def answer(self, videos: Sequence[Chosen], part: tuple[float, float | None], progress: Progress) -> str:
        (query,) = videos
        found = self.search.ask([str(query.path)], part, progress=progress)
        until = "" if part[1] is None else f",{part[1]}"
        return self._page(found, None, f"{query.address}#t={part[0]}{until}")

    def like(self, moment: Moment) -> str:
        """The page of what is like a moment of the library."""
        return self._page(self.search.ask_like(moment), moment, None)

    def _page(self, found: LibraryAnswer, moment: Moment | None, query_clip: str | None) -> str:
        marks = found.about.get("files", {})
        key = self.desk.keep(Shown((moment, *found.moments), marks, self.like))
        if moment is not None and os.path.isfile(moment.video):
            query_clip = f"{DOOR}preview/{key}/0"

        def parts(rank: int, one: Moment) -> dict[str, Any]:
            more = {"more": f"{DOOR}more/{key}/{rank}"}
            if not os.path.isfile(one.video):
                return more
            clip = {"src": f"{DOOR}preview/{key}/{rank}", "whole": False}
            return {**more, "clip": clip, "save": f"{DOOR}clip/{key}/{rank}"}

        return found_text(found, parts, query_clip, self.desk.hide)


def _folders(names: Sequence[str]) -> set[str]:
    """The folder of all videos, or where they share none, the folder of each."""
    folders = {os.path.dirname(name) for name in names if os.path.isabs(name)}
    common = os.path.commonpath(folders) if folders else ""
    return {common} if len(common) > 1 else folders
