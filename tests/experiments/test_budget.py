import json
from dataclasses import replace

import pandas as pd
import pytest

from tests.experiments.conftest import TINY
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments import budget
from vreloc_pyg.experiments.budget import Pace, budgeted_steps, measure_pace
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.runs import run_benchmark
from vreloc_pyg.systems.catalog import find_learned

PACE = Pace(step_s=0.05, pair_s=0.01, batch_size=8, num_pairs=100, epochs=10)


def test_steps_fill_the_budget_that_validation_leaves():
    assert PACE.steps_per_epoch(60) == 100  # 6 s an epoch, 1 of them for the pairs
    for budget_s in (13.0, 60.0, 61.0):
        steps = PACE.steps_per_epoch(budget_s)
        assert 10 * (steps * 0.05 + 100 * 0.01) <= budget_s < 10 * ((steps + 1) * 0.05 + 100 * 0.01)


def test_a_budget_for_less_than_a_step_is_refused():
    with pytest.raises(SettingsError, match="of 10 processor seconds is too small for 10 validations"):
        PACE.steps_per_epoch(10)


@pytest.mark.parametrize("buckets", [False, True])
def test_the_pace_is_that_of_steps_and_pairs(small_task, monkeypatch, buckets):
    """On a clock that stands still but while a loss is computed or a pair is judged."""
    now = [0.0]
    monkeypatch.setattr(budget, "process_time", lambda: now[0])
    system = find_learned("matching-transformer")

    def slow(what, seconds):
        def called(*arguments):
            now[0] += seconds
            return what(*arguments)

        return called

    recipe_of = type(system).recipe
    monkeypatch.setattr(
        type(system),
        "recipe",
        lambda *arguments: replace(
            made := recipe_of(*arguments), loss=slow(made.loss, 2.0), judge=slow(made.judge, 0.5)
        ),
    )
    pace = measure_pace(system, small_task, {"hidden_channels": 8}, {**TINY, "buckets": buckets})
    assert pace == Pace(step_s=2.0, pair_s=0.5, batch_size=4, num_pairs=2, epochs=1)


def test_a_pace_is_measured_once_for_all_folds_and_seeds(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(budget, "measure_pace", lambda system, *_: measured.append(system.name) or PACE)
    assert budgeted_steps("cgbm", None, tmp_path, 60.0) == 100
    assert budgeted_steps("sst", None, tmp_path, 60.0) == 100
    assert budgeted_steps("cgbm", None, tmp_path, 60.0) == 100
    assert measured == ["cgbm", "sst"]
    kept = json.loads((tmp_path / "budgets.json").read_text())
    assert kept["budget_s"] == 60
    assert kept["systems"]["cgbm"] == {**PACE.to_dict(), "steps_per_epoch": 100}
    with pytest.raises(DataError, match="is of a budget of 60, not 30"):
        budgeted_steps("cgbm", None, tmp_path, 30.0)
    (tmp_path / "budgets.json").write_text("{}")
    with pytest.raises(DataError, match=r"budgets\.json.*remove it"):
        budgeted_steps("cgbm", None, tmp_path, 60.0)


def test_runs_take_the_steps_of_the_budget(tmp_path, monkeypatch):
    pace = Pace(step_s=1.0, pair_s=0.0, batch_size=4, num_pairs=2, epochs=1)
    monkeypatch.setattr(budget, "measure_pace", lambda *_: pace)
    training = {"all": {"epochs": 1, "batch_size": 4, "validation_pairs": 2}}
    model = {"matching-transformer": {"hidden_channels": 8}}
    plan = BenchmarkPlan(
        "synthetic", systems=("chance", *model), training=training, model=model, budget_s=3.5
    )
    frame = run_benchmark(plan, tmp_path, print, progress=False)
    curves = pd.read_csv(tmp_path / "runs/fold0/matching-transformer/metrics.csv")
    assert curves["step"].max() == 2  # the third
    seconds = frame.groupby("kin")["train_s"].first()
    assert seconds["rival"] > 0
    assert seconds["rule"] == 0
    assert len(frame) == len(run_benchmark(plan, tmp_path, lambda _: pytest.fail("done"), progress=False))
