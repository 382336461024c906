import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from vreloc_pyg.experiments.predictions import EXACT

# By its path: what measures the coverage of tests is called the same.
SPEC = importlib.util.spec_from_file_location(
    "coverage_of_intervals", Path(__file__).parents[2] / "benchmarks" / "coverage.py"
)
benchmark = sys.modules["coverage_of_intervals"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(benchmark)


@pytest.fixture(scope="module")
def table():
    return benchmark.coverage(300).set_index("situation")


def test_intervals_hold_and_no_leads_are_made_up(table):
    """Of 300 the targets of 93 and 6 % are met but for three standard errors."""
    four = table.iloc[:4]
    assert (four[["R@1: t, groups", "lead: t, groups"]] > 93 - 4.4).all(axis=None)
    assert (four[["false: sign flip", "false: t, groups"]] < 6 + 4.1).all(axis=None)
    assert table.loc["one fold of 20 classes", "R@1: t, groups"] > 93 - 4.4


def test_what_was_used_before_does_not_hold(table):
    like = table.loc[["like Penn Action", "like UTKinect"]]
    assert (like["R@1: bootstrap"] < 91).all()
    assert (like["false: McNemar"] > 20).all()


@pytest.mark.parametrize("situation", benchmark.SITUATIONS, ids=lambda situation: situation.name)
def test_the_truth_is_the_mean_of_what_is_drawn(situation):
    hits = situation.hits(np.random.default_rng(1), 400)
    assert hits.shape == (2, len(situation.pairs()), 400)
    means = hits.mean(1)  # of benchmarks
    error = means.std() / np.sqrt(means.size / 2)  # systems of one benchmark depend on each other
    assert means.mean() == pytest.approx(situation.truth(), abs=4 * error)


def test_the_fast_bootstrap_is_that_of_drawn_queries():
    rng = np.random.default_rng(0)
    lead = rng.integers(-1, 2, size=(3, 40))
    naive = [
        np.mean([rng.choice(lead[fold], 40).mean() for fold in rng.integers(3, size=3)]) for _ in range(4000)
    ]
    shares = [np.repeat((lead == sign).mean(1)[:, None], 8, axis=1) for sign in (1, -1)]
    found = benchmark.bootstrap(rng, *shares, 40)
    assert found.estimate == pytest.approx(lead.mean())
    assert found.low.mean() == pytest.approx(np.quantile(naive, 0.025), abs=0.02)
    assert found.high.mean() == pytest.approx(np.quantile(naive, 0.975), abs=0.02)


def test_the_committed_page_is_made_of_the_committed_numbers():
    stem = Path(__file__).parents[2] / "docs" / "results" / "coverage"
    table = benchmark.pd.read_csv(stem.with_suffix(".csv"), **EXACT)
    text = benchmark.page(table, 4000, Path("docs/results/coverage"))
    assert text == stem.with_suffix(".md").read_text(encoding="utf-8")
    four = table.set_index("situation").iloc[:4]
    assert (four.filter(regex="^(R@1|lead): t, groups") >= 93).all(axis=None)
    assert (four.filter(regex="^false: (sign flip|t, groups)") <= 6).all(axis=None)
