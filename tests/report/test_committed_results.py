"""The tables in docs/results and the README are what the package makes of the committed numbers."""

from pathlib import Path

import pandas as pd
import pytest

from vreloc_pyg.evaluation import (
    best_rival,
    choose_ours,
    format_intervals,
    format_sign_flip,
    recall,
    to_latex,
)
from vreloc_pyg.evaluation.tables import to_markdown
from vreloc_pyg.report import readme_table, replace_between_markers
from vreloc_pyg.report.standing import standing
from vreloc_pyg.systems.catalog import every_system

REPOSITORY = Path(__file__).resolve().parents[2]
LEFT_OUT = {system.row for system in every_system() if not system.in_readme}


def read(path):
    """A table; counts stay counts where some are missing."""
    table = pd.read_csv(path)
    counts = [name for name in table if name.endswith((" ahead", " behind")) or name == "parameters"]
    return table.astype(dict.fromkeys(counts, "Int64"))


@pytest.fixture(params=["penn_action", "utkinect"])
def folder(request):
    return REPOSITORY / "docs" / "results" / request.param


def test_tables(folder):
    results, differences = read(folder / "results.csv"), read(folder / "differences.csv")
    assert to_markdown(format_intervals(results, bold=True)) == (folder / "results.md").read_text(
        encoding="utf-8"
    )
    assert to_latex(results, intervals=True) == (folder / "results.tex").read_text(encoding="utf-8")
    assert to_markdown(format_intervals(differences)) == (folder / "differences.md").read_text("utf-8")
    tests = to_markdown(format_sign_flip(read(folder / "sign_flip.csv")))
    assert tests == (folder / "sign_flip.md").read_text(encoding="utf-8")


def test_the_reports_comparisons(folder):
    results, ahead = read(folder / "results.csv"), read(folder / "differences.csv")
    report = (folder / "report.md").read_text(encoding="utf-8")
    ours = choose_ours(results)
    thresholds = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    place = "\n\n".join(part.rstrip() for part in standing(results, ahead, ours, thresholds))
    assert f"## Where {ours} stands\n\n{place}\n\n## All thresholds" in report
    assert f"## Class by class against {best_rival(results, ours)}, the best rival" in report


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("docs/results/summary.md", "penn_action"),
        ("docs/results/summary.md", "utkinect"),
        ("README.md", "penn_action"),
    ],
)
def test_the_pages_that_show_them(page, name):
    results = read(REPOSITORY / "docs/results" / name / "results.csv")
    rows = [name for name in results["system"] if name not in LEFT_OUT]
    table = readme_table(results, rows, list(map(recall, (0.5, 0.7, 0.9))))
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert replace_between_markers(text, name, table) == text
