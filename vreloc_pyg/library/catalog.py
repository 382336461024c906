"""What is in a library: a row a video, and facts about the whole, in one SQLite file."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from vreloc_pyg.errors import DataError, reading
from vreloc_pyg.files import parse_json

#: Name of the file in a library's folder, and the version of its layout.
CATALOG_NAME, FORMAT = "library.sqlite", 1

#: Numbers and steps of videos are smaller: those of their windows would not fit into 64 bits.
MOST_NUMBER, MOST_STEPS = 2**23, 2**24

#: Words of SQLite about the disk, not about the file.
DISK = ("disk", "full", "locked", "readonly", "unable to open")

_SCHEMA = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE videos (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    content TEXT NOT NULL,
    features TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    num_steps INTEGER NOT NULL,
    seconds_per_step REAL NOT NULL,
    duration_s REAL NOT NULL,
    size INTEGER,
    modified_ns INTEGER
);
"""


@dataclass(frozen=True)
class Entry:
    """A video of a library.

    Args:
        name: absolute path of the file, or name in a feature store.
        content: digest of the file, or of the features.
        features: file of the features, within the library.
        bytes: size of that file.
        num_steps, seconds_per_step, duration_s: of the video.
        size, modified_ns: of the video's file when it was read; ``None`` of what is no file.
        number: given by the catalog and never used again; 0: not in it yet.
    """

    name: str
    content: str
    features: str
    bytes: int
    num_steps: int
    seconds_per_step: float
    duration_s: float
    size: int | None = None
    modified_ns: int | None = None
    number: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether all values are of the kinds and sizes that they can be: SQLite stores any in any column."""
        texts, marks = (self.name, self.content, self.features), (self.size, self.modified_ns)
        return (
            all(isinstance(one, str) and "\0" not in one for one in texts)
            and not any(mark in self.features for mark in "/\\")  # in the library's folder, not elsewhere
            and self.features not in ("", ".", "..")
            and all(isinstance(one, int) and one > 0 for one in (self.bytes, self.num_steps, self.number))
            and self.number < MOST_NUMBER
            and self.num_steps < MOST_STEPS
            and all(
                isinstance(one, float) and 0 < one < math.inf
                for one in (self.seconds_per_step, self.duration_s)
            )
            and all(one is None or isinstance(one, int) for one in marks)
        )


_COLUMNS = ", ".join(field.name for field in fields(Entry))
_Method = TypeVar("_Method", bound=Callable[..., Any])


def _guarded(method: _Method) -> _Method:
    """Errors of SQLite as ours: of a damaged file, and of a disk that is full."""

    @wraps(method)
    def guarded(self: Catalog, *given: Any, **named: Any) -> Any:
        try:
            return method(self, *given, **named)
        except sqlite3.OperationalError as error:
            writable = os.access(self.path, os.W_OK) and "readonly" in str(error)  # so its header says
            if writable or not any(word in str(error) for word in DISK):  # such as "no such column"
                raise DataError(f"The library's catalog {self.path} is damaged: {error}") from None
            raise OSError(None, f"The library's catalog cannot be used ({error})", str(self.path)) from None
        except sqlite3.DatabaseError as error:
            folder = self.path.parent
            raise DataError(
                f"The library's catalog {self.path} is damaged ({error}): remove it and index the same "
                f"videos again, with its extractor: vreloc index VIDEOS --library {folder} --extractor NAME; "
                "their features are there and not made anew"
            ) from None

    return guarded  # type: ignore[return-value]


class Catalog:
    """The catalog of a library in a folder; every change is there whole when its call returns, or not at all.

    Raises:
        DataError: if it is damaged, of another version, or absent and not to be made.
    """

    def __init__(self, folder: str | Path, create: bool = False) -> None:
        self.path = Path(folder) / CATALOG_NAME
        if not create and not self.path.is_file():
            raise DataError(
                f"There is no library in {folder}: vreloc index VIDEOS --library {folder} makes one"
            )
        self._open()

    @_guarded
    def _open(self) -> None:
        self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._connection.close)  # for those who leave it to garbage collection
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and not self._connection.execute("SELECT name FROM sqlite_master").fetchone():
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            version = FORMAT
        if version != FORMAT:
            self.close()
            folder = self.path.parent
            raise DataError(
                f"The library {folder} is in version {version} of its layout, and this program reads "
                f"{FORMAT}; build it anew elsewhere: vreloc index VIDEOS --library {folder}-{FORMAT}"
            )
        # A view in the place of a table, or what a change sets off, could run for ever.
        kinds = dict(self._connection.execute("SELECT name, type FROM sqlite_master"))
        if {"view", "trigger"} & set(kinds.values()) or not {"facts", "videos"} <= set(kinds):
            self.close()
            raise DataError(f"The library's catalog {self.path} is damaged: it has other tables")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @_guarded
    def entries(self) -> list[Entry]:
        """All videos, in the order in which they came."""
        with closing(self._connection.execute(f"SELECT {_COLUMNS} FROM videos ORDER BY number")) as rows:
            found = [Entry(*row) for row in rows]
        wrong = next((one for one in found if not one.is_sound), None)
        if wrong is not None:
            raise DataError(
                f"The library's catalog {self.path} is damaged: "
                f"video {str(wrong.name)[:80]!r} has impossible values"
            )
        return found

    @_guarded
    def put(self, entry: Entry) -> None:
        """A new video, or another content of one: that has a new number."""
        values = astuple(entry)[:-1]
        names, places = _COLUMNS.rpartition(",")[0], ", ".join("?" * len(values))
        self._connection.execute(f"INSERT OR REPLACE INTO videos ({names}) VALUES ({places})", values)

    @_guarded
    def rename(self, number: int, name: str, size: int | None, modified_ns: int | None) -> None:
        """The same content under another name, or written anew; what had that name goes."""
        self._connection.execute("BEGIN")
        self._connection.execute("DELETE FROM videos WHERE name = ? AND number <> ?", (name, number))
        self._connection.execute(
            "UPDATE videos SET name = ?, size = ?, modified_ns = ? WHERE number = ?",
            (name, size, modified_ns, number),
        )
        self._connection.execute("COMMIT")

    @_guarded
    def remove(self, numbers: Iterable[int]) -> None:
        """Videos that are wanted no more."""
        self._connection.execute("BEGIN")
        self._connection.executemany("DELETE FROM videos WHERE number = ?", [(one,) for one in numbers])
        self._connection.execute("COMMIT")

    @_guarded
    def fact(self, key: str) -> Any:
        """Plain values, or bytes; ``None`` where there are none."""
        row = self._connection.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        if row is None or isinstance(row[0], bytes):
            return None if row is None else row[0]
        with reading(f"the {key} of the library's catalog {self.path}"):
            return parse_json(row[0], f"{self.path}: {key}")

    @_guarded
    def set_facts(self, **facts: Any) -> None:
        """Replace facts, all or none."""
        rows = [(key, one if isinstance(one, bytes) else json.dumps(one)) for key, one in facts.items()]
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")
