"""The moments that a library was searched for, as one self-contained HTML page."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.answers.web_page import EMBED_BYTES, embedded, fill_page, linked, picture
from vreloc_pyg.clock import clock
from vreloc_pyg.errors import VideoError
from vreloc_pyg.files import write_text
from vreloc_pyg.library.asking import LibraryAnswer
from vreloc_pyg.moments import Moment

#: Height of clips in a page in pixels, and how long, in seconds, one is that is put into it.
CLIP_HEIGHT, LONGEST_S = 240, 60.0


def write_found_page(path: str | Path, answer: LibraryAnswer, embed_bytes: int = EMBED_BYTES) -> Path:
    """Write a page with a picture of each moment that plays, to filter and to judge.

    Each moment is in the page as a small clip, the best ones first, until the clips are too large together;
    from then on, and where a moment lasts more than a minute, its video is linked, so the page must stay
    where it can reach it. A moment whose video is gone, or of features alone, is there without picture.

    Args:
        path: the HTML file, written whole or not at all.
        answer: what was found.
        embed_bytes: of all clips together.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    left = embed_bytes
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as work:

        def clip(video: str, start_s: float, end_s: float) -> dict[str, Any] | None:
            nonlocal left
            try:
                if end_s - start_s <= LONGEST_S and left > 0:
                    copy = playable_copy(video, Path(work) / "clip.mp4", start_s, end_s, CLIP_HEIGHT)
                    if copy.stat().st_size <= left:
                        left -= copy.stat().st_size
                        return {"src": embedded(copy), "whole": False}
                if is_playable(video):
                    until = "" if math.isinf(end_s) else f",{end_s:.3f}"
                    return {"src": f"{linked(video, path)}#t={start_s:.3f}{until}", "whole": True}
            except (VideoError, OSError):
                pass
            return None

        def parts(rank: int, one: Moment) -> dict[str, Any]:
            return {
                "clip": clip(one.video, one.start_s, one.end_s),
                "command": search_command(one, answer.library),
            }

        query = clip(answer.queries[0], *_part(answer))
        text = found_text(answer, parts, None if query is None else query["src"])
    return write_text(path, text)


def found_text(
    answer: LibraryAnswer,
    parts: Callable[[int, Moment], dict[str, Any]],
    query_clip: str | None,
    shown: Callable[[str], str] = str,
) -> str:
    """The page.

    Args:
        answer: what was found.
        parts: of a moment with a rank, by name: ``clip``, how the page plays it, as ``src`` and whether that
            is the ``whole`` video; ``save``, where it is a file; ``more``, where one finds more like it, or
            ``command``, how.
        query_clip: where the first query is.
        shown: what the page calls a video or a note.
    """
    moments = []
    for rank, one in enumerate(answer.moments, start=1):
        thumbnail = picture(one.video, (one.start_s + one.end_s) / 2)
        missing = (
            None
            if thumbnail
            else "no picture: "
            + (
                "its video is gone"
                if Path(one.video).is_absolute() and not Path(one.video).exists()
                else "no video"
            )
        )
        moments.append(
            {
                "rank": rank,
                "video": shown(one.video),
                "start_s": one.start_s,
                "end_s": one.end_s,
                "score": one.score,
                "verdict": one.verdict,
                "label": one.label,
                "thumbnail": thumbnail,
                "missing": missing,
                **parts(rank, one),
            }
        )
    start_s, end_s = answer.part
    part = (
        ""
        if (start_s, end_s) == (0.0, None)
        else f", {clock(start_s)} – {'end' if end_s is None else clock(end_s)}"
    )
    names = [Path(one).name for one in answer.queries]
    about = answer.about if shown is str else {"queries": names, "system": answer.system}
    data = {
        "asked": ", ".join(names) + part,
        "label": names[0],
        "query_clip": query_clip,
        "system": answer.system,
        "library": shown(str(answer.library)),
        "notes": [shown(note) for note in answer.notes],
        "about": about,
        "moments": moments,
    }
    return fill_page("found", f"{names[0]} in {answer.library.name}", data)


def search_command(moment: Moment, library: Path) -> str:
    """The command that finds more like a moment, for a shell."""
    words = ["vreloc", "search", moment.video, "--start", f"{moment.start_s:.3f}"]
    words += ["--end", f"{moment.end_s:.3f}", "--library", str(library.absolute()), "--html", "more.html"]
    return shlex.join(words)


def _part(answer: LibraryAnswer) -> tuple[float, float]:
    start_s, end_s = answer.part
    return start_s, math.inf if end_s is None else end_s
