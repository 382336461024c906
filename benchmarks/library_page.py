"""``docs/results/library.md``, made of the tables that library_suite.py and library_scale.py write.

python benchmarks/library_page.py docs/results    # makes it anew of the tables that are there
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from vreloc_pyg.files import write_text

PAGE = """# A library, measured

Processor time of one thread, on two cores that other work shared; each query asked of all ways in turn.

## The sets as libraries

References of fold 0's test split as one library, the rule without training (no normalisation, the set's own
windows), references that share a source with the query left out of both. R in % at a tIoU of .5, over the
whole library: whether a moment shows the query's class. *All* ranks every reference whole.
`python benchmarks/library_suite.py --root DATA --output docs/results`:

{library_suite}

## Made-up hours

Features that go from one random act to the next, 64 wide, half an hour a video; a query is a stretch of one
at another speed, with noise. *Recall* is the share of queries of which one of 50 neighbourhoods holds the
best window of exhaustive search, by the localizer's own scores; *flat*: had every vector been compared.
`python benchmarks/library_scale.py --hours 1000 --output docs/results`:

{library_scale}
"""


def write_rows(folder: Path, name: str, rows: Sequence[dict[str, object]]) -> None:
    """Write a table as CSV and the page anew."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    write_text(folder / f"{name}.csv", "".join(f"{','.join(line)}\n" for line in lines))
    write_page(folder)


def write_page(folder: Path) -> None:
    """Make the page of the tables that are there."""
    tables = {name: _table(folder / f"{name}.csv") for name in ("library_suite", "library_scale")}
    write_text(folder / "library.md", PAGE.format(**tables))


def _table(path: Path) -> str:
    if not path.exists():
        return "Not measured."
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
