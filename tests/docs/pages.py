"""The pages of the project, and the blocks of code in them."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name(page: Path) -> str:
    """As a person calls it, from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every block of code."""
    return re.findall(r"^```(\S*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def lines(page: Path) -> list[str]:
    """Every command of the page's shell blocks."""
    text = "".join(text for language, text in blocks(page) if language == "sh").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
