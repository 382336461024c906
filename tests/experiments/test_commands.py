"""vreloc benchmark and vreloc ablate."""

import json
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest

from tests.experiments.conftest import TINY
from vreloc_pyg import cli
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.experiments.ablation import (
    BASES,
    GRAPH_CHANGES,
    RECIPE_CHANGES,
    SETS,
    TABLE_3,
    choose_changes,
)
from vreloc_pyg.experiments.predictions import PAIRS_NAME, PREDICTIONS_NAME, read_table_gz, recompute
from vreloc_pyg.systems.catalog import every_system, find_learned
from vreloc_pyg.systems.spec import Traits


def test_benchmark_writes_what_the_report_shows(tmp_path, capsys):
    output = tmp_path / "results"
    systems = "[rule,matching-transformer,mgffnet,mgffnet-cnn]"
    arguments = ["benchmark", "--output", str(output), "--systems", systems, "--quick"]
    arguments += ["--training.all", json.dumps(TINY)]
    assert cli.main(arguments) == 0
    assert "begin with" in capsys.readouterr().out
    predictions = recompute(*(read_table_gz(output / name) for name in (PREDICTIONS_NAME, PAIRS_NAME)))
    results = pd.read_csv(output / "results.csv")
    for _, row in results.iterrows():
        own = predictions[predictions["system"] == row["system"]]
        assert row["R@1(0.5)"] == pytest.approx(100 * own.groupby("query")["R@1(0.5)"].mean().mean())
    report = (output / "report.md").read_text()
    assert "vreloc benchmark --data synthetic --systems '[chance,whole-reference," in report
    assert "Data are generated" in report
    for name in ("results.tex", "differences.md", "sign_flip.md", "curves.png", "qualitative.png"):
        assert (output / name).stat().st_size > 100
    assert cli.main(arguments) == 0  # nothing is left to do


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_systems_run_on_the_synthetic_data(tmp_path, request):
    """As a user types it, in a process of its own: without the small stand-in of the other tests."""
    output = tmp_path / "results"
    command = [sys.executable, "-m", "vreloc_pyg", "benchmark", "--quick", "--output", str(output)]
    finished = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr[-3000:]
    rows = set(pd.read_csv(output / "results.csv")["system"])
    assert rows == {system.row for system in every_system() if system.in_all}


def test_without_a_system_of_ours_the_last_is_compared(tmp_path):
    arguments = ["benchmark", "--output", str(tmp_path / "x"), "--systems", "[window-rule,frame-level]"]
    assert cli.main(arguments) == 0
    assert "Where frame-level stands" in (tmp_path / "x" / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "[oracle]"], "Unknown system 'oracle'"),
        (["--data", "kinetics"], "Unknown data set 'kinetics'"),
        (["--folds", "[9]"], "folds 0 to 0"),
        (["--training.oracle", "{epochs: 1}"], "Unknown system 'oracle'"),
    ],
)
def test_what_benchmark_cannot_do_is_said_in_a_line(arguments, message, tmp_path, capsys):
    assert cli.main(["benchmark", "--output", str(tmp_path / "x"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_ablate_compares_every_change_with_the_recommended_settings(tmp_path, capsys, monkeypatch):
    rows = ["n = 1, k = 1, 2", "T = 8", "half as many windows", "no augmentation", "12 candidates"]
    arguments = ["ablate", "--output", str(tmp_path), "--changes", json.dumps(rows)]
    arguments += ["--training", json.dumps(TINY), "--max-pairs", "3"]
    assert cli.main(arguments) == 0
    table = pd.read_csv(tmp_path / "ablation.csv")
    assert table["system"].tolist() == ["recommended", *(row.row for row in choose_changes(rows))]
    sizes = table.set_index("system")["parameters"]
    assert sizes["n = 1, k = 1, 2"] < sizes["recommended"] == sizes["T = 8"]
    report = (tmp_path / "ablation.md").read_text()
    assert "*validation* classes" in report
    assert "n = 1, k = 1, 2 − recommended" in report
    made_by = shlex.split(re.search(r"```sh\nvreloc (.*)\n```", report)[1])
    parsed = cli.make_parser("ablate").read(made_by[1:])
    assert (parsed["training"], parsed["changes"], parsed["max_pairs"]) == (TINY, rows, 3)
    assert cli.main(arguments) == 0  # kept answers are read
    kept = tmp_path / "ablation" / "fold0"
    answers = pd.read_csv(kept / "T---8.csv")
    (kept / "T---8.csv").unlink()
    with monkeypatch.context() as patched:
        patched.setattr("vreloc_pyg.experiments.ablation.train_system", None)  # so are kept models
        assert cli.main(arguments) == 0
    assert pd.read_csv(kept / "T---8.csv")["tiou"].tolist() == answers["tiou"].tolist()
    changed = [*arguments, "--seed", "1"]
    assert cli.main(changed) == 2
    assert "other settings" in capsys.readouterr().err


def test_ablate_ranks_the_windows_of_other_sources(tmp_path, capsys):
    """The model of the first row is asked; SST proposes with the model that the benchmark left."""
    settings = ["--training.sst", json.dumps(TINY), "--model.sst", json.dumps({"hidden_channels": 4})]
    arguments = ["--systems", "sst", "--max-pairs", "1", "--output", str(tmp_path), *settings]
    assert cli.main(["benchmark", *arguments]) == 0
    path = str(tmp_path / "runs" / "fold{fold}" / "sst" / "proposals")
    output = tmp_path / "ablation"
    arguments = ["ablate", "--output", str(output), "--changes", "[]", "--sources.SST", path]
    assert cli.main([*arguments, "--training", json.dumps(TINY), "--max-pairs", "3"]) == 0
    table = pd.read_csv(output / "ablation.csv")
    assert table["system"].tolist() == ["recommended", "SST"]
    assert not (output / "ablation" / "fold0" / "SST").exists()  # nothing was trained
    answers = [pd.read_csv(output / "ablation" / "fold0" / f"{row}.csv") for row in table["system"]]
    assert not answers[0][["start_s", "end_s"]].equals(answers[1][["start_s", "end_s"]])
    made_by = shlex.split(re.search(r"```sh\nvreloc (.*)\n```", (output / "ablation.md").read_text())[1])
    assert cli.make_parser("ablate").read(made_by[1:])["sources"] == {"SST": path}
    taken = ["ablate", "--output", str(output), "--sources", json.dumps({"T = 8": path})]
    assert cli.main(taken) == 2
    assert "has a row 'T = 8' already" in capsys.readouterr().err
    absent = ["--output", str(tmp_path / "new"), "--changes", "[]", "--sources.TAG", "nowhere{fold}"]
    assert cli.main(["ablate", *absent]) == 2  # before anything is trained
    assert capsys.readouterr().err == "vreloc ablate: There are no proposals nowhere0, of fold 0\n"


def test_table_3_is_every_number_of_layers_by_every_number_of_scales():
    """What is left out of the grid is no change of either preset."""
    fields = {(change.model["num_layers"], tuple(change.model["scales"])) for change in TABLE_3}
    (left,) = {(n, k) for n in (1, 2, 3) for k in ((1,), (1, 2), (1, 2, 3))} - fields
    for name in BASES:
        settings = find_learned(name).settings_for(Traits(8))
        assert (settings.num_layers, settings.scales) == left
    assert [change.row for change in TABLE_3][:3] == ["n = 1, k = 1", "n = 1, k = 1, 2", "n = 1, k = 1, 2, 3"]


@pytest.mark.slow
def test_the_papers_preset_is_changed_too(tmp_path):
    arguments = ["ablate", "--output", str(tmp_path), "--changes", '["n = 3, k = 1"]', "--max-pairs", "1"]
    arguments += ["--training", json.dumps({**TINY, "steps_per_epoch": 1, "validation_pairs": 1})]
    assert cli.main([*arguments, "--system", "mgffnet-paper"]) == 0
    sizes = pd.read_csv(tmp_path / "ablation.csv").set_index("system")["parameters"]
    for row, changed in (("paper", {}), ("n = 3, k = 1", {"num_layers": 3, "scales": (1,)})):
        assert sizes[row] == find_learned("mgffnet-paper").build(Traits(8), changed).num_parameters
    report = (tmp_path / "ablation.md").read_text()
    assert "--system mgffnet-paper" in report
    assert "n = 3, k = 1 − paper" in report
    assert cli.main(arguments) == 2  # answers of the same row of another preset are in the folder


def test_what_is_no_preset_is_not_changed(tmp_path, capsys):
    assert cli.main(["ablate", "--output", str(tmp_path / "new"), "--system", "cgbm"]) == 2
    assert capsys.readouterr().err.endswith("The ablation changes mgffnet or mgffnet-paper (got 'cgbm')\n")


def test_names_of_changes():
    assert choose_changes(["graph"]) == GRAPH_CHANGES
    assert choose_changes(["all"]) == (*TABLE_3, *GRAPH_CHANGES, *RECIPE_CHANGES)
    with pytest.raises(SettingsError, match="'wings'; known are table3, graph, recipe, all, n = 1, k = 1,"):
        choose_changes(["wings"])


@pytest.mark.slow
@pytest.mark.parametrize("change", SETS["all"], ids=lambda change: change.row)
def test_every_change_can_be_trained(change, tmp_path):
    arguments = ["ablate", "--output", str(tmp_path), "--changes", json.dumps([change.row])]
    assert cli.main([*arguments, "--training", json.dumps(TINY), "--max-pairs", "1"]) == 0
