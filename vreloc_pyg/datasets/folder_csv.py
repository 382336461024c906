"""CSV files of one's own data set: a header, lines of cells, and every problem with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from vreloc_pyg.datasets.imports.cells import from_text
from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_text

Row = TypeVar("Row")
#: Separates several values in one cell.
SEPARATOR = ";"


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file; a warning does not keep it from being used.

    Args:
        line: counted from 1; 0 where it is not a line that is wrong.
        message: what is wrong.
        severity: whether the file can be used all the same.
        path: the file.
    """

    line: int
    message: str
    severity: Literal["error", "warning"] = "error"
    path: str = ""

    def __str__(self) -> str:
        place = f", line {self.line}" if self.line else ""
        return f"{self.path}{place}: {self.severity}: {self.message}"


@dataclass(frozen=True)
class Cells:
    """The cells of a line, by column; those of columns that are not there are empty."""

    line: int
    named: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.named.get(column, "")

    def number(self, column: str) -> float:
        """The number of a cell, or a :class:`DataError` that says which is none."""
        try:
            return float(self[column])
        except ValueError:
            raise DataError(f"has a {column} that is no number: {self[column]!r}") from None

    def names(self, column: str) -> tuple[str, ...]:
        """The values of a cell that holds several, as ``anna;kitchen``."""
        return tuple(dict.fromkeys(one.strip() for one in self[column].split(SEPARATOR) if one.strip()))


def read_rows(
    path: Path, columns: Sequence[str], optional: Sequence[str], parse: Callable[[Cells], Row]
) -> tuple[list[Row], list[Problem]]:
    """The lines of a CSV that can be read, and what is wrong with the others.

    Blank lines, lines that begin with ``#`` and other columns are passed over, as is the apostrophe before
    what a spreadsheet would compute.

    Args:
        path: the file, UTF-8.
        columns, optional: names that the header must and may have, in any order and case.
        parse: makes a row of a line, or raises :class:`DataError` that says what is wrong with it.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    header: list[str] | None = None

    def add(line: int, message: str) -> None:
        problems.append(Problem(line, message))

    try:
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
                continue
            cells = [from_text(cell.strip()) for cell in cells]
            if header is None:
                header = [cell.lower() for cell in cells]
                for message in header_problems(header, columns, optional):
                    add(line, message)
                if problems:
                    return [], problems
                continue
            if len(cells) < len(header):
                add(line, f"has {len(cells)} cells, expected {len(header)}: it may be cut off")
                continue
            if any("\n" in cell for cell in cells):
                add(line, "ends a cell that begins on an earlier line: a quotation mark is not closed there")
                continue
            if any(cells[len(header) :]):
                add(line, f"has {len(cells)} cells, expected {len(header)}: is there a comma in one of them?")
                continue
            try:
                rows.append(parse(Cells(line, dict(zip(header, cells, strict=False)))))
            except DataError as error:
                add(line, str(error))
    except csv.Error as error:
        add(reader.line_num, f"is no CSV: {error}; is a quotation mark not closed?")
    if header is None:
        add(1, f"the file is empty; expected the header {','.join(columns)}")
    elif not rows and not problems:
        add(1, "there is no line below the header")
    return rows, problems


def header_problems(header: list[str], columns: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Columns that are missing or there twice."""
    missing = [name for name in columns if name not in header]
    found = []
    if missing:
        found.append(f"lacks the column {', '.join(missing)}; expected {','.join(columns)}")
    twice = sorted({name for name in header if header.count(name) > 1 and name in (*columns, *optional)})
    return found + [f"has the column {name} twice" for name in twice]
