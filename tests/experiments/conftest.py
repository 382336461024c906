from dataclasses import replace

import pytest
import torch

from tests.conftest import small_synthetic
from vreloc_pyg.datasets import TASKS, Loaded, load_task
from vreloc_pyg.proposals.sliding_window import SlidingWindows

WINDOWS = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
#: Runs that end within a second or two.
TINY = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "validation_pairs": 2}


@pytest.fixture(autouse=True)
def small_task(monkeypatch):
    """The synthetic data set of every command, with features of width 8 and few windows."""

    def splits(request):
        return Loaded(small_synthetic(seed=request.seed + request.fold).splits())

    task = replace(TASKS["synthetic"], splits=splits, windows=WINDOWS)
    monkeypatch.setitem(TASKS, "synthetic", task)
    mode = torch.get_deterministic_debug_mode()
    yield load_task("synthetic")
    torch.set_deterministic_debug_mode(mode)
