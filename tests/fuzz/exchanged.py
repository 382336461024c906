"""Parsers of what comes from other tools, other people's libraries, and clients of the page's server."""

from __future__ import annotations

import asyncio
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from tests.fuzz import seeds
from tests.fuzz.campaign import Door
from tests.fuzz.mutate import Files
from vreloc_pyg.answers.exports.formats import FORMATS, export_moments
from vreloc_pyg.answers.guard import Guard
from vreloc_pyg.answers.results import load_results
from vreloc_pyg.answers.room import Room
from vreloc_pyg.datasets.imports.read import read_actions
from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.search import search
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.moments import Moment, save_moments

RATE = Fraction(25)
MOMENTS = [
    Moment("film.mp4", 1.0, 2.5, 0.5, "sure", "golf"),
    Moment("film.mp4", 2.0, 4.0, -0.25, None, "a & <b>"),
]
CVAT = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<annotations><meta><task><name>film.mp4</name></task></meta>\n'
    b'<track id="0" label="golf"><box frame="3" outside="0"/><box frame="9" outside="1"/></track>\n'
    b'<image id="4" name="x"><tag label="run"/></image></annotations>\n'
)
#: What the page sends when somebody asks.
REQUEST = {
    "data": [{"path": "a.mp4", "meta": {"_type": "gradio.FileData"}, "url": None}, None, "", "", 0, 1],
    "fn_index": 3,
    "session_hash": "0a1b2c",
}


def annotations(folder: Path) -> list[Files]:
    """A file of every tool that is read back."""
    found: list[Files] = [{"given.xml": CVAT}]
    for name in ("json", "csv", "edl", "otio", "eaf", "labelstudio", "boris"):
        path = export_moments(folder / name, MOMENTS, name, rate=RATE)
        suffix = {"csv": "csv", "edl": "txt", "eaf": "xml"}.get(name, "json")
        found.append({f"given.{suffix}": path.read_bytes()})
    return found


def results(folder: Path) -> list[Files]:
    saved = save_moments(folder / "found.json", MOMENTS, {"query": "clip.mp4", "files": {}})
    segments = [{"start_s": 1.0, "end_s": 2.0, "score": 0.5, "verdict": "sure"}]
    located = {"reference": "film.mp4", "query": "clip.mp4", "match": True, "segments": segments}
    return [{"found.json": saved.read_bytes()}, {"found.json": json.dumps(located).encode()}]


def read_results(folder: Path) -> None:
    """Results in every format that needs no video."""
    moments, about = load_results(folder / "found.json")
    refused = 0
    for name in FORMATS:
        try:
            export_moments(folder / "out", moments[:5], name, about=about, rate=RATE)
        except DataError:  # a format that cannot hold them
            refused += 1
    if refused > 2:
        raise DataError("refused by most")


def libraries(folder: Path) -> list[Files]:
    library = Library(folder, create=True)
    drawn = torch.Generator().manual_seed(0)
    videos = [(name, torch.randn(40, 4, generator=drawn), 0.5) for name in ("first", "second", "third")]
    index_features(library, videos, FeatureMetadata("c3d", 4, 16.0, 32.0))
    library.catalog.close()
    return [seeds.files_of(folder)]


def read_library(folder: Path) -> None:
    """A search, with two moments of whatever is there."""
    library = Library(folder)
    try:
        for one in search(library, [Query(torch.ones(6, 4), 0.5, "", "clip")], training_free(), 2):
            assert one.duration_s > 0
    finally:
        library.catalog.close()


def requests(folder: Path) -> list[Files]:
    return [{"body.json": json.dumps(REQUEST).encode()}]


def read_request(folder: Path) -> None:
    """What passes the guard is JSON without an address."""
    passed: list[bytes] = []
    answers: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append((await receive())["body"])

    async def receive() -> Any:
        return {"type": "http.request", "body": (folder / "body.json").read_bytes(), "more_body": False}

    async def send(message: Any) -> None:
        answers.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": []}
    asyncio.run(Guard(app, Room(folder / "room", 10**7), 10**6, None)(scope, receive, send))
    if not passed:
        raise DataError(f"answered with {answers}")
    assert not passed[0].strip() or b'"url":' not in json.dumps(json.loads(passed[0])).encode()


DOORS = (
    Door("imports", annotations, lambda folder: read_actions(sorted(folder.iterdir()), rate=RATE), share=2),
    Door("results", results, read_results),
    Door("library", libraries, read_library, share=0.5),
    Door("requests", requests, read_request),
)
