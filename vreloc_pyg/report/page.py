"""An answer as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import json
import mimetypes
import os
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import quote

from vreloc_pyg.errors import VideoError
from vreloc_pyg.features.video import thumbnail
from vreloc_pyg.files import write_text
from vreloc_pyg.localization.locate import VideoAnswer

#: Videos up to this size are put into the page, larger ones are linked.
EMBED_BYTES = 20 * 2**20
#: Points of the score curve, at most.
POINTS = 2000


def write_page(path: str | Path, answer: VideoAnswer, embed_bytes: int = EMBED_BYTES) -> Path:
    """Write a page with both videos, the score along the reference and the segments, which one can click.

    Args:
        path: the HTML file, written whole or not at all.
        answer: what was found.
        embed_bytes: videos up to this size are embedded; larger ones are linked, so the page must stay where
            it can reach them.
    """
    path = Path(path)
    values = answer.to_dict()
    for segment in values["segments"]:
        segment["thumbnail"] = _picture(answer.reference, (segment["start_s"] + segment["end_s"]) / 2)
    every = -(-len(answer.curve) // POINTS)
    values["curve"] = [round(float(value), 4) for value in answer.curve[::every]]
    values["curve_step_s"] = every * answer.seconds_per_step
    template = resources.files("vreloc_pyg.report").joinpath("page.html").read_text(encoding="utf-8")
    page = Template(template).substitute(
        title=html.escape(f"{answer.query.name} in {answer.reference.name}"),
        query_name=html.escape(answer.query.name),
        reference_name=html.escape(answer.reference.name),
        query_source=_source(answer.query, path, embed_bytes),
        reference_source=_source(answer.reference, path, embed_bytes),
        data=json.dumps(values).replace("<", "\\u003c"),
    )
    return write_text(path, page)


def _source(video: Path, page: Path, embed_bytes: int) -> str:
    if video.stat().st_size > embed_bytes:
        return quote(os.path.relpath(video.resolve(), page.resolve().parent).replace(os.sep, "/"))
    kind = mimetypes.guess_type(video.name)[0] or "video/mp4"
    return f"data:{kind};base64,{base64.b64encode(video.read_bytes()).decode()}"


def _picture(video: Path, at_s: float) -> str | None:
    try:
        return "data:image/jpeg;base64," + base64.b64encode(thumbnail(video, at_s)).decode()
    except VideoError:
        return None
