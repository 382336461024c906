"""``vreloc results``: every table, picture and sentence from kept predictions, without data or training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from vreloc_pyg.datasets.tasks import TASKS, Task, find_task
from vreloc_pyg.errors import DataError, reading
from vreloc_pyg.evaluation import recall
from vreloc_pyg.experiments.budget import BUDGETS_NAME
from vreloc_pyg.experiments.predictions import PAIRS_NAME, PREDICTIONS_NAME, read_table_gz, recompute
from vreloc_pyg.files import read_json, write_text
from vreloc_pyg.report.benchmark_report import write_report
from vreloc_pyg.report.cost import time_sentence
from vreloc_pyg.report.matching import matching_table
from vreloc_pyg.report.pages import replace_blocks, short_table, shown_rows, suite_table
from vreloc_pyg.report.plots import picture_difference
from vreloc_pyg.report.statements import SPOKEN, Benchmark, claims, gist
from vreloc_pyg.systems.catalog import find_system

#: What a benchmark was, beside its predictions.
ABOUT_NAME = "benchmark.json"
#: What is read, and what commands leave beside it; all other files of a folder are generated.
KEPT = (ABOUT_NAME, PREDICTIONS_NAME, PAIRS_NAME, BUDGETS_NAME, "benchmark.yaml", "audit.yaml")
#: Pictures may differ by so much of a pixel's range on average: versions of matplotlib draw differently.
PICTURE_TOLERANCE = 0.02


@dataclass(frozen=True)
class KeptBenchmark:
    """What ``vreloc benchmark`` kept of a data set.

    Args:
        folder: where it lies.
        task: the data set.
        about: ``benchmark.json``.
        budgets: ``budgets.json``, where there was a budget, its systems by their rows.
        frame: every answer with its metrics.
        pairs: what was asked.
    """

    folder: Path
    task: Task
    about: Mapping[str, Any]
    budgets: Mapping[str, Any] | None
    frame: pd.DataFrame
    pairs: pd.DataFrame

    @classmethod
    def read(cls, folder: str | Path) -> KeptBenchmark:
        """What is kept in a folder; :class:`DataError` if a file is missing or does not fit the others."""
        folder = Path(folder)
        with reading(f"the benchmark {folder}"):
            about = _read_json(folder / ABOUT_NAME, ("data", "systems", "command", "candidate_recall"))
            budgets = None
            if (folder / BUDGETS_NAME).exists():
                budgets = _read_json(folder / BUDGETS_NAME, ("budget_s", "systems"))
                systems = {find_system(name).row: pace for name, pace in budgets["systems"].items()}
                budgets = {**budgets, "systems": systems}
            pairs = read_table_gz(folder / PAIRS_NAME)
            frame = recompute(read_table_gz(folder / PREDICTIONS_NAME), pairs)
            task = find_task(about["data"])
        return cls(folder, task, about, budgets, frame, pairs)

    @property
    def name(self) -> str:
        """The data set, as pages call it."""
        return self.task.aliases[0] if self.task.aliases else self.task.name

    def report(self, output: str | Path) -> Benchmark:
        """Write tables, pictures and the report into a folder, and return what pages say of them."""
        systems = [find_system(name) for name in self.about["systems"]]
        runs = self.frame.groupby("system")[["parameters", "train_s"]].mean()
        write_report(
            self.frame,
            output,
            name=self.task.name,
            published={one.row: one.published for one in systems if one.published is not None},
            command=self.about["command"],
            parameters={str(row): int(count) for row, count in runs["parameters"].items() if count},
            processor_s={str(row): float(value) for row, value in runs["train_s"].items() if value},
            budgets=self.budgets,
            candidate_recall=self.about["candidate_recall"],
            notes=self.task.caveats,
            pairs=self.pairs,
        )
        results = pd.read_csv(Path(output) / "results.csv")
        hidden = frozenset(one.row for one in systems if not one.in_readme)
        return Benchmark(self.name, self.frame, results, hidden)


def _read_json(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    try:
        found = dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise DataError(f"Cannot read {path} of a benchmark: {error}") from None
    missing = [key for key in keys if key not in found]
    if missing:
        raise DataError(f"{path} of a benchmark lacks {', '.join(missing)}; run the benchmark again")
    return found


def find_benchmarks(folder: str | Path) -> list[KeptBenchmark]:
    """The benchmark in a folder or those in its folders, in the order of the known data sets."""
    places = [Path(folder), *sorted(path for path in Path(folder).glob("*") if path.is_dir())]
    found = [KeptBenchmark.read(place) for place in places if (place / ABOUT_NAME).exists()]
    if not found:
        raise DataError(f"There is no {ABOUT_NAME} of a benchmark in {folder} or a folder in it")
    return sorted(found, key=lambda one: list(TASKS).index(one.task.name))


def write_results(folder: str | Path, pages: Sequence[str | Path] = ()) -> None:
    """Write the reports of all benchmarks of a folder, and what pages say of them.

    Args:
        folder: output of ``vreloc benchmark``, or a folder of several.
        pages: Markdown files with markers, see :func:`page_blocks`.

    Raises:
        DataError: if a file is missing or does not fit the others, or a page lacks markers.
    """
    kept = find_benchmarks(folder)
    benchmarks = [one.report(one.folder) for one in kept]
    for page in pages:
        write_text(page, _page(page, kept, benchmarks))


def check_results(folder: str | Path, pages: Sequence[str | Path] = ()) -> None:
    """Check that the files of :func:`write_results` are what it would write.

    Text is compared byte by byte, pictures by their pixels, which may differ by 2 % of their range.

    Raises:
        DataError: with the first line or the picture that differs, or a file that nothing makes.
    """
    kept = find_benchmarks(folder)
    problems: list[str] = []
    with TemporaryDirectory() as place:
        benchmarks = []
        for number, one in enumerate(kept):
            output = Path(place) / str(number)
            benchmarks.append(one.report(output))
            problems += _differences(one.folder, output)
    for page in pages:
        new, old = _page(page, kept, benchmarks), Path(page).read_text(encoding="utf-8")
        problems += [f"{page}{_first_difference(old, new)}"] if new != old else []
    if problems:
        raise DataError(
            "Not what the committed predictions give: "
            + "; ".join(problems)
            + ". `make results` rewrites them"
        )


def _differences(folder: Path, made: Path) -> list[str]:
    """What differs between a folder and what was made of its predictions."""
    generated = {path.name for path in made.iterdir()}
    stale = {path.name for path in folder.iterdir() if path.is_file()} - generated - {*KEPT}
    problems = [f"nothing makes {folder / name}: remove it" for name in sorted(stale)]
    for name in sorted(generated):
        old, new = folder / name, made / name
        if not old.exists():
            problems.append(f"{old} is missing")
        elif name.endswith(".png"):
            difference = picture_difference(old, new)
            if not difference <= PICTURE_TOLERANCE:
                problems.append(f"the picture {old} differs by {difference:.3f} of a pixel's range")
        elif old.read_bytes() != new.read_bytes():
            texts = (path.read_text(encoding="utf-8") for path in (old, new))
            problems.append(f"{old}{_first_difference(*texts)}")
    return problems


def _first_difference(old: str, new: str) -> str:
    """Where a text differs from the one that was made."""
    lines = old.splitlines(), new.splitlines()
    number = next((n for n, (a, b) in enumerate(zip(*lines, strict=False)) if a != b), min(map(len, lines)))
    shown = [(text[number] if number < len(text) else "nothing")[:80] for text in lines]
    return f", line {number + 1}: has {shown[0]!r}, not {shown[1]!r}"


def _page(page: str | Path, kept: Sequence[KeptBenchmark], benchmarks: Sequence[Benchmark]) -> str:
    try:
        text = Path(page).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the page {page}: {error}") from None
    links = [os.path.relpath(one.folder / "report.md", Path(page).parent) for one in kept]
    return replace_blocks(text, page_blocks(benchmarks, links), str(page))


def page_blocks(benchmarks: Sequence[Benchmark], links: Sequence[str]) -> dict[str, str]:
    """What stands on a page between ``<!-- generated: NAME -->`` and ``<!-- end -->``, by name.

    ``sets`` lists the data sets with their reports, ``suite`` is one table of all, ``tables`` has one of
    each, ``claims`` what the numbers say, ``gist`` what to make of them, ``matching`` what the parts of the
    graph that matches are worth, and ``time`` how long it took.

    Args:
        benchmarks: in the order of the pages.
        links: to the report of each, as the page has to write it.
    """
    metrics = list(map(recall, SPOKEN))
    hidden = {row for one in benchmarks for row in one.hidden}
    sets = []
    for one, link in zip(benchmarks, links, strict=True):
        queries = one.present.drop_duplicates(["fold", "query"])
        folds = queries["fold"].nunique()
        sets.append(
            f"- *{one.name}*: {len(queries):,} queries of {queries['label'].nunique()} classes in {folds} "
            f"{'fold' if folds == 1 else 'folds'} ([report]({link}))"
        )
    tables = [
        f"### {one.name}\n\n"
        + short_table(one.results, shown_rows(one.results, one.hidden, metrics), metrics)
        for one in benchmarks
    ]
    return {
        "sets": "\n".join(sets),
        "suite": suite_table({one.name: one.results for one in benchmarks}, hidden, metrics),
        "tables": "\n".join(tables),
        "claims": claims(benchmarks),
        "gist": gist(benchmarks),
        "matching": matching_table(benchmarks),
        "time": time_sentence([one.frame for one in benchmarks]),
    }
