"""Moments as annotations of CVAT for video, version 1.1: a track of the whole picture each.

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ and
https://docs.cvat.ai/docs/manual/advanced/xml_format/#interpolation. CVAT knows no stretch of time without a
place in the picture.
"""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from vreloc_pyg.answers.exports.content import Content, ExportFormat, by_time, one_line


def write(content: Content) -> str:
    """A track appears at the first frame of its moment and is outside from the frame after its last on."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    names = ", ".join(map(one_line, content.videos))
    for name, text in (("name", names), ("mode", "interpolation"), ("source", names)):
        SubElement(task, name).text = text
    labels = SubElement(task, "labels")
    for label in dict.fromkeys(map(content.label, content.moments)):
        SubElement(SubElement(labels, "label"), "name").text = label
    for number, one in enumerate(by_time(content.moments)):
        facts = content.facts[one.video]
        first, stop = facts.frames(one.start_s, one.end_s)
        assert facts.size is not None
        track = SubElement(root, "track", id=str(number), label=content.label(one), source="auto")
        shown = [(frame, False) for frame in sorted({first, stop - 1})]
        if facts.num_frames is None or stop < facts.num_frames:
            shown.append((stop, True))
        for frame, outside in shown:
            _box(track, frame, outside, facts.size)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _box(track: Element, frame: int, outside: bool, size: tuple[int, int]) -> None:
    about = {"frame": str(frame), "keyframe": "1", "outside": str(int(outside)), "occluded": "0"}
    corners = {"xtl": "0.00", "ytl": "0.00", "xbr": f"{size[0]:.2f}", "ybr": f"{size[1]:.2f}", "z_order": "0"}
    SubElement(track, "box", about | corners)


CVAT = ExportFormat(write, frames=True, one_video=True, needs_size=True)
