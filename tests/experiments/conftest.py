import pytest

from tests.conftest import small_synthetic
from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows

#: Runs that end within a second or two.
TINY = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "validation_pairs": 2}


@pytest.fixture(autouse=True)
def small_benchmark(monkeypatch):
    """The synthetic data set of every command, with features of width 8 and few windows."""
    windows = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)

    def load(data="synthetic", root=None, fold=0, seed=0, *rest, **options):
        given = options.get("proposals")
        source = windows if given is None else load_proposals(given)
        return Benchmark("synthetic", small_synthetic(seed=seed + fold).splits(), source, longest=40)

    monkeypatch.setattr("vreloc_pyg.experiments.plan.load_benchmark", load)
    return load()
