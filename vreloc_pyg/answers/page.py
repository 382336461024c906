"""An answer as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
import json
import os
import tempfile
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import quote

from vreloc_pyg.answers.playable import is_playable, media_type, playable_copy
from vreloc_pyg.errors import VideoError
from vreloc_pyg.files import write_text
from vreloc_pyg.localization.locate import VideoAnswer
from vreloc_pyg.video.decoding import thumbnail

#: Videos up to this size are put into the page, larger ones are linked.
EMBED_BYTES = 20 * 2**20
#: Points of the score curve, at most.
POINTS = 2000


def write_page(path: str | Path, answer: VideoAnswer, embed_bytes: int = EMBED_BYTES) -> Path:
    """Write a page with both videos, the score along the reference and the segments, which one can click.

    Of a video that browsers do not play, such as MPEG-4 in AVI, the page shows a small copy in H.264, or
    raises :class:`VideoError`.

    Args:
        path: the HTML file, written whole or not at all.
        answer: what was found.
        embed_bytes: videos up to this size are embedded; larger ones are linked, so the page must stay where
            it can reach them. Copies that are larger lie beside the page: ``<stem>.query.mp4`` and
            ``<stem>.reference.mp4``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sources: list[str] = []
    beside: list[tuple[Path, Path]] = []
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as work:
        for role, video in (("query", answer.query), ("reference", answer.reference)):
            shown = video
            if not is_playable(video):
                shown = playable_copy(video, Path(work) / f"{role}.mp4")
            if shown.stat().st_size <= embed_bytes:
                content = base64.b64encode(shown.read_bytes()).decode()
                sources.append(f"data:{media_type(shown)};base64,{content}")
                continue
            if shown != video:
                beside.append((shown, path.with_name(f"{path.stem}.{role}.mp4")))
            target = video if shown == video else beside[-1][1]
            relative = os.path.relpath(target.resolve(), path.resolve().parent)
            sources.append(quote(relative.replace(os.sep, "/")))
        write_text(path, page_text(answer, *sources))
        for made, place in beside:  # last, and by renaming, so that a full disk leaves no copy without page
            made.replace(place)
    return path


def page_text(answer: VideoAnswer, query_source: str, reference_source: str) -> str:
    """The page, with the places where its players find the videos."""
    values = answer.to_dict()
    for segment in values["segments"]:
        segment["thumbnail"] = _picture(answer.reference, (segment["start_s"] + segment["end_s"]) / 2)
    every = -(-len(answer.curve) // POINTS)
    values["curve"] = [round(float(value), 4) for value in answer.curve[::every]]
    values["curve_step_s"] = every * answer.seconds_per_step
    values["proposals"] = [[round(start, 3), round(end, 3)] for start, end in answer.proposals]
    template = resources.files("vreloc_pyg.answers").joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=html.escape(f"{answer.query.name} in {answer.reference.name}"),
        query_name=html.escape(answer.query.name),
        reference_name=html.escape(answer.reference.name),
        query_source=html.escape(query_source),
        reference_source=html.escape(reference_source),
        data=json.dumps(values).replace("<", "\\u003c"),
    )


def _picture(video: Path, at_s: float) -> str | None:
    try:
        return "data:image/jpeg;base64," + base64.b64encode(thumbnail(video, at_s)).decode()
    except VideoError:
        return None
