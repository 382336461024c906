"""An answer on the screen and in files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def check_outputs(inputs: Iterable[str | Path], outputs: Mapping[str, str | Path | None]) -> dict[str, Path]:
    """Those of a command's files that are wanted, by their kind; ``inputs`` are the files that it reads.

    Raises:
        DataError: if one is a folder, one of the inputs or there twice, or cannot be written.
    """
    wanted = {kind: Path(path) for kind, path in outputs.items() if path is not None}
    places = [path.resolve() for path in wanted.values()]
    read = {Path(path).resolve() for path in inputs}
    for path in wanted.values():
        check_writable(path)
        if places.count(path.resolve()) > 1:
            raise DataError(f"Two outputs are to be written to {path}")
        if path.resolve() in read:
            raise DataError(f"Cannot write to {path}: it is one of the files that are read")
    return wanted


def check_answer_outputs(
    query: str | Path,
    reference: str | Path,
    outputs: Mapping[str, str | Path | None],
    others: Iterable[str | Path] = (),
) -> dict[str, Path]:
    """:func:`check_outputs` of an answer: ``json``, ``srt``, ``clip``, ``html`` and ``export``.

    Args:
        query, reference: videos, ``.npy`` files, or names of features.
        outputs: files by kind; ``None``: not wanted.
        others: what else is read.

    Raises:
        DataError: also if one is a clip in a format that holds none, or would show a video where there is
            none.
        SettingsError, MissingExtraError: if an export is of no known format, or needs a package.
    """
    wanted = check_outputs([query, reference, *others], outputs)
    if "clip" in wanted:
        check_clip(wanted["clip"])
    if "export" in wanted:
        check_export(wanted["export"], [str(reference)])
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
    """Write what was asked for, see :func:`check_answer_outputs`; returns what was written."""
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
