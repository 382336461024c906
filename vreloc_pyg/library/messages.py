"""What is said of a run of indexing, and of moments that were found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vreloc_pyg.library.indexing import Indexing
from vreloc_pyg.library.library import Library, Searchable
from vreloc_pyg.moments import Moment


def summary(found: Indexing, folder: str | Path) -> list[str]:
    """Lines about a run."""
    lines = [f"Note: {problem}" for problem in found.problems]
    lines += [
        f"Note: {name} has the content of {other} and is searched as that"
        for name, other in found.same.items()
    ]
    if found.gone:
        lines.append(
            f"Note: {len(found.gone)} videos are no files any more, such as {found.gone[0]}; they stay until "
            f"vreloc index --library {folder} --remove [...] takes them out"
        )
    counts = [
        f"{len(videos)} {what}"
        for what, videos in (
            ("added", found.added),
            ("read anew", found.changed),
            ("renamed", found.renamed),
            ("were there", [*found.kept, *found.same]),
            ("removed", found.removed),
            ("could not be read", found.failed),
        )
        if videos
    ]
    lines.append(f"{', '.join(counts) or 'nothing to do'}. {found.windows:,} windows in {folder}")
    return lines + [f"  {name}: {why}" for name, why in found.failed.items()]


def shown(name: str) -> str:
    """A path as seen from the current folder, where it lies in it."""
    here = os.getcwd() + os.sep
    return name.removeprefix(here)


def stale(library: Library, found: Searchable, moments: Sequence[Moment]) -> list[str]:
    """Notes about videos that changed or vanished since they were read, or are in no index yet."""
    notes = []
    missing = len(library.entries()) - len(found.entries)
    if missing:
        notes.append(
            f"{missing} videos are not in the index yet: vreloc index --library {library.folder} adds them"
        )
    named = {one.video for one in moments}
    for entry in found.entries.values():
        if entry.name not in named or entry.size is None:
            continue
        try:
            stat = os.stat(entry.name)
        except OSError:
            notes.append(f"{shown(entry.name)} is no file any more")
            continue
        if (stat.st_size, stat.st_mtime_ns) != (entry.size, entry.modified_ns):
            notes.append(
                f"{shown(entry.name)} has changed since it was read: "
                f"vreloc index {shown(entry.name)} --library {library.folder} reads it anew"
            )
    return notes


def about_search(
    library: Library, found: Searchable, moments: Sequence[Moment], queries: Sequence[str], system: str
) -> dict[str, Any]:
    """What is kept beside moments: what was asked, and the files that ``vreloc cut`` expects."""
    named = {one.video for one in moments}
    files = {
        entry.name: [entry.size, entry.modified_ns]
        for entry in found.entries.values()
        if entry.name in named and entry.size is not None
    }
    return {
        "library": str(library.folder.absolute()),
        "queries": list(queries),
        "system": system,
        "files": files,
    }
