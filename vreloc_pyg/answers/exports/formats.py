"""The formats that moments are written in, by name; a new one is a file, and a line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vreloc_pyg.answers.exports.content import UNLABELLED, Content, ExportFormat, is_file
from vreloc_pyg.errors import DataError, MissingExtraError, SettingsError, VideoError
from vreloc_pyg.files import write_text
from vreloc_pyg.moments import Moment
from vreloc_pyg.video.facts import VideoFacts, read_facts

_HERE = "vreloc_pyg.answers.exports"
#: Name of each format, and where it is; a module is imported when its format is asked for.
FORMATS = {
    "json": f"{_HERE}.plain:JSON",
    "csv": f"{_HERE}.table:CSV",
    "srt": f"{_HERE}.captions:SRT",
    "vtt": f"{_HERE}.captions:VTT",
    "edl": f"{_HERE}.edl:EDL",
    "fcpxml": f"{_HERE}.fcpxml:FCPXML",
    "otio": f"{_HERE}.timeline:OTIO",
    "eaf": f"{_HERE}.elan:EAF",
    "labelstudio": f"{_HERE}.label_studio:LABEL_STUDIO",
    "cvat": f"{_HERE}.cvat:CVAT",
    "boris": f"{_HERE}.boris:BORIS",
    "chapters": f"{_HERE}.chapters:CHAPTERS",
}
#: Ends of file names, longest first, of formats that are not called as their suffix.
SUFFIXES = {
    ".labelstudio.json": "labelstudio",
    ".cvat.xml": "cvat",
    ".ffmetadata": "chapters",
    ".ffmeta": "chapters",
    ".xml": "cvat",
}


def format_name(path: str | Path, name: str | None = None) -> str:
    """The format of a file to write: as it is called, or as its suffix says.

    Raises:
        SettingsError: if there is no such format.
    """
    known = ", ".join(FORMATS)
    if name is not None:
        if name not in FORMATS:
            raise SettingsError(f"Unknown format {name!r}; known are {known}")
        return name
    ending = Path(path).name.lower()
    told = next((one for suffix, one in SUFFIXES.items() if ending.endswith(suffix)), None)
    told = told or Path(ending).suffix[1:]
    if told not in FORMATS:
        raise SettingsError(f"No format is written with the suffix of {path}; choose one of {known}")
    return told


def load_format(name: str) -> ExportFormat:
    """A format; :class:`MissingExtraError` if what it is written with is not installed."""
    module, _, attribute = FORMATS[name].partition(":")
    found: ExportFormat = getattr(import_module(module), attribute)
    missing = [package for package in found.packages if find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"The format {name} needs {', '.join(missing)}: pip install 'vreloc_pyg[exports]'"
        )
    return found


def check_export(path: str | Path, videos: Iterable[str], name: str | None = None) -> None:
    """Raise before any work what would keep moments of these videos from being written to a path.

    Raises:
        SettingsError, MissingExtraError: as of :func:`format_name` and :func:`load_format`.
        DataError, VideoError: if it counts frames, and a video is no file.
    """
    chosen = format_name(path, name)
    _facts(load_format(chosen), chosen, list(videos), None)


def export_moments(
    path: str | Path,
    moments: Sequence[Moment],
    format: str | None = None,
    *,
    about: Mapping[str, Any] | None = None,
    unlabelled: str = UNLABELLED,
    rate: Fraction | None = None,
) -> Path:
    """Write moments in the format of another tool, whole or not at all.

    Frame numbers are those of the video's mean rate, rounded to the nearest frame; a moment is at least one
    frame long. Formats that belong to one video, and edit lists of one rate, refuse several.

    Args:
        path: file to write; its suffix says the format.
        moments: best first; there may be none.
        format: one of :data:`FORMATS`.
        about: what the moments are of, kept where the format has a place for it.
        unlabelled: label of the moments that have none.
        rate: frames per second of videos that are not there as files.

    Raises:
        SettingsError: if there is no such format.
        MissingExtraError: if OpenTimelineIO or pympi is needed and not installed.
        DataError: if the format cannot hold these moments.
        VideoError: if a video that is there cannot be read.
    """
    name = format_name(path, format)
    chosen = load_format(name)
    videos = list(dict.fromkeys(moment.video for moment in moments))
    if chosen.one_video and len(videos) > 1:
        raise DataError(
            f"A file of the format {name} belongs to one video (got moments of {len(videos)}): choose one"
        )
    content = Content(moments, _facts(chosen, name, videos, rate), about or {}, unlabelled)
    return write_text(path, chosen.write(content))


def _facts(
    chosen: ExportFormat, name: str, videos: Sequence[str], rate: Fraction | None
) -> dict[str, VideoFacts]:
    """What is known of the videos; all of them, if frames are counted."""
    found: dict[str, VideoFacts] = {}
    for video in videos:
        if is_file(video) and Path(video).suffix != ".npy":
            try:
                found[video] = read_facts(video)
            except VideoError:
                if chosen.frames and rate is None:
                    raise
        if video not in found and rate is not None:
            found[video] = VideoFacts(rate)
        if chosen.frames and video not in found:
            raise DataError(
                f"The format {name} counts frames, and there is no video file {video} to say how many there "
                "are in a second: run where it is found, or give the frame rate"
            )
        if chosen.needs_size and (video not in found or found[video].size is None):
            raise DataError(f"The format {name} needs the size of the picture, and there is no file {video}")
    rates = {facts.rate for facts in found.values()}
    if chosen.one_rate and len(rates) > 1:
        shown = ", ".join(f"{float(one):.3f}" for one in sorted(rates))
        raise DataError(f"A file of the format {name} has one frame rate (the videos have {shown}): use otio")
    return found
