"""What is committed of the benchmarks; `make results-check` compares all of it with the predictions."""

import re
from pathlib import Path

import pandas as pd
import pytest

from vreloc_pyg.experiments.audit import check_audit
from vreloc_pyg.experiments.results import ABOUT_NAME
from vreloc_pyg.report.pages import BLOCK

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "docs" / "results"


def test_predictions_are_small():
    folders = [about.parent for about in RESULTS.rglob(ABOUT_NAME)]
    assert 0 < sum(path.stat().st_size for folder in folders for path in folder.glob("*.gz")) < 10e6


@pytest.mark.parametrize("name", ["penn_action", "jhmdb"])
def test_no_composed_set_gives_away_where_it_was_joined(name):
    check_audit(pd.read_csv(RESULTS / name / "results.csv"), name)


@pytest.mark.parametrize("page", ["README.md", "docs/results/summary.md"])
def test_every_result_on_a_page_is_generated(page):
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    section = text.partition("## Results\n")[2].partition("\n## ")[0] if page == "README.md" else text
    assert BLOCK.search(section)
    own = BLOCK.sub("", section).replace("ActivityNet v1.3", "")
    assert re.findall(r"\d+\.\d", own) == []
