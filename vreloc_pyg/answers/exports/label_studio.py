"""Moments as tasks of Label Studio, each a video with predictions that a person corrects.

Source: https://labelstud.io/tags/timelinelabels and https://labelstud.io/guide/predictions. Frames
are counted from 1, and the last one belongs to a range. The project's labelling configuration has::

    <TimelineLabels name="actions" toName="video">...</TimelineLabels><Video name="video" value="$video"/>
"""

from __future__ import annotations

import json
import math
from typing import Any

from vreloc_pyg.answers.exports.content import Content, ExportFormat


def write(content: Content) -> str:
    """A task a video. Its frame rate stands beside it, since Label Studio counts frames alone."""
    return json.dumps([_task(content, video) for video in content.videos], indent=1) + "\n"


def _task(content: Content, video: str) -> dict[str, Any]:
    facts, result = content.facts[video], []
    for number, one in enumerate(content.of(video), start=1):
        first, stop = facts.frames(one.start_s, one.end_s)
        value = {"ranges": [{"start": first + 1, "end": stop}], "timelinelabels": [content.label(one)]}
        names = {"type": "timelinelabels", "from_name": "actions", "to_name": "video"}
        scored = {"score": one.score} if math.isfinite(one.score) else {}  # JSON has no infinity
        result.append({"id": f"moment{number}", **names, "value": value, **scored})
    data = {"video": video, "frame_rate": str(facts.rate)}
    return {"data": data, "predictions": [{"model_version": "vreloc_pyg", "result": result}]}


LABEL_STUDIO = ExportFormat(write, frames=True)
