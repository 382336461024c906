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
whole library: whether a moment shows the query's class. *All* ranks every reference whole; `vreloc search`
takes 50 neighbourhoods. R@5 of a library can be the higher one: of its moments that share half of the
shorter only the best is kept, while the best answers of single references may be near-copies. Of a small
library the neighbourhoods are a large part, so two stages save little there.
`python benchmarks/library_suite.py --root DATA --output docs/results`:

{library_suite}

## Made-up hours

Features that go from one random act to the next, 64 wide, half an hour a video; a query is a stretch of one
at another speed, with noise. Queries of *other videos* have no such stretch: what is best for them is like
them by chance. *Recall* is the share of queries of which one of 50 neighbourhoods holds the best window of
exhaustive search, by the localizer's own scores; *flat*: had every vector been compared.
`python benchmarks/library_scale.py --hours 1000 --output docs/results`:

{library_scale}
"""


def write_rows(
    folder: Path, name: str, rows: Sequence[dict[str, object]], beside: Sequence[str] = ()
) -> None:
    """Write a table as CSV and the page anew; rows stay that differ in one of the columns ``beside``."""
    head, *before = _read(folder / f"{name}.csv") or [list(rows[0])]
    new = [[str(row[column]) for column in head] for row in rows]
    columns = [head.index(column) for column in beside]
    kept = [one for one in before if beside and all(any(one[c] != row[c] for c in columns) for row in new)]
    write_text(folder / f"{name}.csv", "".join(f"{','.join(line)}\n" for line in [head, *kept, *new]))
    write_page(folder)


def write_page(folder: Path) -> None:
    """Make the page of the tables that are there."""
    tables = {name: _table(folder / f"{name}.csv") for name in ("library_suite", "library_scale")}
    write_text(folder / "library.md", PAGE.format(**tables))


def _read(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _table(path: Path) -> str:
    lines = _read(path)
    if not lines:
        return "Not measured."
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
