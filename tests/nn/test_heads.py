import pytest
import torch
from torch import nn

from vreloc_pyg.graphs.pair_features import PAIR_FEATURES, pair_features
from vreloc_pyg.nn.heads import WINDOW_RULE, RegressionHead, ScoreHead, perceptron


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
    assert RegressionHead(10).train(training)(pooled).shape == (5, 2)


def test_offsets_are_not_bounded():
    head = RegressionHead(10)
    nn.init.constant_(head.mlp[-1].bias, 3.0)
    assert head(torch.randn(5, 10)).max() > 1


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
