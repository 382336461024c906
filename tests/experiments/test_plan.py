from dataclasses import replace

import pytest

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments.plan import BenchmarkPlan, choose_folds, make_plan


def test_a_plan_knows_a_data_set_by_any_of_its_names():
    plan = make_plan("penn-action-reloc", [], ["all"])
    assert (plan.data, plan.folds) == ("penn_action", (0, 1, 2, 3, 4))
    with pytest.raises(SettingsError, match="'kinetics'; known are"):
        make_plan("kinetics", [], ["0"])


def test_folds():
    assert choose_folds(["all"], "penn_action") == (0, 1, 2, 3, 4)
    assert choose_folds(["all"], "synthetic") == (0,)
    assert choose_folds(["3", "1", "3"], "penn_action") == (1, 3)
    with pytest.raises(SettingsError, match="got first"):
        choose_folds(["first"], "penn_action")


def test_impossible_plans():
    with pytest.raises(SettingsError, match=r"folds 0 to 0 \(got \[2\]\)"):
        BenchmarkPlan("synthetic", folds=(2,))
    with pytest.raises(SettingsError, match="max_pairs >= 1"):
        BenchmarkPlan("synthetic", max_pairs=0)
    with pytest.raises(SettingsError, match="'wheels'"):
        BenchmarkPlan("synthetic", training={"wheels": {}})
    with pytest.raises(SettingsError, match="'wings'"):
        BenchmarkPlan("synthetic", model={"wings": {}})
    with pytest.raises(SettingsError, match="'oracle'; known are chance"):
        BenchmarkPlan("synthetic", systems=("oracle",))
    with pytest.raises(SettingsError, match="'chance' is not trained"):
        BenchmarkPlan("synthetic", training={"chance": {}})
    for wrong in ({"mgffnet": 0}, {"all": 2}, {"mgffnet": 1.5}):
        with pytest.raises(SettingsError, match="seeds as a number >= 1"):
            BenchmarkPlan("synthetic", seeds=wrong)
    with pytest.raises(SettingsError, match="'chance' is not trained"):
        BenchmarkPlan("synthetic", seeds={"chance": 2})
    with pytest.raises(SettingsError, match="budget > 0"):
        BenchmarkPlan("synthetic", budget_s=0.0)
    with pytest.raises(SettingsError, match="one or the other"):
        BenchmarkPlan("synthetic", budget_s=9.0, training={"cgbm": {"steps_per_epoch": 3}})
    with pytest.raises(SettingsError, match="given by system"):
        BenchmarkPlan("synthetic", model={"all": {}})


def test_the_root_is_found_in_the_environment(monkeypatch):
    monkeypatch.setenv("VRELOC_DATA", "data")
    assert BenchmarkPlan("penn_action").root == "data/penn_action"
    assert BenchmarkPlan("penn_action", "mine").root == "mine"
    assert BenchmarkPlan("synthetic").root is None


def test_the_nearest_settings_of_a_run_win():
    plan = BenchmarkPlan(
        "synthetic", seed=3, quick=True, training={"all": {"epochs": 7}, "mgffnet": {"batch_size": 2}}
    )
    chosen = plan.training_of("mgffnet", 0)
    assert (chosen["seed"], chosen["epochs"], chosen["batch_size"]) == (3, 7, 2)
    assert plan.training_of("mgffnet-cnn", 0)["batch_size"] == 8
    assert plan.num_pairs == 20
    seeds = {plan.training_of("cgbm", fold, seed)["seed"] for fold in range(9) for seed in range(3)}
    assert len(seeds) == 27


def test_a_plan_as_the_words_of_a_command():
    plan = BenchmarkPlan(
        "penn_action", "somewhere/private", (0, 2), ("chance", "cgbm"), 3, {"cgbm": {"epochs": 2}}, 9, True
    )
    assert plan.words() == [
        *(
            "--data",
            "penn_action",
            "--root",
            "PENN_ACTION",
            "--systems",
            "[chance,cgbm]",
            "--folds",
            "[0,2]",
        ),
        *("--training.cgbm", '{"epochs": 2}', "--max-pairs", "9", "--quick", "--seed", "3"),
    ]
    small = BenchmarkPlan("synthetic", systems=("sst",), model={"sst": {"hidden_channels": 8}})
    assert small.words()[-2:] == ["--model.sst", '{"hidden_channels": 8}']
    fair = BenchmarkPlan("synthetic", systems=("mgffnet",), budget_s=60.0, seeds={"mgffnet": 3})
    assert fair.words()[-4:] == ["--budget", "60", "--seeds.mgffnet", "3"]
    every = make_plan("synthetic", ["all"], ["all"], root=None)
    assert every.words() == ["--data", "synthetic", "--systems", "all", "--folds", "all"]


def test_proposals_of_each_fold(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "vreloc_pyg.experiments.plan.load_task", lambda *_, proposals, **__: asked.append(proposals)
    )
    places = [tmp_path / "fold0", tmp_path / "fold1"]
    for place in places:
        place.mkdir()
    plan = BenchmarkPlan("penn_action", folds=(0, 1), proposals=str(tmp_path / "fold{fold}"))
    for fold in plan.folds:
        plan.load(fold)
    assert asked == list(map(str, places))
    places[1].rmdir()
    with pytest.raises(DataError, match=r"no proposals .*fold1, of fold 1"):
        replace(plan)
