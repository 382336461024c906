"""The one template of all pages of results, and how videos come into a page that stands by itself."""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from vreloc_pyg.answers.playable import media_type
from vreloc_pyg.errors import VideoError
from vreloc_pyg.video.decoding import thumbnail

#: Videos up to this size are put into a page, and clips as long as they are no larger together.
EMBED_BYTES = 20 * 2**20


def fill_page(kind: str, title: str, data: Mapping[str, Any], **texts: str) -> str:
    """A whole page as HTML: what all pages share, and the body and script of one kind.

    Args:
        kind: name of a body and a script in ``web``: ``answer`` or ``found``.
        title: of the window.
        data: plain values that the script reads.
        texts: what the body names; none of them is taken as HTML.
    """
    folder = resources.files("vreloc_pyg.answers").joinpath("web")
    page, style, shared, body, script = (
        folder.joinpath(name).read_text(encoding="utf-8")
        for name in ("page.html", "page.css", "page.js", f"{kind}.html", f"{kind}.js")
    )
    return Template(page).substitute(
        title=html.escape(title),
        style=style,
        body=Template(body).substitute({key: html.escape(text) for key, text in texts.items()}),
        data=json.dumps(data).replace("<", "\\u003c"),
        script=shared + script,
    )


def picture(video: str | Path, at_s: float) -> str | None:
    """An image of a second of a video as an address that holds it; ``None`` where there is none."""
    try:
        return "data:image/jpeg;base64," + base64.b64encode(thumbnail(video, at_s)).decode()
    except (VideoError, OSError):
        return None


def embedded(video: Path) -> str:
    """A whole video as an address that holds it."""
    return f"data:{media_type(video)};base64,{base64.b64encode(video.read_bytes()).decode()}"


def linked(video: str | Path, page: Path) -> str:
    """The address of a video, as seen from a page."""
    relative = os.path.relpath(Path(video).resolve(), page.resolve().parent)
    return quote(relative.replace(os.sep, "/"))
