"""Small faults in graphs, networks and localization, each in a copy of the package: do quick tests fail?

``python -m tests.mutants.campaign`` draws faults, runs for each the tests that run its line, and writes a row
to a table; it goes on where it was stopped. ``--again`` runs those that no test has found once more, after
tests were written. Tests run in forks of one process, since importing the libraries takes longer than most.
"""

from __future__ import annotations

import argparse
import compileall
import csv
import itertools
import os
import pickle
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.forked import Watch, import_libraries, in_fork, run_tests
from tests.mutants.operators import Mutant, mutants

ROOT = Path(__file__).parents[2]
MUTATED = ("nn", "graphs", "localization")
#: Tests that may find a fault: of the folders, and others that run much of them.
TESTS = (
    *("tests/nn", "tests/graphs", "tests/localization", "tests/commands/test_locate.py"),
    *("tests/proposals/test_actionness.py", "tests/proposals/test_network_proposals.py"),
    *("tests/proposals/test_sst.py", "tests/systems/test_sst.py", "tests/systems/test_ranker_loss.py"),
)
#: Seconds of the processor that the tests of one fault may take, about.
ENOUGH_S = 12.0
#: What a fault is known by in the table, wherever its line has moved to.
KEY = ("file", "place", "operator", "before", "after", "nth")
COLUMNS = (*KEY, "line", "first", "now", "found_by", "why")


@dataclass
class Measured:
    """Tests that pass on the package as it is: what each takes of the processor, and the lines it runs."""

    seconds: dict[str, float]
    lines: dict[str, set[tuple[str, int]]]

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that run a line of a mutant, those of its file's name first, then quick ones.

        Of what is run when its file is imported these are all that run any line of the file. What comes
        after :data:`ENOUGH_S` of the processor is left out.
        """
        first, last = mutant.lines
        at_import = mutant.place == "" or mutant.place.split(".")[-1].lstrip("_")[0].isupper()
        found = [
            name
            for name, lines in self.lines.items()
            if any(file == mutant.file and (at_import or first <= line <= last) for file, line in lines)
        ]
        near = f"test_{Path(mutant.file).stem}.py"
        found.sort(key=lambda name: (near not in name, self.seconds[name]))
        began = itertools.accumulate((self.seconds[name] for name in found), initial=0.0)
        return [name for name, so_far in zip(found, began, strict=False) if so_far < ENOUGH_S]


def copy_repository(folder: Path) -> None:
    """What tests need."""
    for name in ("vreloc_pyg", "tests", "docs", "benchmarks", "examples", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for name in ("pyproject.toml", "setup.cfg", "README.md", "CONTRIBUTING.md", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("vreloc_pyg", "tests"):  # once, not in every fork
        compileall.compile_dir(folder / name, quiet=2)


def measure(folder: Path, paths: list[str]) -> Measured:
    """Run tests on the package as it is, and note the lines they run.

    Raises:
        RuntimeError: if nothing passes.
    """
    noted = in_fork(lambda: run_tests(folder, paths, Watch(watched=f"{folder}/vreloc_pyg")), folder, 3600)
    if noted is None or not noted.seconds:
        raise RuntimeError(f"The tests did not run: {noted}")
    good = [name for name in noted.seconds if name not in noted.failed]
    print(f"{len(good)} tests; left out, for they fail while lines are noted: {noted.failed}", flush=True)
    lines = {
        name: {(os.path.relpath(file, folder), line) for file, line in noted.lines[name]} for name in good
    }
    return Measured({name: noted.seconds[name] for name in good}, lines)


def judge(mutant: Mutant, folder: Path, tests: Measured) -> tuple[str, str]:
    """``killed``, ``ended`` or ``survived``, and the test that found it."""
    chosen = tests.of(mutant)
    if not chosen:
        return "survived", "no test runs it"
    path = folder / mutant.file
    source, times = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(mutant.apply(source), encoding="utf-8")
    # Of another time than any file before it, by which Python knows that its compiled form is old.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + random.randrange(1, 10**6) * 10**9))
    limit = 10 + 2 * sum(tests.seconds[name] for name in chosen)
    watch = in_fork(lambda: run_chosen(folder, chosen, first=True), folder, limit)
    path.write_text(source, encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if watch is None:
        return "ended", f"crashed, or took more than {limit:.0f} s"
    return ("killed", watch.failed[0]) if watch.failed else ("survived", "")


def run_chosen(folder: Path, chosen: list[str], first: bool = False) -> Watch:
    """Run tests by name, in this order."""
    sys.dont_write_bytecode = True
    return run_tests(folder, sorted({name.split("::")[0] for name in chosen}), Watch(chosen), first)


def draw(found: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    """Some of the faults, of a file as many as its share but at least six, and there of each kind in turn."""
    by_file: dict[str, list[Mutant]] = defaultdict(list)
    for one in found:
        by_file[one.file].append(one)
    total, generator = sum(map(len, by_file.values())), random.Random(seed)
    drawn = []
    for there in by_file.values():
        kinds: dict[str, list[Mutant]] = defaultdict(list)
        for one in generator.sample(there, len(there)):
            kinds[one.operator].append(one)
        in_turn = sorted(
            (number, generator.random(), one)
            for of_kind in kinds.values()
            for number, one in enumerate(of_kind)
        )
        drawn += [one for *_, one in in_turn[: max(6, round(count * len(there) / total))]]
    return generator.sample(drawn, len(drawn))


def all_mutants() -> list[Mutant]:
    """Every fault of the three folders."""
    files = [path for name in MUTATED for path in sorted((ROOT / "vreloc_pyg" / name).glob("*.py"))]
    return [
        one
        for path in files
        if path.name != "__init__.py"
        for one in mutants(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]


def key(row: dict[str, str] | Mutant) -> tuple[str, ...]:
    """What a row or a fault is known by, see :data:`KEY`."""
    one = row if isinstance(row, dict) else vars(row)
    return tuple(str(one[name]) for name in KEY)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table of results; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a table of results, at once."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["file"], int(row["line"]), *key(row))))
    part.replace(path)


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=330)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="those that no test has found, once more")
    parser.add_argument("--table", type=Path, default=ROOT / "docs/results/mutants.csv")
    parser.add_argument("--tests", nargs="*", default=list(TESTS), help="files and folders")
    parser.add_argument("--measured", type=Path, help="keep what tests run in this file")
    asked = parser.parse_args()
    rows, every = read_rows(asked.table), all_mutants()
    drawn = draw(every, asked.mutants, asked.seed)
    known = {key(row): row for row in rows}
    if asked.again:
        missed = {key(row) for row in rows if row["now"] == "survived" and not row["why"]}
        todo = [one for one in every if key(one) in missed]
    else:
        todo = [one for one in drawn if key(one) not in known]
    import_libraries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy_repository(folder)
        if asked.measured and asked.measured.exists():
            tests = pickle.loads(asked.measured.read_bytes())
        else:
            tests = measure(folder, asked.tests)
            if asked.measured:
                asked.measured.write_bytes(pickle.dumps(tests))
        for number, one in enumerate(todo, start=1):
            result, by = judge(one, folder, tests)
            row = known.setdefault(key(one), {**dict.fromkeys(COLUMNS, ""), "first": result})
            row |= dict(zip(KEY, key(one), strict=True))
            row |= {"line": str(one.lines[0]), "now": result}
            if not asked.again or result != "survived":  # else it is known by other tests
                row["found_by"] = by
            write_rows(asked.table, list(known.values()))
            print(f"{number}/{len(todo)} {result}: {one.file}:{one.lines[0]} {one.operator}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
