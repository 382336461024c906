import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import FeatureError, SegmentError
from vreloc_pyg.sequences.statistics import window_statistics


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([0.0, 1e4]))
def test_equals_mean_and_std_of_every_window(num_steps, width, seed, offset):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(num_steps, width, generator=generator, dtype=torch.float64) + offset
    windows = torch.tensor([(s, e) for s in range(num_steps) for e in range(s + 1, num_steps + 1)])
    parts = [features[start:end] for start, end in windows.tolist()]
    expected = torch.stack([torch.cat([part.mean(0), part.std(0, correction=0)]) for part in parts])
    torch.testing.assert_close(window_statistics(features, windows), expected, rtol=1e-9, atol=1e-6)


def test_hand_worked():
    features = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 6.0]])
    statistics = window_statistics(features, torch.tensor([[0, 2], [2, 3]]))
    torch.testing.assert_close(statistics, torch.tensor([[2.0, 0.0, 1.0, 0.0], [5.0, 6.0, 0.0, 0.0]]))
    assert statistics.dtype == torch.float32
    assert window_statistics(features, torch.zeros(0, 2, dtype=torch.long)).shape == (0, 4)


@pytest.mark.parametrize("window", [[2, 2], [3, 1], [-1, 2], [0, 6]])
def test_refuses_windows_that_are_empty_or_outside(window):
    with pytest.raises(SegmentError, match=r"within \[0, 5\) \(got .* at 1\)"):
        window_statistics(torch.randn(5, 3), torch.tensor([[0, 5], window]))


def test_refuses_features_of_another_rank():
    with pytest.raises(FeatureError, match="num_steps, F"):
        window_statistics(torch.randn(5), torch.tensor([[0, 5]]))
