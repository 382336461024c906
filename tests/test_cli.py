import ast
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

import vreloc_pyg
from vreloc_pyg import cli
from vreloc_pyg.commands.listing import learned_systems, settings_of, system_settings, task_names
from vreloc_pyg.errors import VrelocError

#: Shows every help, and says which commands needed heavy modules for theirs.
LIGHT = """
import sys
from vreloc_pyg import cli
for arguments in (["--version"], ["--help"], *([name, "--help"] for name in cli.COMMANDS)):
    assert cli.main(arguments) == 0
    if {"torch", "pandas", "numpy"} & set(sys.modules):
        sys.exit(f"{arguments} imports too much")
"""

#: Runs a command whose output nobody reads.
CLOSED = """
import os, sys
from vreloc_pyg import cli
unread, written = os.pipe()
os.close(unread)
os.dup2(written, 1)
sys.exit(cli.main(sys.argv[1:]))
"""


def program(*arguments, code=None, **options):
    start = ["-m", "vreloc_pyg"] if code is None else ["-c", code]
    command = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, **options)


def text_of(capsys, *arguments):
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """The one line that is said of arguments that cannot be used."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


# Help


def test_help_names_every_command(capsys):
    assert list(cli.COMMANDS) == [
        *("demo", "train", "evaluate", "locate", "serve", "export", "import-annotations"),
        *("index", "search", "cut", "features", "merge", "pca", "weights"),
        *("validate", "split", "train-actionness", "proposals", "benchmark", "results", "ablate"),
        *("audit", "phenomenon", "systems", "plot-graph"),
    ]
    text = text_of(capsys, "--help")
    for name in cli.COMMANDS:
        assert re.search(rf"^  {name} +\S", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_shows_every_argument_its_default_and_an_example(name, capsys):
    text = text_of(capsys, name, "--help")
    assert max(map(len, text.splitlines())) <= 100
    own = text.split("Settings of")[0].replace("{fold}", "")
    assert not re.search(r":\w+:`|``|Union\[|typing\.|Optional|\{\w+\}|<class|None", own)
    flat = " ".join(text.split())
    parser = cli.make_parser(name)
    for option in parser.options.values():
        assert option.spelled in text
        assert len(option.text.split()) >= 2, option.name
        assert option.positional or "_" not in option.spelled
        if isinstance(option.default, (int, str)) and not isinstance(option.default, bool):
            assert f"default {option.default})" in flat
    example = re.search(r"Example:\n  vreloc (.*)\n", text)[1].split()
    assert example[0] == name
    assert parser.read(example[1:])
    assert text_of(capsys, name.replace("-", "_"), "-h") == text


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["train"], ["hidden_channels", "learning_rate", "regression_learning_rate", "feature_groups"]),
        (["train", "--system", "cgbm"], ["num_factors int = 8; k, products", "crop float = 0.9"]),
        (["train", "--system=sst"], ["Settings of --training"]),
        (["train-actionness"], ["Settings of --network", "Settings of --grouping", "Settings of --training"]),
        (["locate"], ["usage: vreloc locate QUERY REFERENCE [options]", "in seconds or as a clock time"]),
        (["features"], ["network of the features, one of i3d, c3d"]),
        (["benchmark"], ["penn_action", "with {fold} in the place"]),
        (["systems"], ["usage: vreloc systems [NAME]"]),
    ],
)  # fmt: skip
def test_help_lists_settings_and_names(arguments, shown, capsys):
    text = " ".join(text_of(capsys, *arguments, "--help").split())
    for words in shown:
        assert words in text


@pytest.mark.parametrize("name", learned_systems())
def test_what_is_read_from_the_source_is_what_a_system_is_made_with(name):
    from dataclasses import fields

    from vreloc_pyg.systems.catalog import find_learned

    spec = find_learned(name)
    own = {**vars(spec.settings()), **spec.chosen}
    for text, values in zip(system_settings(name), (own, vars(spec.training)), strict=True):
        shown = dict(re.findall(r"^  (\w+)\s+(?:[^=;]+ = )([^;]*)(?:;|$)", text, flags=re.MULTILINE))
        assert list(shown) == list(values)
        for setting, value in values.items():
            assert ast.literal_eval(shown[setting]) == value, setting
    for kind in (spec.settings, type(spec.training)):
        found = settings_of(kind.__module__.removeprefix("vreloc_pyg."), kind.__name__)
        assert list(found) == [field.name for field in fields(kind)]
        assert all(text for _, _, text in found.values())


def test_every_name_of_a_table_is_listed():
    from vreloc_pyg.datasets import TASKS
    from vreloc_pyg.systems.catalog import every_system

    assert sorted(task_names()) == sorted(TASKS)
    assert learned_systems() == [one.name for one in every_system() if hasattr(one, "network")]


def test_systems_are_listed_with_their_settings(capsys):
    assert re.search(r"^  cgbm +rival; .*Feng et al", text_of(capsys, "systems"), flags=re.MULTILINE)
    assert re.search(r"weight +binary, .* = 'binary'", text_of(capsys, "systems", "mgffnet-binary"))
    assert "num_factors" in text_of(capsys, "systems", "cgbm")
    assert "known are video-level" in refused(capsys, "systems", "cgmb")


def test_no_help_needs_torch_or_pandas():
    done = program(code=LIGHT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"vreloc {vreloc_pyg.__version__}\n")


# Arguments


def test_options_are_spelled_with_dashes_or_underscores():
    line = "--output=x --num-workers 3 --model.hidden-channels=8 --model.num_layers 1 --resume"
    values = cli.make_parser("train").read(line.split())
    assert values == cli.make_parser("train").read(line.replace("-", "_").replace("__", "--").split())
    assert (values["num_workers"], values["resume"]) == (3, True)
    assert values["model"] == {"hidden_channels": 8, "num_layers": 1}
    values = cli.make_parser("benchmark").read(
        ["--output=x", "--training.aft-srm={epochs: 1}", "--max_pairs=2"]
    )
    assert (values["training"], values["max_pairs"]) == ({"aft-srm": {"epochs": 1}}, 2)
    assert cli.make_parser("ablate").read(["--output=x", "--sources.my-own=y"])["sources"] == {"my-own": "y"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "vreloc: Name a command; `vreloc --help` lists the commands"),
        (["fly"], "vreloc: Unknown command 'fly'; `vreloc --help` lists the commands"),
        (["trian"], "vreloc: Unknown command 'trian'; did you mean train?"),
        (["train"], "vreloc train: --output is missing; `vreloc train --help` lists the arguments"),
        (["train", "--output", "x", "--fold", "first"], "Expected --fold as whole number (got 'first')"),
        (["train", "--output=x", "--num-worker=3"], "Unknown argument '--num-worker'; did you mean --num-w"),
        (["train", "--outptu", "x"], "did you mean --output?"),
        (["train", "--output"], "--output: expected one argument"),
        (["train", "--output=x", "stray"], "Unknown argument 'stray'"),
        (["train", "--config", "missing.yaml"], "missing.yaml"),
        (["train", "--help", "--system", "cgmb"], "Unknown system 'cgmb'; known are video-level"),
        (["evaluate", "--checkpoint", "x", "--output", "y", "--split", "testing"], "did you mean test?"),
        (["locate", "a.mp4"], "vreloc locate: REFERENCE is missing"),
        (["locate", "a", "b", "--top", "many"], "Expected --top as whole number (got 'many')"),
        (["locate", "a", "b", "--seconds_per_step", "x"], "Expected --seconds-per-step as number (got 'x')"),
        (["ablate", "--output=x", "--training=3"], "Expected --training as settings (got '3')"),
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_read(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


# Settings beside the output


def test_settings_beside_a_file_reproduce_it(tmp_path, capsys):
    text_of(capsys, "plot-graph", "--steps=5", "--scale", 2, "--output", tmp_path / "deep" / "a.png")
    written = tmp_path / "deep" / "a.settings.yaml"
    settings = {"steps": 5, "proposal_steps": None, "scale": 2, "node": None}
    assert yaml.safe_load(written.read_text()) == {"output": str(tmp_path / "deep" / "a.png"), **settings}
    other = tmp_path / "b.png"
    text_of(capsys, "plot-graph", "--output", other, "--config", written)  # arguments go before the file
    assert other.read_bytes() == (tmp_path / "deep" / "a.png").read_bytes()


def test_settings_of_a_file_without_a_suffix_lie_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "vreloc_pyg.video.shards.merge_shards", lambda output: tmp_path.joinpath("all").touch()
    )
    assert cli.main(["merge", "--output", str(tmp_path / "all")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"all", "all.settings.yaml"}


def test_positional_arguments_may_be_in_a_file_and_unknown_ones_not(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("query: a.mp4\nreference: b.mp4\nstart: 1:05.5\n")
    read = cli.make_parser("locate").read
    values = read(["--config", str(tmp_path / "c.yaml"), "--top", "2"])
    assert (values["query"], values["reference"], values["top"]) == ("a.mp4", "b.mp4", 2)
    values = read(["c.mp4", "--config", str(tmp_path / "c.yaml")])
    assert (values["query"], values["reference"]) == ("c.mp4", "b.mp4")
    (tmp_path / "c.yaml").write_text(f"output: {tmp_path}/out\nnum_worker: 3\n")
    message = refused(capsys, "train", "--config", tmp_path / "c.yaml")
    assert message == "vreloc train: Unknown argument 'num_worker'; did you mean --num-workers?"


@pytest.mark.parametrize(("error", "code", "message"), [
    (VrelocError("first\n  second"), 2, "vreloc merge: first\n  second\n"),
    (KeyboardInterrupt(), 130, "\nvreloc merge: interrupted\n"),
    (FileNotFoundError(2, "No such file", "x"), 2, "vreloc merge: No such file: x\n"),
])  # fmt: skip
@pytest.mark.parametrize("began", [False, True])
def test_what_failed_before_it_began_leaves_nothing(
    tmp_path, monkeypatch, capsys, error, code, message, began
):
    output = tmp_path / "deep" / "run"

    def fail(_):
        output.mkdir(parents=True)
        if began:
            (output / "some").touch()
        raise error

    monkeypatch.setattr("vreloc_pyg.video.shards.merge_shards", fail)
    assert cli.main(["merge", "--output", str(output)]) == code
    assert capsys.readouterr().err == message
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == ({"some", "merge.yaml"} if began else set())
    assert (tmp_path / "deep").exists() == began


# As a program


def test_a_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m vreloc_pyg train --help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    assert done.stdout == "usage: vreloc train [options]\n"
    done = program("systems", code=CLOSED)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupt_ends_with_one_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        *f"vreloc_pyg train --output={tmp_path / 'x'} --training.epochs=99".split(),
    ]
    # A process that was started in the background ignores interrupts, and so would its children.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ignored)
    until = time.monotonic() + 100
    while not (tmp_path / "x").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=100)
    assert running.returncode == 130
    assert errors.strip().splitlines()[-1] == "vreloc train: interrupted"
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'data: "caf\xe9"\n', "it is not in UTF-8, at byte 10"),
        (b"data: synthetic\nseed: " + b"9" * 5000 + b"\n", "line 2: a number of 5000 digits"),
        (
            b"data: &a [x, x]\nfolds: [*a, *a]\n",
            "line 2: settings are written out, without aliases such as *a",
        ),
        (b"[" * 5000, "nesting depth"),
    ],
)
def test_a_settings_file_that_would_take_for_ever_is_refused(tmp_path, capsys, content, problem):
    (tmp_path / "settings.yaml").write_bytes(content)
    words = "train", "--config", tmp_path / "settings.yaml", "--output", tmp_path / "out"
    assert problem in refused(capsys, *words)
    assert not (tmp_path / "out").exists()
