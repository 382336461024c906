"""A small synthetic data set for every command, and a model trained on it."""

from dataclasses import replace

import pytest
import torch

from vreloc_pyg import cli
from vreloc_pyg.datasets import TASKS, Loaded, Synthetic
from vreloc_pyg.proposals.sliding_window import SlidingWindows

TINY = (
    *("--model.hidden-channels=8", "--training.epochs=1"),
    *("--training.steps-per-epoch=2", "--training.batch-size=3"),
)


def make_small(monkeypatch, num_features=8):
    def splits(request):
        sizes = {"num_train": 12, "num_validation": 4, "num_test": 4, "num_features": num_features}
        return Loaded(Synthetic(4, 2, 2, **sizes, seed=request.seed).splits())

    windows = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
    monkeypatch.setitem(TASKS, "synthetic", replace(TASKS["synthetic"], splits=splits, windows=windows))


@pytest.fixture(autouse=True)
def small_task(monkeypatch):
    make_small(monkeypatch)
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of a trained model."""
    with pytest.MonkeyPatch.context() as patched:
        make_small(patched)
        folder = tmp_path_factory.mktemp("trained") / "run"
        assert cli.main(["train", "--output", str(folder), *TINY]) == 0
    return folder


@pytest.fixture
def fails(capsys):
    """The message of a command that ends with exit code 2."""

    def run(command, *arguments):
        assert cli.main([command, *map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert line.startswith(f"vreloc {command}: ")
        return line.removeprefix(f"vreloc {command}: ")

    return run
