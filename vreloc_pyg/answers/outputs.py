"""An answer on the screen and in files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from vreloc_pyg.answers.clip import check_clip, cut_clip
from vreloc_pyg.answers.exports.formats import check_export, export_moments
from vreloc_pyg.answers.page import write_page
from vreloc_pyg.answers.subtitles import subtitles
from vreloc_pyg.answers.table import moment_table
from vreloc_pyg.errors import DataError
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.localization.locate import VideoAnswer


def check_outputs(
    query: str | Path, reference: str | Path, outputs: Mapping[str, str | Path | None]
) -> dict[str, Path]:
    """Those of the files that are wanted, by kind: ``json``, ``srt``, ``clip``, ``html``, ``export``.

    Raises:
        DataError: if one is a folder, one of the videos or there twice, cannot be written, is a clip in a
            format that holds none, or would show a video where there is none.
        SettingsError, MissingExtraError: if an export is of no known format, or needs a package.
    """
    wanted = {kind: Path(path) for kind, path in outputs.items() if path is not None}
    for kind, path in wanted.items():
        check_writable(path)
        if kind == "clip":
            check_clip(path)
        if kind == "export":
            check_export(path, [str(reference)])
        if [one.resolve() for one in wanted.values()].count(path.resolve()) > 1:
            raise DataError(f"Two outputs are to be written to {path}")
        if path.resolve() in (Path(query).resolve(), Path(reference).resolve()):
            raise DataError(f"Cannot write to {path}: it is one of the videos")
    for kind, shown in (("clip", [reference]), ("html", [query, reference])):
        without = [one for one in shown if Path(one).suffix == ".npy" or not Path(one).is_file()]
        if kind in wanted and without:
            raise DataError(f"--{kind} shows videos, and {without[0]} is no video file")
    return wanted


def check_writable(path: Path) -> None:
    """Raise :class:`DataError` unless a file may be written at a path, whose folder need not exist."""
    if path.is_dir():
        raise DataError(f"Cannot write to {path}: it is a folder")
    folder = next(one for one in path.absolute().parents if one.exists())
    try:
        TemporaryFile(dir=folder).close()
    except OSError:
        raise DataError(f"Cannot write to {path}: {folder} is no folder that may be written to") from None


def write_answer(answer: VideoAnswer, outputs: Mapping[str, Path]) -> list[Path]:
    """Write what was asked for, see :func:`check_outputs`; returns what was written."""
    if "json" in outputs:
        write_json(outputs["json"], answer.to_dict())
    if "srt" in outputs:
        write_text(outputs["srt"], subtitles(answer))
    if "html" in outputs:
        write_page(outputs["html"], answer)
    if "export" in outputs:
        about = {"query": str(answer.query), "system": answer.system}
        export_moments(outputs["export"], answer.moments, about=about)
    if "clip" in outputs and len(answer.segments):
        start, end = next(iter(answer.segments))
        cut_clip(answer.reference, start, end, outputs["clip"])
    return [path for kind, path in outputs.items() if kind != "clip" or len(answer.segments)]


def print_answer(answer: VideoAnswer) -> None:
    """Print the verdict and a table of segments."""
    for note in answer.notes:
        print(f"Note: {note}")
    said = {
        "sure": "Sure: {reference} shows the action of {query}.",
        "maybe": "Maybe: something in {reference} is like {query}.",
        "not found": "Not found: nothing in {reference} is like {query}.",
    }
    if answer.verdict is not None:
        print(said[answer.verdict].format(reference=answer.reference.name, query=answer.query.name))
    if len(answer.segments) == 0:
        return
    print("\n".join(moment_table(answer.moments, videos=False)))
