"""An answer for two videos as one self-contained HTML page."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.answers.web_page import EMBED_BYTES, embedded, fill_page, linked, picture
from vreloc_pyg.files import write_text
from vreloc_pyg.localization.locate import SeenPoses, VideoAnswer

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
                sources.append(embedded(shown))
                continue
            if shown != video:
                beside.append((shown, path.with_name(f"{path.stem}.{role}.mp4")))
            sources.append(linked(video if shown == video else beside[-1][1], path))
        write_text(path, page_text(answer, *sources))
        for made, place in beside:  # last, and by renaming, so that a full disk leaves no copy without page
            made.replace(place)
    return path


def page_text(
    answer: VideoAnswer,
    query_source: str,
    reference_source: str,
    clips: Sequence[str] = (),
    **shown: Any,
) -> str:
    """The page.

    Args:
        answer: what was found.
        query_source, reference_source: where the page's players find the videos.
        clips: where the segments can be had as files, if they can.
        shown: what stands in place of the values of :meth:`.VideoAnswer.to_dict`, such as names of files
            in place of their paths.
    """
    values = {**answer.to_dict(), **shown}
    for rank, segment in enumerate(values["segments"]):
        segment["thumbnail"] = picture(answer.reference, (segment["start_s"] + segment["end_s"]) / 2)
        segment["clip"] = clips[rank] if clips else None
    every = -(-len(answer.curve) // POINTS)
    values["curve"] = [round(float(value), 4) for value in answer.curve[::every]]
    values["curve_step_s"] = every * answer.seconds_per_step
    values["proposals"] = [[round(start, 3), round(end, 3)] for start, end in answer.proposals]
    poses = {"query": answer.query_poses, "reference": answer.reference_poses}
    values["poses"] = {role: None if one is None else _poses(one) for role, one in poses.items()}
    names = {role: Path(values[role]).name for role in ("query", "reference")}
    return fill_page(
        "answer",
        f"{names['query']} in {names['reference']}",
        values,
        query_name=names["query"],
        reference_name=names["reference"],
        query_source=query_source,
        reference_source=reference_source,
    )


def _poses(poses: SeenPoses) -> dict[str, Any]:
    """Joints as 16 bits each: 0 where nobody is seen, else 1 + 32767 (share + 1/2), of shares of a picture.

    A joint more than half a picture outside of it is drawn there.
    """
    shares = poses.joints.numpy()
    values = np.round((np.nan_to_num(shares).clip(-0.5, 1.5) + 0.5) * 32767) + 1
    packed = np.where(np.isnan(shares), 0, values).astype("<u2")
    joints = base64.b64encode(packed.tobytes()).decode()
    return {"rate": 1 / poses.seconds_per_step, "start_s": poses.start_s, "joints": joints}
