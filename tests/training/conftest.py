from dataclasses import replace

import pytest
import torch

from vreloc_pyg.datasets.sampling import TripletSampler
from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.training import make_preset

WINDOWS = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)


@pytest.fixture(scope="session")
def splits():
    """Splits of four pairs and eight features."""
    return Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=8).splits()


@pytest.fixture(autouse=True)
def same_algorithms():
    """The trainer asks torch for deterministic algorithms; other tests keep what they had."""
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(mode)


def small_preset(name="recommended", model=None, pairing=None, sampler=None, **training):
    """A preset of eight features that trains in a second, dropout included."""
    training = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 3, **training}
    chosen = make_preset(name, 8, WINDOWS, model={"hidden_channels": 8, **(model or {})}, pairing=pairing)
    chosen = replace(chosen, training=replace(chosen.training, **training))
    return chosen if sampler is None else replace(chosen, sampler=sampler)


@pytest.fixture(scope="session", name="small_preset")
def small_preset_fixture():
    return small_preset


@pytest.fixture(scope="session")
def triplets():
    return TripletSampler(WINDOWS)
