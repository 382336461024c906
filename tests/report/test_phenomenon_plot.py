import numpy as np
import pandas as pd
import pytest

from tests.report.pictures import where
from vreloc_pyg.report.phenomenon_plot import DIFFERENT, phenomenon_picture
from vreloc_pyg.report.plots import INK, TRUTH


@pytest.fixture
def tables():
    """Two classes, whose single steps are at .6 and whose clip means are at .9."""
    rows = [
        {"similarity": similarity, "compared": compared, "class": name, "AUROC": area}
        for similarity in ("cosine", "distance")
        for compared, areas in {"one step": (0.55, 0.65), "clip means": (0.85, 0.95)}.items()
        for name, area in zip("ab", areas, strict=True)
    ]
    classes = pd.DataFrame(rows)
    means = classes.groupby(["similarity", "compared"], sort=False)["AUROC"].mean().reset_index()
    return classes, means.assign(**{"AUROC low": means["AUROC"] - 0.02, "AUROC high": means["AUROC"] + 0.02})


def test_what_is_alike_is_to_the_right_of_what_is_not(tables, tmp_path):
    rng = np.random.default_rng(0)
    values = {"one step": (rng.normal(5, 1, 300), rng.normal(0, 1, 300))}
    path = phenomenon_picture(values, *tables, tmp_path / "picture.png")
    same, different = (np.median(where(path, colour)[1]) for colour in (TRUTH, DIFFERENT))
    assert different < same


def test_means_stand_in_the_order_of_the_table(tables, tmp_path):
    path = phenomenon_picture({"one step": (np.ones(3), np.ones(3))}, *tables, tmp_path / "picture.png")
    rows, columns = where(path, INK)
    height, width = 560 * 1.5, 960 * 1.5
    lower = rows > height / 2
    assert lower.any()
    left = lower & (columns < 0.55 * width)
    middle = (rows[left].min() + rows[left].max()) / 2
    upper_row, lower_row = left & (rows < middle), left & (rows > middle)
    assert np.percentile(columns[upper_row], 80) < np.percentile(columns[lower_row], 80)
