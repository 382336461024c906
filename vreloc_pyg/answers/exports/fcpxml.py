"""Moments as a project of Final Cut Pro, through OpenTimelineIO's adapter."""

from __future__ import annotations

from fractions import Fraction
from pathlib import PurePath
from xml.etree import ElementTree

from vreloc_pyg.answers.exports.content import Content, ExportFormat, address, one_line
from vreloc_pyg.answers.exports.timeline import make_timeline, ordered

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'


def write(content: Content) -> str:
    """A project whose clips follow each other.

    The adapter asks ``ffprobe`` about files that are there, knows frame durations of whole rates only and
    looks names up in a way that breaks on quotation marks. So it is given numbers for names and addresses,
    and what they stand for, and the exact duration of a frame, are put in afterwards.
    """
    import opentimelineio

    if not content.moments:
        return f'{HEAD}<fcpxml version="1.8">\n  <resources/>\n</fcpxml>\n'
    facts = next(iter(content.facts.values()))
    timeline, moments = make_timeline(content), ordered(content)
    keys = {video: f"video{number}" for number, video in enumerate(content.videos)}
    for one, clip in zip(moments, timeline.tracks[0], strict=True):
        clip.name = keys[one.video]
        clip.media_reference.target_url = f"vreloc:{keys[one.video]}"
    root = ElementTree.fromstring(opentimelineio.adapters.write_to_string(timeline, "fcpx_xml"))
    for frames in root.iter("format"):
        frames.attrib = {"id": frames.attrib["id"], "frameDuration": _seconds(1 / facts.rate)}
        if facts.size is not None:
            frames.attrib |= {"width": str(facts.size[0]), "height": str(facts.size[1])}
    names = {key: video for video, key in keys.items()}
    for asset in root.iter("asset"):
        video = names[asset.attrib["name"]]
        asset.attrib |= {"name": _title(video), "src": address(video)}
    wholes = {whole.attrib["name"]: whole for whole in root.findall("asset-clip")}
    for whole in root.findall("asset-clip"):
        if wholes.get(whole.attrib["name"]) is not whole:  # the adapter writes one for each moment
            root.remove(whole)
    for key, whole in wholes.items():
        whole.set("name", _title(names[key]))
    for project in root.iter("project"):
        project.attrib.pop("uid", None)
    for one, element in zip(moments, root.iter("clip"), strict=True):
        element.set("name", content.label(one))
        _set_times(element, content.facts[one.video].frames(one.start_s, one.end_s), facts.rate)
    ElementTree.indent(root)
    return HEAD + ElementTree.tostring(root, encoding="unicode") + "\n"


def _title(video: str) -> str:
    return one_line(PurePath(video).stem) or "video"


def _set_times(element: ElementTree.Element, frames: tuple[int, int], rate: Fraction) -> None:
    first, stop = frames
    element.set("duration", _seconds((stop - first) / rate))
    if first:
        element.set("start", _seconds(first / rate))


def _seconds(time: Fraction) -> str:
    return f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time.numerator}s"


FCPXML = ExportFormat(write, frames=True, one_rate=True, packages=("opentimelineio", "otio_fcpx_xml_adapter"))
