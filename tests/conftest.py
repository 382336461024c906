"""Fixtures shared by all tests."""

import os
from pathlib import Path

# Arrays of tests are small, and as many processes run as there are processors: threads would wait for each
# other, for minutes where the machine is busy. Read when numpy and torch are imported, here and in programs
# that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
import torch

from vreloc_pyg.datasets.synthetic import Synthetic

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure():
    # No deadline: on a busy machine one slow example is not a failure.
    hypothesis.settings.register_profile("tests", deadline=None, max_examples=50)
    hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_root():
    """Folder of the public data sets, or a skip where it is absent."""
    root = REPOSITORY / os.environ.get("VRELOC_DATA", "../shared/data")
    if not root.is_dir():
        pytest.skip(f"needs real data: there is no folder {root}; set VRELOC_DATA")
    return root


def small_synthetic(**settings):
    """A synthetic task of 8 features that is made in milliseconds."""
    defaults = {
        "num_train_classes": 6,
        "num_validation_classes": 2,
        "num_test_classes": 3,
        "num_train": 24,
        "num_validation": 8,
        "num_test": 9,
        "num_features": 8,
        "num_sub_actions": 10,
    }
    return Synthetic(**{**defaults, **settings})


@pytest.fixture(scope="session", name="small_synthetic")
def small_synthetic_fixture():
    return small_synthetic


@pytest.fixture(scope="session")
def small_splits():
    """The splits ``train``, ``validation`` and ``test`` of a small synthetic task."""
    return small_synthetic().splits()
