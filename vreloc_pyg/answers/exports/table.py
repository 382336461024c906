"""Moments as CSV, for spreadsheets and, after a look, for training."""

from __future__ import annotations

import csv
import io

from vreloc_pyg.answers.exports.content import Content, ExportFormat, one_line
from vreloc_pyg.datasets.imports.cells import as_text

COLUMNS = ("rank", "video", "start_s", "end_s", "label", "score", "verdict")


def write(content: Content) -> str:
    """A line a moment, best first; text that a spreadsheet would compute begins with an apostrophe."""
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for rank, one in enumerate(content.moments, start=1):
        video, label = as_text(one_line(one.video)), as_text(one_line(one.label))
        rows.writerow([rank, video, repr(one.start_s), repr(one.end_s), label, one.score, one.verdict or ""])
    return file.getvalue()


CSV = ExportFormat(write)
