"""What a campaign found, as a page: ``python -m tests.mutants.report``."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence

from tests.mutants.campaign import ROOT, all_mutants, read_rows

TABLE = ROOT / "docs/results/mutants.csv"
PAGE = TABLE.with_suffix(".md")
#: A fault counts as found if a test failed, or nothing came back in time.
FOUND = ("killed", "ended")
Row = dict[str, str]

HEAD = """# Small faults, and whether quick tests find them

Made by `make mutants`, which draws faults with a seed, of every file of `graphs`, `nn` and `localization`
its share and of each kind in turn, writes one at a time into a copy of the package, and runs the quick tests
that run its line, for some 12 s of the processor at most. Of {every} faults that could be written there
{drawn} were drawn; {stopped} of them ended a run (a crash, or time). "At first" is what the tests found
before any was written for this; what they missed was then shown to the new ones. What no test can see, such
as texts, annotations, devices and how much is computed at once, is not changed; `tests/mutants/operators.py`
says what is. A fault that changes nothing, as reading it shows, is *equivalent* and counted apart: "of all"
counts it as one that was not found.
"""


def rate(rows: Sequence[Row], when: str, all_of_them: bool = False) -> str:
    """Found faults of those that change something, or ``all_of_them``, in %."""
    counted = [row for row in rows if all_of_them or not row["why"]]
    found = sum(row[when] in FOUND for row in counted)
    return f"{100 * found / len(counted):.1f}" if counted else "-"


def table(rows: Sequence[Row], name: str, of: Callable[[Row], str]) -> str:
    """Rates of groups of faults, and of all."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[of(row)].append(row)
    lines = [
        f"| {name} | faults | equivalent | found at first | found now, % | found now, % of all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for group, there in [*sorted(groups.items()), ("all", list(rows))]:
        equivalent = sum(bool(row["why"]) for row in there)
        lines.append(
            f"| {group} | {len(there)} | {equivalent} | {rate(there, 'first')} | {rate(there, 'now')} "
            f"| {rate(there, 'now', True)} |"
        )
    return "\n".join(lines) + "\n"


def listed(rows: Sequence[Row], why: bool) -> str:
    """Faults with where they are and what they change, one a line."""
    lines = []
    for row in rows:
        before, after = (" ".join(row[name].split()).replace("|", "\\|") for name in ("before", "after"))
        where = f"`{row['file'].removeprefix('vreloc_pyg/')}:{row['line']}` {row['place']}"
        said = row["why"] if why else row["found_by"]
        lines.append(f"- {where}: `{before}` becomes `{after}`" + (f": {said}" if said else ""))
    return "\n".join(lines) + "\n" if lines else "None.\n"


def page(rows: Sequence[Row], every: int) -> str:
    """The page of a table of results; ``every``: how many faults could be written."""
    missed = [row for row in rows if row["now"] not in FOUND]
    stopped = sum(row["now"] == "ended" for row in rows)
    parts = [
        HEAD.format(every=every, drawn=len(rows), stopped=stopped),
        table(rows, "folder", lambda row: row["file"].split("/")[1]),
        table(rows, "kind", lambda row: row["operator"]),
        table(rows, "file", lambda row: f"`{row['file'].removeprefix('vreloc_pyg/')}`"),
        "## Not found\n",
        listed([row for row in missed if not row["why"]], why=False),
        "## Equivalent\n",
        listed([row for row in missed if row["why"]], why=True),
        "## Found since tests were written for them\n",
        listed([row for row in rows if row["first"] not in FOUND and row["now"] in FOUND], why=False),
    ]
    return "\n".join(parts)


def main() -> int:
    """Write the page of the table."""
    PAGE.write_text(page(read_rows(TABLE), len(all_mutants())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
