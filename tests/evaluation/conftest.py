import pytest
import torch

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit


@pytest.fixture
def split():
    """Five pairs over references of noise; the last reference holds two instances of the query's class."""
    generator = torch.Generator().manual_seed(0)
    answers = [((2, 9),), ((0, 12),), ((20, 30),), ((5, 6),), ((3, 10), (15, 24))]
    references = [
        Reference(
            torch.randn(30, 4, generator=generator),
            0.2,
            torch.tensor([*steps, (10, 20)], dtype=torch.float64) * 0.2,
            ("run",) * len(steps) + ("jump",),
            f"r{i}",
        )
        for i, steps in enumerate(answers)
    ]
    queries = [Query(torch.randn(5 + i, 4, generator=generator), 0.2, "run", f"q{i}") for i in range(5)]
    return RelocalizationSplit("test", queries, references, [(i, i) for i in range(5)])
