"""Finding the videos of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vreloc_pyg.errors import DataError

#: Files with these suffixes are videos.
SUFFIXES = (".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".divx", ".mpg", ".mpeg", ".mpe", ".m2v",
            ".ts", ".mts", ".m2ts", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".vob",
            ".mxf", ".dv", ".rm", ".rmvb")  # fmt: skip


def video_files(path: str | Path) -> dict[str, Path]:
    """Ids (stems) and paths of a video, or of all in a folder and those that it links to.

    Two of one id, or a folder that cannot be read, are a :class:`DataError`.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"There is no file or folder {path}")
    if path.is_file():
        return {path.stem: path}
    found: dict[str, Path] = {}
    for file in sorted(walk(path)):
        if file.suffix.lower() not in SUFFIXES or file.name.startswith(".") or not file.is_file():
            continue
        if file.stem in found:
            raise DataError(f"Two videos have the id {file.stem!r}: {found[file.stem]} and {file}")
        found[file.stem] = file
    if not found:
        raise DataError(f"Found no video in {path}; known suffixes are {', '.join(SUFFIXES)}")
    return found


def walk(folder: Path) -> Iterator[Path]:
    """The files of a folder, of those in it, and of those that links lead to, each folder once."""

    def refuse(error: OSError) -> None:
        raise DataError(f"Cannot read the folder {error.filename}: {error.strerror}") from None

    seen: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(place))
        inside = [(name, os.path.realpath(os.path.join(place, name))) for name in sorted(folders)]
        folders[:] = [name for name, real in inside if real not in seen]
        yield from (Path(place, name) for name in files)
