import numpy as np
import pytest
import torch

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.sequences.values_and_changes import POSITION_SPREAD, VELOCITY_SIZE, values_and_changes


def noise(num_steps, seed):
    return torch.randn(num_steps, 5, generator=torch.Generator().manual_seed(seed)).double()


def test_as_its_equation_says():
    query, reference = noise(4, 0), noise(30, 1)
    found = values_and_changes(query, reference)
    mean = reference.numpy().mean(0)
    spread = np.sqrt(((reference.numpy() - mean) ** 2).sum(1).mean())
    size = np.sqrt((np.gradient(reference.numpy(), axis=0) ** 2).sum(1).mean())
    for features, described in zip((query.numpy(), reference.numpy()), found, strict=True):
        np.testing.assert_allclose(described[:, :5], POSITION_SPREAD / spread * (features - mean))
        changes = np.gradient(features, axis=0)
        np.testing.assert_allclose(described[:, 5:], VELOCITY_SIZE / size * changes)


def test_neither_offset_nor_factor_matter():
    query, reference = noise(4, 0), noise(30, 1)
    expected = values_and_changes(query, reference)
    found = values_and_changes(1000 * query + 7, 1000 * reference + 7)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_nothing_varies():
    query, reference = noise(3, 0), torch.ones(9, 5)
    for described in values_and_changes(query.float(), reference):
        assert described.shape[1] == 10
        assert (described == 0).all()
    query, reference = values_and_changes(noise(1, 0), noise(1, 1))
    assert torch.isfinite(torch.cat([query, reference])).all()


def test_widths_differ():
    with pytest.raises(FeatureError, match=r"as wide as its reference \(got 4 and 5\)"):
        values_and_changes(torch.ones(3, 4), noise(3, 0))
