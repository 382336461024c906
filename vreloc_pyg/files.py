"""Reading and writing files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vreloc_pyg.errors import DataError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A place to write a file at, beside ``path`` and with its suffix; renamed to it if the block ends well.

    Its folder is made. A block that fails leaves ``path`` as it was, and nothing beside it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a file whole or not at all: beside its place first, then renamed. Its folder is made."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def read_lines(path: str | Path) -> list[tuple[int, str]]:
    """Numbers and text of the lines that are not blank; :class:`DataError` if there is no such text."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def user_cache() -> Path:
    """The folder for what can be made again: ``$VRELOC_CACHE``, or ``vreloc_pyg`` in the user's cache."""
    given = os.environ.get("VRELOC_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vreloc_pyg"


def write_json(path: str | Path, values: dict[str, Any]) -> Path:
    """Write plain values as JSON, whole or not at all."""
    return write_text(path, json.dumps(values, indent=2) + "\n")
