import json
import re
import shlex
from dataclasses import replace

import pandas as pd
import pytest

from tests.experiments.conftest import TINY
from vreloc_pyg import cli
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments import budget
from vreloc_pyg.experiments.budget import Pace, budgeted_steps, measure_pace
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.predictions import PAIRS_NAME, PREDICTIONS_NAME, read_table_gz, recompute
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


def test_a_benchmark_of_a_budget_and_two_seeds(tmp_path, capsys, monkeypatch):
    """From the command line to the tables: both seeds take the steps that were measured once."""
    training = {"epochs": 1, "batch_size": 4, "validation_pairs": 2}
    command = ["benchmark", "--output", str(tmp_path), "--systems", "[window-rule,sst,mgffnet]"]
    command += ["--training.all", json.dumps(training), "--seeds.mgffnet", "2"]
    command += ["--model.mgffnet", '{"hidden_channels": 8}', "--model.sst", '{"hidden_channels": 8}']
    assert cli.main([*command, "--budget", "0.5"]) == 0
    kept = json.loads((tmp_path / "budgets.json").read_text())
    assert (kept["budget_s"], set(kept["systems"])) == (0.5, {"sst", "mgffnet"})
    folder = tmp_path / "runs/fold0"
    for place, name in (("sst", "sst"), ("mgffnet", "mgffnet"), ("seed1/mgffnet", "mgffnet")):
        entry = dict(kept["systems"][name])
        steps = entry.pop("steps_per_epoch")
        assert steps == Pace(**entry).steps_per_epoch(0.5)
        assert pd.read_csv(folder / place / "metrics.csv")["step"].max() == steps - 1
    answers = recompute(*(read_table_gz(tmp_path / name) for name in (PREDICTIONS_NAME, PAIRS_NAME)))
    results = pd.read_csv(tmp_path / "results.csv")
    seeds = answers.groupby("system", sort=False)["seed"].unique().map(list)
    assert seeds.tolist() == [[0], [0], [0, 1]]
    own = answers[answers["system"] == "MGFFNet (recommended)"]
    of_seeds = own.groupby("seed")["tiou"].mean()
    assert of_seeds[0] != of_seeds[1]
    row = results.set_index("system").loc["MGFFNet (recommended)"]
    assert row["mean tIoU"] == pytest.approx(100 * of_seeds.mean())
    assert row["processor s"] == pytest.approx(own.groupby("seed")["train_s"].first().mean())
    assert results["processor s"].isna().tolist() == [True, False, False]
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "The seeds of a fold are averaged first." in report
    made_by = shlex.split(re.search(r"```sh\nvreloc (.*)\n```", report)[1])
    parsed = cli.make_parser("benchmark").read(made_by[1:])
    assert (parsed["budget"], parsed["seeds"]) == (0.5, {"mgffnet": 2})
    tables = {name: (tmp_path / f"results.{name}").read_bytes() for name in ("csv", "md", "tex")}
    assert cli.main(["results", str(tmp_path)]) == 0
    assert tables == {name: (tmp_path / f"results.{name}").read_bytes() for name in tables}
    monkeypatch.setattr("vreloc_pyg.experiments.runs.train_system", None)
    assert cli.main([*command, "--budget", "0.5"]) == 0  # nothing is left to do
    assert cli.main([*command, "--budget", "1"]) == 2
    assert "other settings" in capsys.readouterr().err
