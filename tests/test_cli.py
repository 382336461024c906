import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import vreloc_pyg
from vreloc_pyg import cli
from vreloc_pyg.datasets import Synthetic, benchmark
from vreloc_pyg.errors import VrelocError
from vreloc_pyg.localization import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows

TINY = [
    "--model.hidden_channels=8",
    "--training.epochs=1",
    "--training.steps_per_epoch=2",
    "--training.batch_size=3",
]


def make_small(monkeypatch):
    def small(seed):
        return Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=8, seed=seed)

    windows = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
    monkeypatch.setattr(benchmark, "Synthetic", small)
    monkeypatch.setitem(benchmark.WINDOWS, "synthetic", windows)


@pytest.fixture(autouse=True)
def small_benchmark(monkeypatch):
    """The synthetic benchmark is made small."""
    make_small(monkeypatch)
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a trained model."""
    with pytest.MonkeyPatch.context() as patched:
        make_small(patched)
        folder = tmp_path_factory.mktemp("trained") / "run"
        assert cli.main(["train", "--output", str(folder), *TINY]) == 0
    return folder


def fails(capsys, *arguments):
    """The message of a command that ends with exit code 2."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    (line,) = printed.err.splitlines()
    assert line.startswith(f"vreloc {arguments[0]}: ")
    return line.removeprefix(f"vreloc {arguments[0]}: ")


def refused(capsys, *arguments):
    """What the parser says of arguments that it cannot read."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


# Help


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert list(cli.COMMANDS) == [
        *("demo", "train", "evaluate", "locate", "serve", "features", "merge", "weights", "localize"),
        *("validate", "split", "pca", "train-actionness", "proposals", "benchmark", "ablate", "plot-graph"),
    ]
    for name in cli.COMMANDS:
        assert re.search(rf"^    {name} +\S", text, flags=re.MULTILINE)


DEFAULTS = {
    "locate": {"checkpoint": None, "start": 0.0, "end": None, "top": 5, "html": None, "extractor": None},
    "serve": {"host": "127.0.0.1", "port": 7860, "videos": None, "max_upload_mb": 500, "cache": None},
    "features": {"extractor": "i3d", "weights": None, "shard": None},
    "merge": {},
    "weights": {},
    "demo": {"output": "outputs/demo", "epochs": 6, "pictures": 6, "seed": 0},
    "train": {
        "data": "synthetic",
        "fold": 0,
        "system": "mgffnet",
        "preset": None,
        "resume": False,
        "num_workers": 0,
    },
    "evaluate": {"split": "test", "thresholds": None, "seed": 0},
    "localize": {"top_n": 5, "output": None},
    "benchmark": {"dataset": "synthetic", "systems": "all", "folds": "all", "quick": False, "seed": 0},
    "ablate": {"dataset": "synthetic", "changes": "graph", "folds": "all", "max_pairs": None, "seed": 0},
    "validate": {"features": None},
    "split": {"seed": 0},
    "pca": {"components": 500, "basis": None},
    "train-actionness": {"data": "synthetic", "seed": 0},
    "proposals": {"split": "all", "candidates": "all"},
    "plot-graph": {"steps": 8, "proposal_steps": None, "scale": 3, "node": None},
}


POSITIONAL = {("features", "videos"), ("weights", "action"), ("weights", "path")}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_shows_what_every_argument_means_and_its_default(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    command = cli.COMMANDS[name]
    for argument in command.__annotations__:
        if argument not in ("return", "benchmark", "seed"):
            assert f"--{argument}" in text or (name, argument) in POSITIONAL
            documented = re.search(rf"^        {argument}: (.*)$", command.__doc__, flags=re.MULTILINE)
            assert " ".join(documented[1].split()[:5]) in text, argument
    for argument, default in DEFAULTS[name].items():
        shown = "null" if default is None else default
        assert re.search(rf"--{argument} [^-]*.*?default: {shown}\)", text), argument


def test_units_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        cli.main(["localize", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "duration of one feature step in seconds" in text
    assert "[num_steps, F]" in text


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert vreloc_pyg.__version__ in capsys.readouterr().out


# What the commands do


def test_train_says_where_everything_is(trained, capsys, tmp_path):
    files = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert {"train.yaml", "metrics.csv", "model/config.json", "model/model.safetensors"} <= files
    assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= files
    assert cli.main(["train", "--output", str(tmp_path), *TINY]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert str(tmp_path / "model") in last
    assert str(tmp_path / "metrics.csv") in last


def test_settings_reach_the_run(trained):
    config = json.loads((trained / "model" / "config.json").read_text())
    assert config["model"]["hidden_channels"] == 8
    assert config["localizer"]["name"] == "MGFFNet (recommended)"
    assert pd.read_csv(trained / "metrics.csv")["step"].max() == 1  # two steps


def test_numbers_may_be_written_in_any_form(tmp_path):
    """1e-3 is a number, and lists and null are understood."""
    arguments = ["--model.scales=[1,2]", "--training.learning_rate=1e-3", "--pairing.num_steps=8"]
    assert cli.main(["train", "--output", str(tmp_path), *TINY, "--training.ema_decay=null", *arguments]) == 0
    settings = yaml.safe_load((tmp_path / "train.yaml").read_text())
    assert settings["training"]["learning_rate"] == 1e-3
    assert settings["training"]["ema_decay"] is None
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["model"]["scales"] == [1, 2]
    assert config["pairing"]["num_steps"] == 8


def test_the_paper_preset(tmp_path):
    assert cli.main(["train", "--output", str(tmp_path), "--preset", "paper", "--edges", "true", *TINY]) == 0
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    expected = {"refine": True, "search": 0, "nms_threshold": 0.5, "name": "MGFFNet (paper)"}
    assert config["localizer"] == expected


def test_the_written_settings_reproduce_the_run(trained, tmp_path):
    settings = yaml.safe_load((trained / "train.yaml").read_text())
    assert settings["output"] == str(trained)
    assert settings["training"] == {"epochs": 1, "steps_per_epoch": 2, "batch_size": 3}
    again = tmp_path / "again"
    assert cli.main(["train", "--config", str(trained / "train.yaml"), "--output", str(again)]) == 0
    for name in ("model/config.json", "model/model.safetensors", "metrics.csv"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()
    assert yaml.safe_load((again / "train.yaml").read_text()) == {**settings, "output": str(again)}


def test_arguments_override_the_config(trained, tmp_path):
    again = tmp_path / "again"
    arguments = ["--config", str(trained / "train.yaml"), "--output", str(again), "--training.seed", "3"]
    assert cli.main(["train", *arguments]) == 0
    settings = yaml.safe_load((again / "train.yaml").read_text())
    assert settings["training"] == {"epochs": 1, "steps_per_epoch": 2, "batch_size": 3, "seed": 3}
    assert (again / "metrics.csv").read_bytes() != (trained / "metrics.csv").read_bytes()


def test_the_seed_decides_the_run(trained, tmp_path):
    assert cli.main(["train", "--output", str(tmp_path), *TINY, "--seed", "1"]) == 0
    assert (tmp_path / "metrics.csv").read_bytes() != (trained / "metrics.csv").read_bytes()


def test_resuming_goes_on(tmp_path, capsys):
    arguments = ["train", "--output", str(tmp_path), "--preset", "paper", *TINY]
    assert cli.main(arguments) == 0
    assert cli.main([*arguments, "--training.epochs", "2", "--resume", "true"]) == 0
    assert pd.read_csv(tmp_path / "metrics.csv")["epoch"].unique().tolist() == [0, 1]


def test_evaluate_writes_and_prints_the_table(trained, tmp_path, capsys):
    arguments = ["--checkpoint", str(trained / "model"), "--output", str(tmp_path)]
    assert cli.main(["evaluate", *arguments, "--thresholds", "[0.3,0.5]"]) == 0
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


def test_evaluate_answers_the_split_asked_for(trained, tmp_path):
    arguments = ["--checkpoint", str(trained / "model"), "--output", str(tmp_path)]
    assert cli.main(["evaluate", *arguments, "--split", "validation"]) == 0
    frame = pd.read_csv(tmp_path / "per_query.csv")
    assert frame["query_id"].str.startswith("validation").all()
    assert "R@1(0.95)" in frame


@pytest.fixture
def clips(tmp_path):
    """A query and a reference of the test split as files."""
    query, reference = cli.load_benchmark("synthetic").splits["test"][0]
    np.save(tmp_path / "query.npy", query.features.numpy())
    np.save(tmp_path / "reference.npy", reference.features.numpy())
    files = "--query", tmp_path / "query.npy", "--reference", tmp_path / "reference.npy"
    return [*map(str, files), "--seconds_per_step", "0.5"]


def test_localize_prints_and_writes_the_answers(trained, clips, tmp_path, capsys):
    output = tmp_path / "answers" / "a.json"
    arguments = ["--checkpoint", str(trained / "model"), *clips, "--top_n", "3", "--output", str(output)]
    assert cli.main(["localize", *arguments]) == 0
    query, reference = cli.load_benchmark("synthetic").splits["test"][0]
    expected = Localizer.from_pretrained(trained / "model").localize(query, reference, 3)
    answer = json.loads(output.read_text())
    assert [[one["start_s"], one["end_s"]] for one in answer["segments"]] == expected.bounds.tolist()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["rank", "start", "end", "score"]
    for line, segment in zip(lines[1:-1], answer["segments"], strict=True):
        rank, start, end, score = line.split()
        hours, minutes, seconds = start.split(":")
        assert int(rank) == segment["rank"]
        assert 3600 * int(hours) + 60 * int(minutes) + float(seconds) == pytest.approx(segment["start_s"])
        assert end > start
        assert float(score) == pytest.approx(segment["score"], abs=1e-3)
    assert lines[-1] == f"Written to {output}"
    assert (tmp_path / "answers" / "a.settings.yaml").exists()


def test_localize_writes_nothing_unasked(trained, clips, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    assert cli.main(["localize", "--checkpoint", str(trained / "model"), *clips]) == 0
    assert sorted(tmp_path.iterdir()) == before
    assert 1 < len(capsys.readouterr().out.splitlines()) <= 6


def test_the_settings_beside_an_answer_reproduce_it(trained, clips, tmp_path):
    output = tmp_path / "a.json"
    assert (
        cli.main(["localize", "--checkpoint", str(trained / "model"), *clips, "--output", str(output)]) == 0
    )
    first = output.read_text()
    output.unlink()
    assert cli.main(["localize", "--config", str(tmp_path / "a.settings.yaml")]) == 0
    assert output.read_text() == first


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    output = tmp_path / "demo"
    assert cli.main(["demo", "--output", str(output), "--epochs", "1", "--pictures", "1"]) == 0
    printed = capsys.readouterr().out
    assert "| MGFFNet (recommended) |" in printed
    assert f"begin with {output}/timelines/00.png" in printed
    for name in ("timelines/00.png", "curves.png", "recall.png", "results.md", "model/model.safetensors"):
        assert (output / name).stat().st_size > 0
    assert yaml.safe_load((output / "demo.yaml").read_text()) == {
        "output": str(output),
        "epochs": 1,
        "pictures": 1,
        "seed": 0,
    }


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.depth=3"], "Unknown setting 'depth' of MGFFSettings; known are in_channels, "),
        (["--pairing.depth=3"], "Unknown setting 'depth' of Pairing; known are num_steps, "),
        (["--training.depth=3"], "Unknown setting 'depth' of TrainingSettings; known are learning_rate, "),
        (["--training.epochs=0"], "Expected a positive epochs (got 0)"),
        (["--training.epochs=many"], "Expected epochs of TrainingSettings as int (got 'many')"),
        (["--training.epochs=1.5"], "Expected epochs of TrainingSettings as int (got 1.5)"),
        (["--model.weight=gaussian"], "Expected weight to be one of"),
        (["--model.scales=3"], "Expected scales of MGFFSettings as tuple"),
        (["--pairing.num_steps=0"], "Expected num_steps >= 1 (got 0)"),
        (["--fold=5"], "Benchmark 'synthetic' has folds 0 to 0 (got 5)"),
        (["--fold=-1"], "Benchmark 'synthetic' has folds 0 to 0 (got -1)"),
        (["--data=penn_action"], "Benchmark 'penn_action' is read from files: give its folder as root"),
        (["--data=utkinect", "--root=nowhere", "--fold=7"], "Benchmark 'utkinect' has folds 0 to 4 (got 7)"),
        (["--data=penn_action", "--root=nowhere"], "nowhere"),
        (["--data=utkinect", "--root=nowhere"], "nowhere"),
        (["--resume=true"], "Nothing to resume: "),
        (["--seed=-1"], "Expected seed >= 0 (got -1)"),
        (["--training.seed=-1"], "Expected seed >= 0 (got -1)"),
    ],
)
def test_bad_settings_of_a_run(tmp_path, capsys, arguments, message):
    assert message in fails(capsys, "train", "--output", tmp_path, *arguments)


def test_a_truncated_checkpoint_to_resume(trained, tmp_path, capsys):
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes((trained / "checkpoints" / "last.ckpt").read_bytes()[:1000])
    message = fails(capsys, "train", "--output", tmp_path, *TINY, "--resume=true")
    assert message == f"Cannot resume from {last}: it is truncated or no checkpoint"


def test_a_missing_model(tmp_path, clips, capsys):
    missing = tmp_path / "nowhere"
    for arguments in (["evaluate", "--output", tmp_path / "out"], ["localize", *clips]):
        message = fails(capsys, *arguments, "--checkpoint", missing)
        assert message.startswith(f"Cannot read the model settings {missing}/config.json: ")


def test_a_damaged_model(trained, tmp_path, clips, capsys):
    (tmp_path / "config.json").write_bytes((trained / "model" / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    message = fails(capsys, "localize", *clips, "--checkpoint", tmp_path)
    assert message.startswith(f"Cannot read the model weights {tmp_path}/model.safetensors: ")


@pytest.mark.parametrize("which", ["query", "reference"])
def test_missing_and_unfit_features(trained, tmp_path, clips, capsys, which):
    arguments = ["localize", "--checkpoint", trained / "model", *clips]
    path = tmp_path / f"{which}.npy"
    np.save(path, np.ones((12, 5), dtype=np.float32))
    assert fails(capsys, *arguments) == f"Expected features of {which} '{which}' with F = 8 (got F = 5)"
    np.save(path, np.full((12, 8), np.nan, dtype=np.float32))
    assert "NaN" in fails(capsys, *arguments)
    np.save(path, np.ones(12))
    assert fails(capsys, *arguments) == f"Expected a matrix [num_steps, F] of numbers in {path}"
    path.unlink()
    assert fails(capsys, *arguments).startswith(f"Cannot read the features {path}: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top_n=0"], "Expected top_n >= 1 (got 0)"),
        (["--seconds_per_step=0"], "Expected positive seconds_per_step of 'query' (got 0.0)"),
        (["--seconds_per_step=-.5"], "Expected positive seconds_per_step of 'query' (got -0.5)"),
    ],
)
def test_bad_settings_of_an_answer(trained, clips, capsys, arguments, message):
    assert fails(capsys, "localize", "--checkpoint", trained / "model", *clips, *arguments) == message


def test_bad_settings_of_an_evaluation(trained, tmp_path, capsys):
    arguments = ["evaluate", "--checkpoint", trained / "model", "--output", tmp_path]
    assert "got 1" in fails(capsys, *arguments, "--fold=1")
    assert "root" in fails(capsys, *arguments, "--data=utkinect")


def test_a_model_for_other_features(trained, tmp_path, capsys, monkeypatch):
    task = Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=6)
    monkeypatch.setattr(benchmark, "Synthetic", lambda seed: task)
    assert cli.main(["evaluate", "--checkpoint", str(trained / "model"), "--output", str(tmp_path)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vreloc")]
    assert lines == ["vreloc evaluate: Expected features of query 'test-query-0000' with F = 8 (got F = 6)"]


@pytest.mark.parametrize("command", ["train", "evaluate", "localize", "demo"])
def test_an_output_that_cannot_be_written(trained, tmp_path, clips, capsys, command):
    """A file stands where a folder is needed; permissions would not stop root."""
    (tmp_path / "file").write_text("in the way")
    arguments = {
        "train": TINY,
        "evaluate": ["--checkpoint", trained / "model"],
        "localize": ["--checkpoint", trained / "model", *clips],
        "demo": ["--epochs=1"],
    }[command]
    output = tmp_path / "file" / ("a.json" if command == "localize" else "out")
    message = fails(capsys, command, "--output", output, *arguments)
    assert message.startswith(("Not a directory: ", "File exists: "))
    assert str(tmp_path / "file") in message
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["train"],
        ["train", "--output", "x", "--fold", "first"],
        ["train", "--output", "x", "--data", "kinetics"],
        ["train", "--output", "x", "--preset", "small"],
        ["train", "--output", "x", "--depth", "3"],
        ["evaluate", "--checkpoint", "x", "--output", "y", "--split", "train"],
        ["localize", "--checkpoint", "x", "--query", "q", "--reference", "r"],
        ["localize", "--checkpoint", "x", "--query", "q", "--reference", "r", "--seconds_per_step", "fast"],
        ["train", "--config", "missing.yaml"],
    ],
)
def test_arguments_that_cannot_be_read(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, *arguments)
    assert "error: " in message
    assert list(tmp_path.iterdir()) == []


def test_unknown_keys_in_a_config(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(f"output: {tmp_path}/out\ndepth: 3\n")
    assert "depth" in refused(capsys, "train", "--config", tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text(f"output: {tmp_path}/out\ntraining:\n  depth: 3\n")
    assert "Unknown setting 'depth'" in fails(capsys, "train", "--config", tmp_path / "c.yaml")


def test_errors_of_the_program_itself_are_not_hidden(tmp_path, monkeypatch):
    def broken(seed):
        raise ZeroDivisionError

    monkeypatch.setattr(benchmark, "Synthetic", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", "--output", str(tmp_path)])


def test_messages_of_several_lines_stay_whole(tmp_path, monkeypatch, capsys):
    def unreadable(*_, **__):
        raise VrelocError("first")

    monkeypatch.setattr(cli, "load_benchmark", unreadable)
    assert fails(capsys, "demo", "--output", tmp_path) == "first"


# As a program


def program(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "vreloc_pyg.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        **options,
    )


def test_the_program_localizes(trained, clips, tmp_path):
    arguments = ["localize", "--checkpoint", trained / "model", *clips, "--output", tmp_path / "a.json"]
    finished = program(*arguments, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert finished.stdout.startswith("rank ")
    assert json.loads((tmp_path / "a.json").read_text())["segments"]


def test_the_program_ends_with_one_line_and_code_2(tmp_path):
    finished = program("evaluate", "--checkpoint", "nowhere", "--output", "out", cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    assert line.startswith("vreloc evaluate: Cannot read the model settings nowhere/config.json: ")
