from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.windows import cut_windows, equidistant_steps


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.integers(1, 64))
def test_steps_are_the_nearest_to_equidistant_positions(lengths, num_steps):
    steps = equidistant_steps(torch.tensor(lengths), num_steps)
    assert steps.shape == (len(lengths), num_steps)
    assert steps.dtype == torch.long
    for length, row in zip(lengths, steps.tolist(), strict=True):
        for t, step in enumerate(row):
            # A position half-way between two steps may go to either.
            position = Fraction(t * (length - 1), max(num_steps - 1, 1))
            assert abs(step - position) <= Fraction(1, 2)
        assert row[0] == 0
        assert row == sorted(row)
        if num_steps > 1:
            assert row[-1] == length - 1


def test_steps_hand_worked():
    steps = equidistant_steps(torch.tensor([5, 9, 2, 1]), 5)
    assert steps.tolist() == [[0, 1, 2, 3, 4], [0, 2, 4, 6, 8], [0, 0, 0, 1, 1], [0] * 5]
    assert equidistant_steps(torch.tensor([7]), 1).tolist() == [[0]]


def cut_by_loops(features, window, num_steps, fit):
    """One window as rows of features and of the mask."""
    start, end = window
    length = end - start
    if fit == "pad" and length <= num_steps:
        rows = [
            features[start + t] if t < length else torch.zeros(features.size(1)) for t in range(num_steps)
        ]
        return torch.stack(rows), [t < length for t in range(num_steps)]
    steps = equidistant_steps(torch.tensor([length]), num_steps)[0].tolist()
    return torch.stack([features[start + step] for step in steps]), [True] * num_steps


windows_of_twenty = st.lists(
    st.tuples(st.integers(0, 19), st.integers(1, 20)).map(lambda w: (w[0], min(20, w[0] + w[1]))),
    min_size=1,
    max_size=6,
)


@given(windows_of_twenty, st.integers(1, 12), st.sampled_from(["resample", "pad"]))
def test_cut_windows_equal_one_by_one(windows, num_steps, fit):
    features = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    clips, valid = cut_windows(features, torch.tensor(windows), num_steps, fit)
    for window, clip, mask in zip(windows, clips, valid, strict=True):
        expected, expected_mask = cut_by_loops(features, window, num_steps, fit)
        assert torch.equal(clip, expected)
        assert mask.tolist() == expected_mask


def test_padding_hides_what_lies_behind_a_window():
    features = torch.full((6, 2), 7.0)
    clips, valid = cut_windows(features, torch.tensor([[1, 3], [2, 6]]), 4, "pad")
    assert clips[0, 2:].abs().sum() == 0
    assert valid.tolist() == [[True, True, False, False], [True] * 4]
    assert (clips[1] == 7).all()
    clips, valid = cut_windows(features, torch.zeros(0, 2, dtype=torch.long), 4)  # no windows
    assert (clips.shape, valid.shape) == ((0, 4, 2), (0, 4))


def test_refuses_no_steps_and_unknown_ways_to_fit():
    with pytest.raises(SettingsError, match=r"num_steps >= 1 \(got 0\)"):
        equidistant_steps(torch.tensor([3]), 0)
    with pytest.raises(SettingsError, match=r"'resample' or 'pad' \(got 'crop'\)"):
        cut_windows(torch.randn(6, 2), torch.tensor([[0, 3]]), 4, "crop")
