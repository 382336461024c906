"""Reading files of annotations, with errors that say where."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vreloc_pyg.errors import DataError


def read_json(path: str | Path) -> Any:
    """The values of a JSON file.

    Raises:
        DataError: if it cannot be read, with the line of a syntax error, or names one key twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if twice:
            raise DataError(f"{path} holds the key {twice[0]!r} twice")
        return dict(pairs)

    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: {error.msg}; the file is cut off or no JSON") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None


def read_lines(path: Path | None) -> list[tuple[int, str]]:
    """Numbers and text of the lines of a file that are not blank; none where there is no file."""
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}") from None
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def refuse(problems: Sequence[str], where: str | Path) -> None:
    """Raise :class:`DataError` with the first problems and their number, if there is any."""
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise DataError(f"{where}: {'; '.join(problems[:5])}{more}")
