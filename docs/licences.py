"""Writes the licences of what an install brings into docs/installing.md: `make licences`.

What packages say of themselves is read from the metadata of those that are installed.
"""

from __future__ import annotations

import configparser
import re
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vreloc_pyg.files import write_text
from vreloc_pyg.report import replace_blocks

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/installing.md"
#: Extras of those who work on the package: no install of a user brings them.
OURS = ("test", "docs")
#: Of packages that say nothing in their metadata, or are not installed here: what their LICENSE files are.
READ = {"pympi-ling": "MIT", "torch-scatter": "MIT"}


def direct() -> dict[str, str]:
    """What setup.cfg asks for, by the names it has there, and for which extra; the core's is empty."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lists = {"": setup["options"]["install_requires"], **setup["options.extras_require"]}
    return {
        Requirement(line).name: extra
        for extra, lines in lists.items()
        if extra not in OURS
        for line in lines.split("\n")
        if line
    }


def licence(name: str) -> str:
    """What a package says its licence is: an expression, a short text, or a classifier.

    Raises:
        PackageNotFoundError: if it is not installed.
    """
    if name in READ:
        return READ[name]
    about = distribution(name).metadata
    classifiers = [
        one.rpartition(" :: ")[2] for one in about.get_all("Classifier") or [] if "License ::" in one
    ]
    said = (about.get("License-Expression") or "", about.get("License") or "", " and ".join(classifiers))
    found = next((text for text in said if text and len(text) < 120 and "\n" not in text), "see the package")
    return found.removesuffix(" License").replace("|", "or")


def brought(names: list[str]) -> set[str]:
    """Everything that packages bring, themselves included, as far as it is installed."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name = str(canonicalize_name(wanted.name))
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        if name in found and not wanted.extras:
            continue
        found.add(name)
        for need in map(Requirement, needs):
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in {"", *wanted.extras}):
                waiting.append(need)
    return found


def table() -> str:
    """Rows of what setup.cfg names, and the others in one paragraph."""
    names = direct()
    rows = ["| package | for | licence |", "| --- | --- | --- |"]
    for name, extra in names.items():
        rows.append(f"| {name} | {f'`{extra}`' if extra else 'everything'} | {licence(name)} |")
    others = defaultdict(list)
    for name in sorted(brought(list(names)) - {str(canonicalize_name(one)) for one in names}):
        others[licence(name)].append(name)
    listed = [
        f"- {kind}: {', '.join(found)}"
        for kind, found in sorted(others.items(), key=lambda one: -len(one[1]))
    ]
    return "\n".join(
        [*rows, "", "These bring in turn, on Linux with a build of torch for the CPU:", "", *listed]
    )


if __name__ == "__main__":
    write_text(PAGE, replace_blocks(PAGE.read_text(encoding="utf-8"), {"licences": table()}, str(PAGE)))
    print(f"Written to {re.sub('.*/docs', 'docs', str(PAGE))}")
