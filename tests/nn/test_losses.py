import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.losses import l2_penalty, listwise_loss, regression_loss, triplet_loss

DTYPES = [torch.float32, torch.float64]
SIZES = [(1, 2), (4, 2), (3, 6)]


def values(*shape, dtype=torch.float64, seed=0, requires_grad=False):
    numbers = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1
    return numbers.requires_grad_(requires_grad)


def close(dtype):
    return {"abs": 1e-5 if dtype == torch.float32 else 1e-12}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_triplet_loss_is_the_loop_over_queries_and_negatives(dtype, size, margin):
    scores = values(*size, dtype=dtype)
    terms = [max(0.0, margin - row[0] + negative) for row in scores.double().tolist() for negative in row[1:]]
    summed, mean = triplet_loss(scores, margin), triplet_loss(scores, margin, "mean")
    assert summed.dtype == dtype
    assert summed.shape == ()
    assert summed.item() == pytest.approx(sum(terms), **close(dtype))
    assert mean.item() == pytest.approx(sum(terms) / len(terms), **close(dtype))


def test_triplet_loss_by_hand():
    # .5 - .9 + .1 < 0;  .5 - .2 + .4 = .7;  .5 + .1 - .3 = .3
    scores = torch.tensor([[0.9, 0.1], [0.2, 0.4], [-0.1, -0.3]])
    assert triplet_loss(scores).item() == pytest.approx(1.0)
    assert triplet_loss(scores, reduction="mean").item() == pytest.approx(1.0 / 3)


def test_triplet_gradient_pulls_the_active_pairs_apart():
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.2, 0.4, -0.9], [0.2, 0.1, 0.0]], requires_grad=True)
    triplet_loss(scores).backward()
    assert scores.grad.tolist() == [[0, 0, 0], [-1, 1, 0], [-2, 1, 1]]


def test_without_an_active_triplet_only_the_l2_term_is_left():
    weight = torch.tensor([[2.0, -1.0]], requires_grad=True)
    scores = torch.stack([weight[0, 0], weight[0, 1]]).view(1, 2)  # margin kept: 2 > -1 + .5
    loss = triplet_loss(scores)
    assert loss.item() == 0
    total = loss + l2_penalty([weight], 5e-3)
    total.backward()
    assert total.item() == pytest.approx(5e-3 * 5)
    torch.testing.assert_close(weight.grad, 2 * 5e-3 * weight.detach())


@pytest.mark.parametrize("reduction", ["none", "", None])
def test_unknown_reductions_are_quoted(reduction):
    with pytest.raises(
        SettingsError, match=rf"^Expected reduction to be 'sum' or 'mean' \(got {reduction!r}\)$"
    ):
        triplet_loss(torch.zeros(1, 2), reduction=reduction)


@pytest.mark.parametrize("dtype", DTYPES)
def test_l2_penalty_is_the_loop_over_all_numbers(dtype):
    tensors = [
        values(3, 2, dtype=dtype),
        values(4, dtype=dtype, seed=1),
        values(1, 1, 2, dtype=dtype, seed=2),
    ]
    expected = 0.03 * sum(x * x for tensor in tensors for x in tensor.flatten().tolist())
    assert l2_penalty(iter(tensors), 0.03).item() == pytest.approx(expected, **close(dtype))


def test_l2_gradient_is_that_of_adam_with_weight_decay_of_twice_lambda():
    """Paper section 4.7.1: lambda = 5e-3 of the formula is weight_decay = .01 of Adam."""
    start = values(5, 3)
    literal, decayed = start.clone().requires_grad_(), start.clone().requires_grad_()
    l2_penalty([literal]).backward()
    torch.testing.assert_close(literal.grad, 2 * 5e-3 * start)
    ours = torch.optim.AdamW([literal], 1e-2, weight_decay=0.0)
    theirs = torch.optim.Adam([decayed], 1e-2, weight_decay=0.01)
    for step in range(4):
        target = values(5, 3, seed=step + 1)
        ours.zero_grad()
        theirs.zero_grad()
        ((literal * target).sum() + l2_penalty([literal])).backward()
        (decayed * target).sum().backward()
        ours.step()
        theirs.step()
    torch.testing.assert_close(literal, decayed, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(literal, start)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5])
def test_regression_loss_is_the_loop_over_the_batch(dtype, size):
    offsets, targets = values(size, 2, dtype=dtype), values(size, 2, dtype=dtype, seed=1)
    pairs = zip(offsets.double().tolist(), targets.double().tolist(), strict=True)
    expected = sum(abs(o[0] - t[0]) + abs(o[1] - t[1]) for o, t in pairs) / size
    assert regression_loss(offsets, targets).item() == pytest.approx(expected, **close(dtype))


def test_regression_loss_by_hand():
    offsets = torch.tensor([[1.0, -1.0], [0.5, 0.0]], requires_grad=True)
    loss = regression_loss(offsets, torch.tensor([[0.5, 1.0], [0.5, 0.25]]))
    assert loss.item() == pytest.approx((0.5 + 2 + 0 + 0.25) / 2)
    loss.backward()
    assert offsets.grad.tolist() == [[0.5, -0.5], [0, -0.5]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_listwise_loss_is_the_loop_over_candidates(dtype, size, temperature):
    logits, overlaps = 3 * values(*size, dtype=dtype), values(*size, dtype=dtype, seed=1).abs()
    total = 0.0
    for row, overlap in zip(logits.double().tolist(), overlaps.double().tolist(), strict=True):
        norm = math.log(sum(math.exp(x) for x in row))
        weights = [math.exp(o / temperature) for o in overlap]
        total -= sum(w / sum(weights) * (x - norm) for w, x in zip(weights, row, strict=True))
    expected = total / size[0]
    assert listwise_loss(logits, overlaps, temperature).item() == pytest.approx(expected, **close(dtype))


def test_listwise_loss_is_cross_entropy_with_the_softmax_of_overlaps():
    logits, overlaps = values(4, 5, requires_grad=True), values(4, 5, seed=1).abs()
    loss = listwise_loss(logits, overlaps, 0.2)
    target = torch.softmax(overlaps / 0.2, 1)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, target))
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, (torch.softmax(logits, 1) - target) / 4)


def test_listwise_loss_by_hand():
    # Both candidates overlap alike: the target is a half each; softmax(log 3, 0) = 3/4 and 1/4.
    loss = listwise_loss(torch.tensor([[math.log(3), 0.0]]), torch.tensor([[0.4, 0.4]]))
    assert loss.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 1000), st.sampled_from([0.05, 0.1, 1.0]))
def test_listwise_loss_is_least_where_scores_rank_as_overlaps_do(num, count, seed, temperature):
    overlaps = values(num, count, seed=seed).abs()
    entropy = torch.distributions.Categorical(logits=overlaps / temperature).entropy().mean().item()
    best = listwise_loss(overlaps / temperature, overlaps, temperature).item()
    other = listwise_loss(values(num, count, seed=seed + 1), overlaps, temperature).item()
    assert best == pytest.approx(entropy, abs=1e-9)
    assert other >= best - 1e-12


@pytest.mark.parametrize("loss", [triplet_loss, lambda s: listwise_loss(s, values(3, 4, seed=9).abs())])
def test_gradients_agree_with_finite_differences(loss):
    scores = values(3, 4, requires_grad=True)
    assert torch.autograd.gradcheck(loss, scores)
