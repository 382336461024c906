"""Commands on data sets of one's own: several at once, and a model put on another."""

import json

import pytest

from tests.commands.conftest import TINY
from tests.datasets.own_set import write_own_set
from vreloc_pyg import cli
from vreloc_pyg.commands.options import TaskOptions


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    place = tmp_path_factory.mktemp("own")
    return [write_own_set(place / f"in{dims}", dims) for dims in (2, 3)]


def run(*arguments):
    assert cli.main([*map(str, arguments)]) == 0


def test_two_sets_train_a_model_that_is_put_on_either(roots, tmp_path, capsys):
    both = ["--data=folder,folder", f"--root={roots[0]},{roots[1]}"]
    run("train", *both, "--output", tmp_path, *TINY)
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["num_features"] == 20
    evaluate = ["evaluate", "--checkpoint", tmp_path / "model", "--data=folder", "--metrics=[R@1(0.5)]"]
    for root in roots:
        run(*evaluate, "--adapt", "--root", root, "--output", tmp_path / root.name)
        assert "| MGFFNet (recommended) |" in (tmp_path / root.name / "results.md").read_text()
    capsys.readouterr()
    assert cli.main([*map(str, evaluate), f"--root={roots[1]}", f"--output={tmp_path / 'x'}"]) == 2
    assert "F = 20 (got F = 30)" in capsys.readouterr().err


def test_roots_of_several_sets(roots, tmp_path, monkeypatch, fails):
    message = fails("train", "--data=folder,utkinect", f"--root={roots[0]}", "--output", tmp_path / "x")
    assert message == f"Expected a root for each of folder, utkinect (got {roots[0]})"
    monkeypatch.delenv("VRELOC_DATA", raising=False)
    message = fails("train", "--data=folder,synthetic", "--system=cgbm", "--output", tmp_path / "x")
    assert message.startswith("Data set 'folder' is read from files: give its folder as root")
    (tmp_path / "folder").symlink_to(roots[0])
    monkeypatch.setenv("VRELOC_DATA", str(tmp_path))
    found = TaskOptions(data="folder, synthetic").load_all()
    assert [data.name for data in found] == ["folder", "synthetic"]
    assert found[0].splits["test"].absent


def test_validate_names_file_and_line(tmp_path, capsys):
    root = write_own_set(tmp_path / "own", pairs=["a_anna,long_anna,"])
    assert cli.main(["validate", "--annotations", str(root)]) == 2
    printed = capsys.readouterr().out.splitlines()
    place = root / "pairs.csv"
    assert printed == [
        f"{place}, line 2: error: searches 'a_anna' in 'long_anna', which share the source 'anna'",
        "1 errors, 0 warnings",
    ]
