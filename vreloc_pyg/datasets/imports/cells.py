"""Text in CSV files that a spreadsheet must not take for a formula, nor we for a comment.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

#: What begins with one of these is computed by spreadsheets, and with the last is a comment in our files.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "#")


def as_text(cell: str) -> str:
    """A cell with an apostrophe before it, if it would be computed or has one for that reason."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell


def from_text(cell: str) -> str:
    """What :func:`as_text` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell
