"""The files that the web page's server keeps, bounded together: what was not used for longest goes first."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Seconds in which an upload must have come; an unfinished one that is older was given up.
UPLOAD_S = 1800.0
#: What is kept: uploads, copies that browsers play, and clips that were cut.
KINDS = ("uploads", "copies", "clips")


class Room:
    """A folder with a size that is not exceeded, as long as what is in use leaves room.

    Its files are in ``uploads`` (a folder each), ``copies`` and ``clips``. When more is to come than there is
    room for, what was not used for longest is removed, but nothing that is in use.

    Args:
        folder: of the server's own files.
        most_bytes: that all of them may take.
    """

    def __init__(self, folder: str | Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = Path(folder).resolve(), most_bytes
        for kind in KINDS:
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._in_use: Counter[Path] = Counter()
        self._reserved = 0

    def place(self, kind: str, name: str) -> Path:
        """Where a copy or a clip of a name belongs."""
        return self.folder / kind / name

    @contextmanager
    def using(self, *paths: Path) -> Iterator[None]:
        """Keep files, and note that they were used; those that lie elsewhere do not matter."""
        items = [item for path in paths if (item := self._item(path)) is not None]
        with self._lock:
            self._in_use.update(items)
        for item in items:
            with suppress(OSError):  # gone already
                os.utime(item)
        try:
            yield
        finally:
            with self._lock:
                self._in_use.subtract(items)

    @contextmanager
    def reserving(self, wanted: int) -> Iterator[bool]:
        """Whether there is room for so many bytes more, made if need be, and kept for as long as it lasts."""
        fits = self.make(wanted)
        with self._lock:
            self._reserved += wanted if fits else 0
        try:
            yield fits
        finally:
            with self._lock:
                self._reserved -= wanted if fits else 0

    def make(self, wanted: int = 0) -> bool:
        """Remove what was not used for longest until so many bytes more have room; whether they can."""
        with self._lock:
            items = sorted(self._items())
            loose = [one for one in items if self._in_use[one[2]] <= 0 and not _is_unfinished(one[2])]
            taken = sum(size for _, size, _ in items) + self._reserved + wanted
            if taken - sum(size for _, size, _ in loose) > self.most_bytes:
                return False
            for _, size, item in loose:
                if taken <= self.most_bytes:
                    break
                if item.is_dir():
                    shutil.rmtree(item, ignore_errors=True)
                else:
                    item.unlink(missing_ok=True)
                taken -= size
            return True

    def _item(self, path: Path) -> Path | None:
        """What would be removed together with a file: of an upload the folder that it lies in."""
        path = path.resolve()
        if not path.is_relative_to(self.folder):
            return None
        parts = path.relative_to(self.folder).parts[:2]
        return self.folder.joinpath(*parts) if len(parts) == 2 and parts[0] in KINDS else None

    def _items(self) -> Iterator[tuple[float, int, Path]]:
        """When each was used last, its bytes, and where it is."""
        for kind in KINDS:
            for item in (self.folder / kind).iterdir():
                with suppress(OSError):  # gone in the meantime
                    yield item.stat().st_mtime, size_of(item), item


def _is_unfinished(item: Path) -> bool:
    """Whether a file is being written: whole uploads have a folder, and whole copies no dot."""
    being_sent = item.parent.name == "uploads" and item.is_file()
    if not being_sent and not item.name.startswith("."):
        return False
    try:
        return time.time() - item.stat().st_mtime < UPLOAD_S
    except OSError:
        return True


def size_of(item: Path) -> int:
    """Bytes of a file, or of those in a folder."""
    total = 0
    for one in [item, *item.rglob("*")] if item.is_dir() else [item]:
        with suppress(OSError):  # gone in the meantime
            total += one.stat().st_size if one.is_file() else 0
    return total
