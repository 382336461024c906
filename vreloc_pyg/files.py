"""Reading and writing files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from vreloc_pyg.errors import DataError, SettingsError

#: Digits of a whole number in JSON and its sign; with more it would fit no number of the processor.
MOST_DIGITS = 19


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A place to write a file at, beside ``path`` and with its suffix; renamed to it if the block ends well.

    Its folder is made. A block that fails leaves ``path`` as it was, and nothing beside it; the error of a
    system that cannot write names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())  # else a computer that goes down may keep the name and lose the content
        unfinished.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(unfinished)):  # of a full disk: none
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """The right to write at a path, which one process at a time has; it ends with the block or the process.

    A lock that another process holds is a :class:`DataError`. Where the system has no such locks there are
    none.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.lock")
    while True:
        with place.open("a") as file:
            if not _try_lock(file):
                raise DataError(f"Another process is writing {path}: wait for it, or write elsewhere")
            if not _is_at(file.fileno(), place):
                continue  # its last holder has removed it in the meantime
            try:
                yield
            finally:
                place.unlink(missing_ok=True)
            return


def _try_lock(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


def write_text(path: str | Path, text: str) -> Path:
    """Write a file whole or not at all: beside its place first, then renamed. Its folder is made."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def read_text(path: str | Path) -> str:
    """The text of a file in UTF-8, without a byte order mark; :class:`DataError` if it is none."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"Cannot read {path}: it is not in UTF-8, at byte {error.start}") from None
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error}") from None


def parse_json(text: str, path: str | Path) -> Any:
    """Values of JSON; :class:`DataError` with the line of a mistake, or if an object holds a key twice.

    JSON that is nested so deep, or holds numbers of so many digits, that Python refuses it is one too, and
    so is one whose text, in escapes, no file name or text file can hold.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if twice:
            raise DataError(f"{path} holds the key {twice[0]!r} twice")
        return dict(pairs)

    def whole(digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            raise DataError(f"{path} holds a number of {len(digits)} digits, {digits[:20]}...")
        return int(digits)

    try:
        values = json.loads(text, object_pairs_hook=unique, parse_int=whole)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: {error.msg}; the file is cut off or no JSON") from None
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None
    if "\\u" in text:
        _check_text(values, path)
    return values


def _check_text(values: Any, path: str | Path) -> None:
    """Raise :class:`DataError` for text with the character NUL or half a character, which JSON can escape."""
    waiting = [values]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and re.search("[\0\ud800-\udfff]", one):
            raise DataError(f"{path} holds the text {one[:80]!a}, with a character that no file can hold")


def read_json(path: str | Path) -> Any:
    """Values of a JSON file (:func:`parse_json`)."""
    return parse_json(read_text(path), path)


def read_lines(path: str | Path) -> list[tuple[int, str]]:
    """Numbers and text of the lines that are not blank; :class:`DataError` if there is no such text."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [(number, line) for number, line in lines if line.strip()]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def user_cache() -> Path:
    """The folder for what can be made again: ``$VRELOC_CACHE``, or ``vreloc_pyg`` in the user's cache."""
    given, caches = os.environ.get("VRELOC_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given)
    try:
        return Path(caches or Path.home() / ".cache") / "vreloc_pyg"
    except RuntimeError:
        raise SettingsError("This user has no home folder: set VRELOC_CACHE to a folder for caches") from None


def write_json(path: str | Path, values: dict[str, Any]) -> Path:
    """Write plain values as JSON, whole or not at all."""
    return write_text(path, json.dumps(values, indent=2) + "\n")
