import pytest
import torch

from vreloc_pyg.datasets.base import Query, Reference, RelocalizationSplit


def make_query(num_steps=6, seed=0, seconds_per_step=0.5, width=3, label="run", video_id="q"):
    features = torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))
    return Query(features, seconds_per_step, label, video_id)


def make_reference(num_steps=40, seed=1, seconds_per_step=0.5, width=3, steps=((10, 18),), video_id="r"):
    """A reference of noise, with an instance of "run" at each of the step intervals ``steps``."""
    features = torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))
    segments = torch.tensor(steps, dtype=torch.float64).reshape(-1, 2) * seconds_per_step
    return Reference(features, seconds_per_step, segments, ("run",) * len(steps), video_id)


def make_split(answers=((0, 5), (2, 9), (4, 9)), num_steps=20):
    """A training split whose right answers are the step intervals ``answers``, one pair each."""
    references = [
        make_reference(num_steps, seed=i, steps=(steps,), video_id=f"r{i}") for i, steps in enumerate(answers)
    ]
    queries = [make_query(seed=100 + i, video_id=f"q{i}") for i in range(len(answers))]
    return RelocalizationSplit("train", queries, references, [(i, i) for i in range(len(answers))])


@pytest.fixture(name="make_query")
def make_query_fixture():
    return make_query


@pytest.fixture(name="make_reference")
def make_reference_fixture():
    return make_reference


@pytest.fixture(name="make_split")
def make_split_fixture():
    return make_split
