from dataclasses import replace

import pytest

from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments.plan import (
    NOT_IN_ALL,
    BenchmarkPlan,
    choose_folds,
    choose_systems,
    data_name,
    known_systems,
    make_plan,
)


def test_all_systems_but_the_ablations_of_the_graph():
    chosen = choose_systems(["all"])
    assert set(known_systems()) - set(chosen) == set(NOT_IN_ALL)
    assert choose_systems(["all", "mgffnet-gat"]).count("mgffnet-gat") == 1


def test_systems_come_in_the_order_of_tables():
    assert choose_systems(["mgffnet", "rules", "frame-level"]) == ("rules", "frame-level", "mgffnet")


def test_an_unknown_system_lists_those_there_are():
    with pytest.raises(SettingsError, match=r"'oracle'; known are all, rules, .*mgffnet"):
        choose_systems(["oracle"])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("penn-action-reloc", "penn_action"),
        ("penn_action", "penn_action"),
        ("utkinect-reloc", "utkinect"),
        ("video-reloc", "video_reloc"),
        ("synthetic", "synthetic"),
    ],
)
def test_names_of_data_sets(name, data):
    assert data_name(name) == data


def test_an_unknown_data_set():
    with pytest.raises(SettingsError, match="'kinetics'; known are"):
        data_name("kinetics")


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


def test_a_plan_as_the_words_of_a_command():
    plan = BenchmarkPlan(
        "penn_action", "somewhere/private", (0, 2), ("rules", "cgbm"), 3, {"cgbm": {"epochs": 2}}, 9, True
    )
    assert plan.words() == [
        *(
            "--dataset",
            "penn_action",
            "--root",
            "PENN_ACTION",
            "--systems",
            "[rules,cgbm]",
            "--folds",
            "[0,2]",
        ),
        *("--training.cgbm", '{"epochs": 2}', "--max_pairs", "9", "--quick", "--seed", "3"),
    ]
    small = BenchmarkPlan("synthetic", systems=("sst",), model={"sst": {"hidden_channels": 8}})
    assert small.words()[-2:] == ["--model.sst", '{"hidden_channels": 8}']
    every = make_plan("synthetic", ["all"], ["all"], root=None)
    assert every.words() == ["--dataset", "synthetic", "--systems", "all", "--folds", "all"]


def test_proposals_of_each_fold(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "vreloc_pyg.experiments.plan.load_benchmark", lambda *_, proposals, **__: asked.append(proposals)
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
