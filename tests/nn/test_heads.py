import math

import pytest
import torch
from torch import nn

from vreloc_pyg.graphs.pair_features import PAIR_FEATURES, pair_features
from vreloc_pyg.nn.heads import WINDOW_RULE, BoundaryHead, RegressionHead, ScoreHead, perceptron
from vreloc_pyg.segments import decode_offsets, encode_offsets


def test_hidden_layers_have_batch_norm_and_tanh_and_the_last_has_neither():
    layers = perceptron(500, (128, 32), 2)
    kinds = [nn.Linear, nn.BatchNorm1d, nn.Tanh] * 2 + [nn.Linear]
    assert [type(layer) for layer in layers] == kinds
    widths = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert widths == [(500, 128), (128, 32), (32, 2)]
    assert [type(layer) for layer in perceptron(5, (), 1)] == [nn.Linear]


def mlp_by_hand(mlp, x):
    for linear, norm in ((mlp[0], mlp[1]), (mlp[3], mlp[4])):
        x = x @ linear.weight.t() + linear.bias
        x = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        x = torch.tanh(x)
    return x @ mlp[6].weight.t() + mlp[6].bias


def test_heads_equal_their_equations():
    pooled = torch.randn(7, 10)
    score, regression = ScoreHead(10, (8, 4), gain=0.3).eval(), RegressionHead(10, (8, 4)).eval()
    torch.testing.assert_close(score(pooled), torch.tanh(0.3 * mlp_by_hand(score.mlp, pooled)).squeeze(1))
    torch.testing.assert_close(regression(pooled), mlp_by_hand(regression.mlp, pooled))
    with_rule = ScoreHead(16, (8, 4), gain=0.3, num_pair_features=6).eval()
    nn.init.normal_(with_rule.rule)
    pooled = torch.randn(7, 16)
    logit = 0.3 * mlp_by_hand(with_rule.mlp, pooled).squeeze(1) + pooled[:, 10:] @ with_rule.rule
    torch.testing.assert_close(with_rule(pooled), torch.tanh(logit))


@pytest.mark.parametrize("training", [True, False])
def test_shapes_and_range(training):
    pooled = 100 * torch.randn(5, 10)
    scores = ScoreHead(10, gain=100.0).train(training)(pooled)
    assert scores.shape == (5,)
    assert scores.abs().max() <= 1
    offsets = RegressionHead(10).train(training)
    nn.init.constant_(offsets.mlp[-1].bias, 3.0)
    assert offsets(pooled).shape == (5, 2)
    assert offsets(pooled).max() > 1  # these have no bound


def test_an_untrained_head_ranks_like_the_window_rule():
    """Apart from its MLP: by the distance of the statistics plus a quarter of the change of length."""
    generator = torch.Generator().manual_seed(0)
    query, reference = torch.randn(2, 60, 4, generator=generator)
    windows = torch.tensor([[start, end] for start in range(0, 50, 3) for end in range(start + 2, 60, 4)])
    numbers = pair_features(query[:9], reference, windows)
    head = ScoreHead(10, gain=0.0, num_pair_features=6).eval()
    scores = head(torch.cat([torch.randn(len(windows), 4), numbers], dim=1))
    distance, ratio = numbers[:, 0], numbers[:, PAIR_FEATURES.index("abs_log_ratio")]
    assert torch.equal(scores.argsort(descending=True), (distance + 0.25 * ratio).argsort())


def test_the_window_rule_is_learned_from_there():
    head = ScoreHead(10, num_pair_features=6)
    assert len(WINDOW_RULE) == len(PAIR_FEATURES) == 6
    torch.testing.assert_close(head.rule.data, torch.tensor(WINDOW_RULE))
    head(torch.randn(5, 10)).sum().backward()
    assert (head.rule.grad != 0).all()
    assert ScoreHead(10).rule is None


@pytest.mark.parametrize("context", [0.0, 0.2])
def test_an_untrained_boundary_head_leaves_windows_as_they_are(context):
    mask = torch.arange(16) < torch.tensor([[16], [5], [1]])
    offsets = BoundaryHead(4, context=context)(torch.randn(3, 16, 4), mask)
    torch.testing.assert_close(offsets, torch.zeros(3, 2), rtol=0, atol=2e-3)


def boundaries_by_hand(head, nodes, num_steps):
    """The window's two ends, as shares of its length, by plain loops."""
    logits = head.mlp(nodes)
    ends = []
    for column, own in enumerate((0.0, 1.0)):
        moved = 0.0
        for sign, gain in ((1, 1.0), (-1, 0.0)):  # with the logits, less what the prior alone says
            places, weights = [], []
            for step in range(num_steps):
                place = (step + 0.5) / num_steps * (1 + 2 * head.context) - head.context
                prior = -((place - own) ** 2) / (2 * head.spread**2)
                places.append(place)
                weights.append(math.exp(gain * float(logits[step, column]) + prior))
            moved += sign * sum(p * w for p, w in zip(places, weights, strict=True)) / sum(weights)
        ends.append(own + moved)
    return ends


@pytest.mark.parametrize("context", [0.0, 0.2])
@torch.no_grad()
def test_boundaries_are_expectations_over_steps(context):
    head = BoundaryHead(4, context=context)
    nn.init.normal_(head.mlp[-1].weight, std=0.3)
    nodes, lengths = torch.randn(3, 9, 4), [9, 4, 2]
    offsets = head(nodes, torch.arange(9) < torch.tensor(lengths).unsqueeze(1))
    for i, num_steps in enumerate(lengths):
        start, end = boundaries_by_hand(head, nodes[i], num_steps)
        assert i > 0 or abs(start) + abs(end - 1) > 1e-2  # few steps leave little to move
        window, truth = torch.tensor([[40.0, 90.0]]), torch.tensor([[40 + 50 * start, 40 + 50 * end]])
        torch.testing.assert_close(offsets[i : i + 1], encode_offsets(window, truth), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(decode_offsets(window, offsets[i : i + 1]), truth, rtol=1e-4, atol=1e-3)


def test_boundaries_that_cross_keep_a_tenth_of_the_window():
    head = BoundaryHead(1, hidden=1)
    head.mlp = nn.Linear(1, 2)
    with torch.no_grad():
        head.mlp.weight.copy_(torch.tensor([[90.0], [-90.0]]))
    offsets = head(torch.arange(16.0).view(1, 16, 1))
    assert offsets[0, 1].item() == pytest.approx(-math.log(0.1))
    assert torch.isfinite(offsets).all()


@pytest.mark.learns
def test_a_boundary_head_learns_where_a_step_says_it_begins():
    head = BoundaryHead(3, context=0.2)
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    place = ((torch.arange(16) + 0.5) / 16 * 1.4 - 0.2).expand(64, -1)
    for _ in range(300):
        starts, ends = 0.3 * torch.rand(64, 1) - 0.1, 1.1 - 0.3 * torch.rand(64, 1)
        inside = (starts < place) & (place < ends)
        nodes = torch.stack([inside.float(), place, torch.randn(64, 16)], dim=-1)
        truth = torch.cat([starts, ends], dim=1)
        loss = (head(nodes) - encode_offsets(torch.tensor([[0.0, 1.0]]), truth)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    untrained = encode_offsets(torch.tensor([[0.0, 1.0]]), truth).abs().mean()
    assert loss < 0.5 * untrained
