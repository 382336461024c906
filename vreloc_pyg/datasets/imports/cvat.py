"""Annotations of CVAT for video: what a track shows, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from vreloc_pyg.datasets.imports.action import Reading

SHAPES = ("box", "polygon", "polyline", "points", "cuboid", "mask", "skeleton", "ellipse")


def read_cvat(reading: Reading, root: Element, lines: dict[Element, int]) -> None:
    """Each stretch of frames in which a track is not outside, with the track's label.

    Tags, which are on images of their own, are joined where they follow each other frame by frame.
    """
    names = [root.findtext(place) for place in ("meta/task/source", "meta/source", "meta/task/name")]
    video = next((name for name in names if name and name.strip()), reading.path.stem).strip()
    for track in root.iter("track"):
        where = f"line {lines[track]}"
        shapes = [shape for shape in track if shape.tag in SHAPES]
        seen = sorted((_frame(reading, one, lines), one.get("outside") == "1") for one in shapes)
        for first, stop in _visible(seen):
            reading.add_frames(video, (first, stop), track.get("label", ""), where)
    tags: dict[str, list[tuple[int, int]]] = {}
    for image in root.iter("image"):
        for tag in image.iter("tag"):
            frame = round(reading.number(image.get("id"), f"line {lines[image]}"))
            tags.setdefault(tag.get("label", ""), []).append((frame, lines[tag]))
    for label, frames in tags.items():
        for first, stop, line in _joined(sorted(frames)):
            reading.add_frames(video, (first, stop), label, f"line {line}")


def _frame(reading: Reading, shape: Element, lines: dict[Element, int]) -> int:
    where = f"line {lines[shape]}"
    frame = reading.number(shape.get("frame"), where)
    if frame < 0:
        raise reading.bad(where, f"there is no frame {frame:g}")
    return round(frame)


def _visible(shapes: list[tuple[int, bool]]) -> Iterator[tuple[int, int]]:
    """Frames ``[first, stop)``: until the one that is outside, or after the last that is there."""
    first, last = None, 0
    for frame, outside in shapes:
        if outside and first is not None:
            yield first, max(frame, first + 1)
            first = None
        elif not outside:
            first = frame if first is None else first
        last = frame
    if first is not None:
        yield first, last + 1


def _joined(frames: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    start = frames[0]
    for one, following in zip(frames, [*frames[1:], None], strict=True):
        if following is None or following[0] > one[0] + 1:
            yield start[0], one[0] + 1, start[1]
            if following is not None:
                start = following
