import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.systems.cross_gated.cross_gated_labels import score_segments, step_labels, step_loss
from vreloc_pyg.systems.examples import pad_clips


def test_labels_by_hand():
    half, third = 1 / 2, 1 / 3
    labels = step_labels(torch.tensor([[1, 4], [5, 6], [6, 8]]), 9)
    expected = [
        [0, 0, 0, 1],
        [half, 0, half, 0],
        [0, 0, 1, 0],
        [0, half, half, 0],
        [0, 0, 0, 1],
        [third, third, third, 0],  # an answer of one step
        [half, 0, half, 0],
        [0, half, half, 0],
        [0, 0, 0, 1],
    ]
    torch.testing.assert_close(labels, torch.tensor(expected))


def test_labels_of_the_whole_reference_and_of_none():
    assert step_labels(torch.tensor([[0, 2]]), 2).tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0.5, 0]]
    assert step_labels(torch.zeros(0, 2, dtype=torch.long), 2).tolist() == [[0, 0, 0, 1]] * 2


def looped_loss(logits, labels, boundary_weight):
    """Of unpadded lists of logits and labels."""
    terms = []
    for row, wanted in zip(torch.cat(logits).tolist(), torch.cat(labels).tolist(), strict=True):
        normalizer = math.log(sum(map(math.exp, row)))
        entropy = -sum(y * (z - normalizer) for z, y in zip(row, wanted, strict=True))
        terms.append(entropy * (boundary_weight if wanted[0] or wanted[1] else 1))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("boundary_weight", [1.0, 10.0])
def test_loss_is_the_loop_over_steps(boundary_weight):
    answers = [torch.tensor([[1, 4]]), torch.tensor([[0, 1]]), torch.tensor([[0, 3], [5, 6]])]
    labels = [step_labels(one, n) for one, n in zip(answers, (6, 2, 9), strict=True)]
    logits = [torch.randn(len(one), 4) for one in labels]
    padded, mask = pad_clips(logits).features, pad_clips(logits).mask
    padded = torch.where(mask.unsqueeze(-1), padded, torch.inf)  # padding must not be read
    loss = step_loss(padded, pad_clips(labels).features, mask, boundary_weight)
    assert loss.item() == pytest.approx(looped_loss(logits, labels, boundary_weight), abs=1e-5)


@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 10_000))
def test_scores_equal_the_search_over_all_segments(num_steps, longest, seed):
    logits = 3 * torch.randn(num_steps, 4, generator=torch.Generator().manual_seed(seed))
    log_p = logits.log_softmax(1)
    windows, scores = score_segments(log_p, longest)
    expected = {}
    for length in range(1, min(num_steps, longest) + 1):
        for start in range(num_steps - length + 1):
            steps = range(start, start + max(length - 1, 1))
            inside = [float(log_p[t, 2]) for t in steps]
            ends = float(log_p[start, 0] + log_p[start + length - 1, 1])
            expected[start, start + length] = ends + sum(inside) / len(inside)
    assert [tuple(window) for window in windows.tolist()] == list(expected)
    assert scores.tolist() == pytest.approx(list(expected.values()), abs=1e-5)


def test_of_equal_segments_the_shortest_and_then_the_earliest_comes_first():
    log_p = torch.full((7, 4), -3.0)
    windows, scores = score_segments(log_p, 4)
    assert scores.tolist() == [-9.0] * (7 + 6 + 5 + 4)
    assert windows[0].tolist() == [0, 1]
    log_p[[2, 4], 0], log_p[[3, 5], 1] = -1.0, -1.0
    windows, scores = score_segments(log_p, 4)
    best = windows[scores == scores.max()]
    assert best.tolist() == [[2, 4], [4, 6], [2, 6]]
