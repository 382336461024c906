"""vreloc benchmark and vreloc ablate, and the system that docs/adding_a_system.md adds."""

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
from vreloc_pyg.experiments.ablation import GRAPH_CHANGES, RECIPE_CHANGES, choose_changes
from vreloc_pyg.experiments.plan import NOT_IN_ALL
from vreloc_pyg.systems.catalog import RIVALS
from vreloc_pyg.systems.known import VARIANTS


def test_benchmark_writes_what_the_report_shows(tmp_path, capsys):
    output = tmp_path / "results"
    systems = "[rules,matching-transformer,mgffnet,mgffnet-cnn]"
    arguments = ["benchmark", "--output", str(output), "--systems", systems, "--quick"]
    arguments += ["--training.all", json.dumps(TINY)]
    assert cli.main(arguments) == 0
    assert "begin with" in capsys.readouterr().out
    predictions = pd.read_csv(output / "predictions.csv")
    results = pd.read_csv(output / "results.csv")
    for _, row in results.iterrows():
        own = predictions[predictions["system"] == row["system"]]
        assert row["R@1(0.5)"] == pytest.approx(100 * own["R@1(0.5)"].mean())
    report = (output / "report.md").read_text()
    assert "vreloc benchmark --dataset synthetic --systems '[rules,matching-transformer,mgffnet," in report
    assert "Data are generated" in report
    for name in ("results.tex", "differences.md", "mcnemar.md", "curves.png", "qualitative.png"):
        assert (output / name).stat().st_size > 100
    assert cli.main(arguments) == 0  # nothing is left to do


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_systems_run_on_the_synthetic_data(tmp_path, request):
    """As a user types it, in a process of its own: without the small stand-in of the other tests."""
    output = tmp_path / "results"
    command = [
        sys.executable,
        "-m",
        "vreloc_pyg.cli",
        "benchmark",
        "--dataset",
        "synthetic",
        "--systems",
        "all",
    ]
    finished = subprocess.run(
        [*command, "--quick", "--output", str(output)],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    rows = set(pd.read_csv(output / "results.csv")["system"])
    learned = {VARIANTS[name].row for name in VARIANTS if name not in NOT_IN_ALL}
    assert learned | set(RIVALS) - set(NOT_IN_ALL) | {"frame-level", "whole reference"} <= rows


def test_the_table_of_a_readme_is_replaced(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n\n<!-- table: synthetic -->\n\nold\n\n<!-- end table -->\n\nMore.\n")
    arguments = ["benchmark", "--output", str(tmp_path / "x"), "--systems", "[rules,frame-level]"]
    assert cli.main([*arguments, "--readme", str(readme)]) == 0
    text = readme.read_text()
    assert "| frame-level |" in text
    assert "old" not in text
    assert text.endswith("More.\n")
    readme.write_text("# Without markers\n")
    assert cli.main([*arguments, "--readme", str(readme)]) == 2
    assert "<!-- table: synthetic -->" in capsys.readouterr().err
    assert readme.read_text() == "# Without markers\n"


def test_benchmark_without_our_system_compares_the_last(tmp_path):
    assert cli.main(["benchmark", "--output", str(tmp_path), "--systems", "[rules,frame-level]"]) == 0
    assert "Where frame-level stands" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "[oracle]"], "Unknown system 'oracle'"),
        (["--dataset", "kinetics"], "Unknown data set 'kinetics'"),
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
    rows = [
        "n = 1",
        "k = 1, 2",
        "T = 8",
        "GAT branches",
        "half as many windows",
        "no augmentation",
        "12 candidates",
    ]
    arguments = ["ablate", "--output", str(tmp_path), "--changes", json.dumps(rows)]
    arguments += ["--training", json.dumps(TINY), "--max_pairs", "3"]
    assert cli.main(arguments) == 0
    table = pd.read_csv(tmp_path / "ablation.csv")
    assert table["system"].tolist() == ["recommended", *(row.row for row in choose_changes(rows))]
    sizes = table.set_index("system")["parameters"]
    assert sizes["n = 1"] < sizes["recommended"] == sizes["T = 8"]
    report = (tmp_path / "ablation.md").read_text()
    assert "*validation* classes" in report
    assert "n = 1 − recommended" in report
    made_by = shlex.split(re.search(r"```sh\nvreloc (.*)\n```", report)[1])
    parsed = cli.make_parser().parse_args(made_by).ablate
    assert (parsed.training, parsed.changes, parsed.max_pairs) == (TINY, rows, 3)
    assert cli.main(arguments) == 0  # kept answers are read
    kept = tmp_path / "ablation" / "fold0"
    answers = pd.read_csv(kept / "T---8.csv")
    (kept / "T---8.csv").unlink()
    with monkeypatch.context() as patched:
        patched.setattr("vreloc_pyg.experiments.ablation.train_localizer", None)  # so are kept models
        assert cli.main(arguments) == 0
    assert pd.read_csv(kept / "T---8.csv")["tiou"].tolist() == answers["tiou"].tolist()
    changed = [*arguments, "--seed", "1"]
    assert cli.main(changed) == 2
    assert "other settings" in capsys.readouterr().err


def test_ablate_ranks_the_windows_of_other_sources(tmp_path, capsys):
    """The model of the first row is asked; SST proposes with the model that the benchmark left."""
    settings = ["--training.sst", json.dumps(TINY), "--model.sst", json.dumps({"hidden_channels": 4})]
    arguments = ["--systems", "sst", "--max_pairs", "1", "--output", str(tmp_path), *settings]
    assert cli.main(["benchmark", *arguments]) == 0
    path = str(tmp_path / "runs" / "fold{fold}" / "sst" / "model")
    output = tmp_path / "ablation"
    arguments = ["ablate", "--output", str(output), "--changes", "[]", "--sources.SST", path]
    assert cli.main([*arguments, "--training", json.dumps(TINY), "--max_pairs", "3"]) == 0
    table = pd.read_csv(output / "ablation.csv")
    assert table["system"].tolist() == ["recommended", "SST"]
    assert not (output / "ablation" / "fold0" / "SST").exists()  # nothing was trained
    answers = [pd.read_csv(output / "ablation" / "fold0" / f"{row}.csv") for row in table["system"]]
    assert not answers[0][["start_s", "end_s"]].equals(answers[1][["start_s", "end_s"]])
    made_by = shlex.split(re.search(r"```sh\nvreloc (.*)\n```", (output / "ablation.md").read_text())[1])
    assert cli.make_parser().parse_args(made_by).ablate.sources == {"SST": path}
    taken = ["ablate", "--output", str(output), "--sources", json.dumps({"n = 1": path})]
    assert cli.main(taken) == 2
    assert "has a row 'n = 1' already" in capsys.readouterr().err
    absent = [
        "ablate",
        "--output",
        str(tmp_path / "new"),
        "--changes",
        "[]",
        "--sources.TAG",
        "nowhere{fold}",
    ]
    assert cli.main(absent) == 2  # before anything is trained
    assert capsys.readouterr().err == "vreloc ablate: There are no proposals nowhere0, of fold 0\n"


def test_names_of_changes():
    assert choose_changes(["graph"]) == GRAPH_CHANGES
    assert choose_changes(["all"]) == (*GRAPH_CHANGES, *RECIPE_CHANGES)
    with pytest.raises(SettingsError, match="'wings'; known are graph, recipe, all, n = 1"):
        choose_changes(["wings"])


@pytest.mark.slow
@pytest.mark.parametrize("change", [*GRAPH_CHANGES, *RECIPE_CHANGES], ids=lambda change: change.row)
def test_every_change_can_be_trained(change, tmp_path):
    arguments = ["ablate", "--output", str(tmp_path), "--changes", json.dumps([change.row])]
    assert cli.main([*arguments, "--training", json.dumps(TINY), "--max_pairs", "1"]) == 0


def test_the_documented_system_appears_in_every_table(tmp_path, monkeypatch, request):
    page = (request.config.rootpath / "docs" / "adding_a_system.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)[1]
    names: dict = {"__name__": "nearest_mean"}
    exec(compile(code.replace("from __future__ import annotations\n", ""), "nearest_mean.py", "exec"), names)
    rival = names["NEAREST_MEAN"]
    monkeypatch.setitem(RIVALS, rival.name, rival)
    commands = re.search(r"```sh\n(.*?)```", page.partition("## The row")[2], flags=re.DOTALL)[1]
    assert rival.name in commands
    place = tmp_path / "model"
    short = ["--training", json.dumps(TINY)]
    assert cli.main(["train", "--system", rival.name, "--output", str(place), *short]) == 0
    checkpoint = str(place / "model")
    assert cli.main(["evaluate", "--checkpoint", checkpoint, "--output", str(tmp_path / "test")]) == 0
    assert rival.name in (tmp_path / "test" / "results.md").read_text()
    output = tmp_path / "benchmark"
    arguments = ["--systems", f"[rules,{rival.name}]", "--quick", "--output", str(output)]
    assert cli.main(["benchmark", *arguments]) == 0
    assert rival.name in (output / "report.md").read_text()
    assert rival.name in pd.read_csv(output / "results.csv")["system"].tolist()
