"""What is committed of the benchmarks; `make results-check` compares all of it with the predictions."""

from pathlib import Path

import pytest

from vreloc_pyg.experiments.results import ABOUT_NAME, check_results

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "docs" / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob(f"*/{ABOUT_NAME}"))


def test_predictions_are_small():
    assert sum(path.stat().st_size for folder in FOLDERS for path in folder.glob("*.gz")) < 10e6


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_reports_are_what_the_predictions_give(folder):
    check_results(folder)
