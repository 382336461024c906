import json

import pandas as pd
import pytest
import yaml

from tests.commands.conftest import TINY, make_small
from vreloc_pyg import cli
from vreloc_pyg.datasets import TASKS
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.listed import load_proposals


def run(command, *arguments):
    assert cli.main([command, *map(str, arguments)]) == 0


def test_train_says_where_everything_is(trained, capsys, tmp_path):
    files = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert {"train.yaml", "metrics.csv", "model/config.json", "model/model.safetensors"} <= files
    assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= files
    config = json.loads((trained / "model" / "config.json").read_text())
    assert config["settings"]["hidden_channels"] == 8
    assert pd.read_csv(trained / "metrics.csv")["step"].max() == 1  # two steps
    run("train", "--output", tmp_path, *TINY, "--seed", 1)
    last = capsys.readouterr().out.splitlines()[-1]
    assert str(tmp_path / "model") in last
    assert str(tmp_path / "metrics.csv") in last
    assert (tmp_path / "metrics.csv").read_bytes() != (trained / "metrics.csv").read_bytes()


def test_numbers_may_be_written_in_any_form(tmp_path):
    """1e-3 is a number, and lists and null are understood; pair graphs are settings of the model too."""
    arguments = ["--model.scales=[1,2]", "--training.learning_rate=1e-3", "--model.num-steps=8"]
    run("train", "--output", tmp_path, *TINY, "--training.ema_decay=null", *arguments)
    settings = yaml.safe_load((tmp_path / "train.yaml").read_text())
    assert settings["training"]["learning_rate"] == 1e-3
    assert settings["training"]["ema_decay"] is None
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["settings"]["scales"] == [1, 2]
    assert config["settings"]["num_steps"] == 8


def test_the_written_settings_reproduce_the_run(trained, tmp_path):
    settings = yaml.safe_load((trained / "train.yaml").read_text())
    assert settings["output"] == str(trained)
    assert settings["training"] == {"epochs": 1, "steps_per_epoch": 2, "batch_size": 3}
    again, other = tmp_path / "again", tmp_path / "other"
    run("train", "--config", trained / "train.yaml", "--output", again)
    for name in ("model/config.json", "model/model.safetensors", "metrics.csv"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()
    assert yaml.safe_load((again / "train.yaml").read_text()) == {**settings, "output": str(again)}
    run("train", "--output", other, "--training.seed=3", f"--config={trained / 'train.yaml'}")  # in any order
    settings = yaml.safe_load((other / "train.yaml").read_text())
    assert settings["training"] == {"epochs": 1, "steps_per_epoch": 2, "batch_size": 3, "seed": 3}
    assert (other / "metrics.csv").read_bytes() != (trained / "metrics.csv").read_bytes()


def test_resuming_goes_on(tmp_path):
    arguments = ["--system", "mgffnet-paper", "--output", tmp_path, *TINY]
    run("train", *arguments)
    run("train", *arguments, "--training.epochs", 2, "--resume")
    assert pd.read_csv(tmp_path / "metrics.csv")["epoch"].unique().tolist() == [0, 1]
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["row"] == "MGFFNet (paper)"


def test_the_papers_preset_learns_from_and_answers_with_given_proposals(tmp_path, monkeypatch):
    """TAG where a classifier is given: for triplets, for validation, and in the saved model."""
    classifier, asked = tmp_path / "actionness", []
    few = ("--training.epochs=1", "--training.steps-per-epoch=2", "--training.batch-size=3")
    run("train-actionness", "--output", classifier, "--network.hidden-channels=4", *few)
    propose = ActionnessProposals.propose

    def recorded(source, video):
        asked.append(video.video_id)
        return propose(source, video)

    monkeypatch.setattr(ActionnessProposals, "propose", recorded)
    output = tmp_path / "run"
    run("train", "--system", "mgffnet-paper", "--proposals", classifier, "--output", output, *TINY)
    assert sum(name.startswith("train-") for name in asked) == 2 * 2 * 3  # two a triplet
    assert any(name.startswith("validation-") for name in asked)
    saved = Localizer.from_pretrained(output / "model").proposals
    assert saved.fingerprint() == load_proposals(classifier).fingerprint()


def test_evaluate_writes_and_prints_the_table(trained, tmp_path, capsys):
    arguments = ["--checkpoint", trained / "model", "--output", tmp_path]
    run("evaluate", *arguments, "--metrics", "[R@1(0.3),R@1(0.5)]")
    names = {path.name for path in tmp_path.iterdir()}
    tables = {f"{name}.{kind}" for name in ("results", "differences") for kind in ("md", "csv")}
    assert names == tables | {"per_query.csv", "evaluate.yaml"}
    printed = capsys.readouterr().out
    assert (tmp_path / "results.md").read_text() in printed
    assert f"Tables are in {tmp_path}" in printed
    table = pd.read_csv(tmp_path / "results.csv")
    assert "MGFFNet (recommended)" in table["system"].tolist()
    assert {"R@1(0.3)", "R@1(0.5)"} <= set(table)
    assert "R@1(0.9)" not in table
    run("evaluate", *arguments, "--split", "validation")
    frame = pd.read_csv(tmp_path / "per_query.csv")
    assert frame["query_id"].str.startswith("validation").all()


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    output = tmp_path / "demo"
    run("demo", "--output", output, "--epochs", 1, "--pictures", 1)
    printed = capsys.readouterr().out
    assert "| MGFFNet (recommended) |" in printed
    assert f"begin with {output}/timelines/00.png" in printed
    for name in ("timelines/00.png", "curves.png", "recall.png", "results.md", "model/model.safetensors"):
        assert (output / name).stat().st_size > 0
    settings = {"output": str(output), "epochs": 1, "pictures": 1, "seed": 0}
    assert yaml.safe_load((output / "demo.yaml").read_text()) == settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.depth=3"], "Unknown setting 'depth' of RankerSettings; known are in_channels, "),
        (["--training.depth=3"], "Unknown setting 'depth' of RankerTraining; known are learning_rate, "),
        (["--training.epochs=0"], "Expected epochs as int in [1, inf) (got 0)"),
        (["--model.weight=gaussian"], "Expected weight as one of binary, "),
        (["--model.num-steps=0"], "Expected num_steps as int in [1, 10000] or none (got 0)"),
        (["--system=mgfnet"], "Unknown system 'mgfnet'; known are chance, "),
        (["--data=kinetics"], "Unknown data set 'kinetics'; known are synthetic, "),
        (["--fold=5"], "has folds 0 to 0 (got 5)"),
        (["--fold=-1"], "has folds 0 to 0 (got -1)"),
        (["--data=penn_action"], "is read from files: give its folder as root"),
        (["--data=utkinect", "--root=nowhere", "--fold=7"], "has folds 0 to 4 (got 7)"),
        (["--data=penn_action", "--root=nowhere"], "nowhere"),
        (["--data=utkinect", "--root=nowhere"], "nowhere"),
        (["--resume=true"], "Nothing to resume: "),
        (["--seed=-1"], "Expected seed >= 0 (got -1)"),
    ],
)
def test_bad_settings_of_a_run_leave_nothing(tmp_path, fails, arguments, message):
    assert message in fails("train", "--output", tmp_path / "deep" / "run", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_checkpoint_to_resume(trained, tmp_path, fails):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes((trained / "checkpoints" / "last.ckpt").read_bytes()[:1000])
    message = fails("train", "--output", tmp_path, *TINY, "--resume=true")
    assert message == f"Cannot resume from {last}: it is truncated or no checkpoint"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_a_model_for_other_features_or_none(trained, tmp_path, fails, monkeypatch):
    arguments = ["evaluate", "--output", tmp_path / "x", "--checkpoint"]
    message = fails(*arguments, tmp_path / "nowhere")
    assert message.startswith(f"Cannot read the model settings {tmp_path / 'nowhere'}/config.json: ")
    make_small(monkeypatch, num_features=6)
    message = fails(*arguments, trained / "model")
    assert message == "Expected features of query 'test-query-0000' with F = 8 (got F = 6)"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "evaluate", "demo"])
def test_an_output_that_cannot_be_written(trained, tmp_path, fails, command):
    """A file stands where a folder is needed; permissions would not stop root."""
    (tmp_path / "file").write_text("in the way")
    arguments = {
        "train": TINY,
        "evaluate": ["--checkpoint", trained / "model"],
        "demo": ["--epochs=1"],
    }[command]
    message = fails(command, "--output", tmp_path / "file" / "out", *arguments)
    assert message.startswith(("Not a directory: ", "File exists: "))
    assert str(tmp_path / "file") in message
    assert (tmp_path / "file").read_text() == "in the way"


def test_errors_of_the_program_itself_are_not_hidden(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(type(TASKS["synthetic"]), "names", property(broken))
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", "--output", str(tmp_path)])
