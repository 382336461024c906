import pytest
import torch

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit


@pytest.fixture
def splits():
    """Two folds of three pairs; every reference has 20 s, one instance of 4 s, and one of another class."""
    segments = torch.tensor([[2.0, 6.0], [12.0, 18.0]], dtype=torch.float64)
    found = {}
    for fold in (0, 1):
        names = [f"r{fold}{i}" for i in range(3)]
        references = [Reference(torch.zeros(40, 2), 0.5, segments, ("run", "jump"), name) for name in names]
        queries = [Query(torch.zeros(4, 2), 0.5, "run", f"q{i}") for i in range(3)]
        found[fold] = RelocalizationSplit("test", queries, references, [(i, i) for i in range(3)])
    return found
