"""The numbers of docs/phenomenon.md and of docs/results/phenomenon are those of the committed classes."""

import pandas as pd
import pytest

from tests.conftest import REPOSITORY
from vreloc_pyg.evaluation import to_markdown
from vreloc_pyg.evaluation.tables import format_intervals
from vreloc_pyg.experiments.phenomenon import (
    CLIP_MEANS,
    ONE_STEP,
    OTHER_STEP,
    SIMILARITIES,
    known_interval,
    phenomenon_table,
)

FOLDER = REPOSITORY / "docs" / "results" / "phenomenon"
SETS = ("penn_action", "jhmdb", "utkinect", "synthetic")


def key_numbers(name, similarity):
    """A row of the page: AUROC of clip means and of single steps, and the three parts of the claim."""
    classes = pd.read_csv(FOLDER / name / "classes.csv")
    own = classes[classes["similarity"] == similarity].pivot(
        index="class", columns="compared", values=["AUROC", "correlation"]
    )
    area = own["AUROC"]
    parts = {
        "clip means": area[CLIP_MEANS],
        "one step": area[ONE_STEP],
        "whole − step": area[CLIP_MEANS] - area[ONE_STEP],
        "same − other position": area[ONE_STEP] - area[OTHER_STEP],
        "correlation": own["correlation", ONE_STEP],
    }
    row = {"data": name}
    for column, values in parts.items():
        row.update(
            zip(
                (column, f"{column} low", f"{column} high"), known_interval(values.astype(float)), strict=True
            )
        )
    return row


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_page_shows_the_numbers_of_the_classes(similarity):
    table = pd.DataFrame([key_numbers(name, similarity) for name in SETS])
    assert to_markdown(format_intervals(table, 3)) in (REPOSITORY / "docs" / "phenomenon.md").read_text()


@pytest.mark.parametrize("name", SETS)
def test_means_and_report_are_those_of_the_classes(name):
    table = phenomenon_table(pd.read_csv(FOLDER / name / "classes.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(FOLDER / name / "phenomenon.csv"), table, rtol=1e-9)
    assert to_markdown(format_intervals(table, 3)) in (FOLDER / name / "phenomenon.md").read_text()
    assert (FOLDER / name / "phenomenon.png").stat().st_size < 60_000
