import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.systems.cross_gated.cross_gated import CROSS_GATED, CrossGatedBilinearSettings
from vreloc_pyg.systems.cross_gated.cross_gated_labels import score_segments, step_labels, step_loss
from vreloc_pyg.systems.examples import Example, draw_example, pad_clips
from vreloc_pyg.systems.spec import Traits

SIZES = [(5, 9), (1, 7), (4, 1), (3, 9), (1, 1)]  # steps of query and reference


def make_network(num_features=3, **settings):
    chosen = {**PUBLISHED, "hidden_channels": 6, "num_factors": 2, **settings}
    network = CROSS_GATED.build(Traits(num_features), chosen)
    with torch.no_grad():  # no bias stays 0, no two gates alike
        for parameter in network.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return network.eval()


PUBLISHED = {"instance_weight": 0.0}


def make_clips(sizes=SIZES, num_features=3):
    return [(torch.randn(q, num_features), torch.randn(r, num_features)) for q, r in sizes]


def batch_logits(network, pairs):
    """Logits of a padded batch, cut to the steps that exist."""
    queries, references = zip(*pairs, strict=True)
    logits = network(pad_clips(queries), pad_clips(references))
    return [row[: len(reference)] for row, reference in zip(logits, references, strict=True)]


def lstm_step(x, state, weight_ih, weight_hh, bias_ih, bias_hh):
    hidden, cell = state
    i, f, g, o = (weight_ih @ x + bias_ih + weight_hh @ hidden + bias_hh).chunk(4)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def lstm(clip, layer):
    weights = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
    state, states = (torch.zeros(layer.hidden_size),) * 2, []
    for x in clip:
        state = lstm_step(x, state, *weights)
        states.append(state[0])
    return states


def match(query, reference, m, cell):
    weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
    state, states = (torch.zeros(m.channels),) * 2, []
    for h in reference:
        key = m.reference_key.weight @ torch.cat([h, state[0]]) + m.reference_key.bias
        energies = [
            m.relevance.weight[0] @ torch.tanh(m.query_key.weight @ hq + key) + m.relevance.bias[0]
            for hq in query
        ]
        alpha = torch.stack(energies).exp() / torch.stack(energies).exp().sum()
        a = sum(share * hq for share, hq in zip(alpha, query, strict=True))
        gated_a = torch.sigmoid(m.query_gate.weight @ h + m.query_gate.bias) * a
        gated_h = torch.sigmoid(m.reference_gate.weight @ a + m.reference_gate.bias) * h
        factors_h = m.factors.weight @ gated_h + m.factors.bias
        factors_a = m.factors.weight @ gated_a + m.factors.bias
        k = m.num_factors
        t = [sum(factors_h[j * k + f] * factors_a[j * k + f] for f in range(k)) for j in range(m.channels)]
        state = lstm_step(torch.stack(t), state, *weights)
        states.append(state[0])
    return states


def oracle(network, query, reference):
    """Logits of one pair straight from the equations."""
    hq, hr = lstm(query, network.aggregation), lstm(reference, network.aggregation)
    forward = match(hq, hr, network.matching, network.matching.forward_cell)
    backward = match(hq, hr[::-1], network.matching, network.matching.backward_cell)[::-1]
    both = [torch.cat(pair) for pair in zip(forward, backward, strict=True)]
    located = lstm(both, network.localization)
    return torch.stack([network.classifier.weight @ h + network.classifier.bias for h in located])


def test_logits_and_gradients_equal_the_equations():
    network, pairs = make_network(), make_clips()
    wanted = [oracle(network, *pair) for pair in pairs]
    found = batch_logits(network, pairs)
    weights = [torch.randn_like(logits) for logits in wanted]
    gradients = []
    for logits in (wanted, found):
        total = sum((weight * one).sum() for weight, one in zip(weights, logits, strict=True))
        gradients.append(torch.autograd.grad(total, list(network.parameters())))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    for (name, parameter), one, other in zip(network.named_parameters(), *gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: name + text)
        # The constant of the energies cancels in the softmax.
        assert name == "matching.relevance.bias" or other.abs().max() > 1e-3, (name, parameter.shape)


def test_forget_biases_start_at_one_and_all_others_at_zero():
    network = CROSS_GATED.build(Traits(5), {"hidden_channels": 4})
    lstms = [network.aggregation, network.localization]
    cells = [network.matching.forward_cell, network.matching.backward_cell]
    biases = [lstm.bias_ih_l0 + lstm.bias_hh_l0 for lstm in lstms] + [c.bias_ih + c.bias_hh for c in cells]
    for bias in biases:
        assert bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8
    for name, parameter in network.named_parameters():
        assert name.rpartition(".")[2].startswith("bias") or parameter.std() > 0.05, name


def test_number_of_parameters():
    feature, d, k = 500, 128, 8
    aggregation = 4 * d * (feature + d + 2)
    attention = d * d + (2 * d * d + d) + (d + 1)
    gates, factors = 2 * (d * d + d), k * d * (d + 1)
    cells = 2 * 4 * d * (2 * d + 2)
    localization = 4 * d * (2 * d + d + 2) + 4 * (d + 1)
    total = aggregation + attention + gates + factors + cells + localization
    assert CROSS_GATED.build(Traits(feature), PUBLISHED).num_parameters == total == 999_429


def test_dropout_is_off_in_eval_mode_and_on_both_clips_in_training():
    network, pairs = make_network(), make_clips([(4, 6)])
    assert batch_logits(network, pairs)[0].equal(batch_logits(network, pairs)[0])
    network.train()
    assert not batch_logits(network, pairs)[0].equal(batch_logits(network, pairs)[0])
    silent = make_network(aggregation_dropout=0.0, matching_dropout=0.0).train()
    assert batch_logits(silent, pairs)[0].equal(batch_logits(silent, pairs)[0])


def test_the_rivals_loss_is_that_of_its_logits_and_of_all_answers():
    network, pairs = make_network(boundary_weight=3.0), make_clips([(3, 8), (5, 4)])
    answers = [torch.tensor([[0, 2], [5, 8]]), torch.tensor([[1, 2]])]
    examples = [Example(q, r, a, a) for (q, r), a in zip(pairs, answers, strict=True)]
    labels = [step_labels(a, len(r)) for (_, r), a in zip(pairs, answers, strict=True)]
    logits, wanted = torch.cat(batch_logits(network, pairs)), torch.cat(labels)
    expected = step_loss(logits[None], wanted[None], torch.ones(1, 12, dtype=torch.bool), 3.0)
    torch.testing.assert_close(CROSS_GATED.loss(network, examples), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("num_query", "num_reference"), [(1, 1), (1, 9), (6, 1), (3, 12)])
def test_rank_gives_all_segments_up_to_the_longest(num_query, num_reference):
    network, [(query, reference)] = make_network(longest=5), make_clips([(num_query, num_reference)])
    with torch.no_grad():
        ranked = network.rank(query, reference, torch.zeros(0, 2, dtype=torch.long))
        logits = oracle(network, query, reference)
    windows, scores = score_segments(logits.log_softmax(1), 5)
    assert ranked.answers is None
    assert ranked.windows.equal(windows)
    assert ranked.windows.dtype == torch.int64
    assert (windows[:, 1] - windows[:, 0]).max() == min(5, num_reference)
    torch.testing.assert_close(ranked.scores, scores, rtol=1e-5, atol=1e-5)


def test_one_step_clips_can_be_learned_from():
    network = make_network().train()
    example = Example(torch.randn(1, 3), torch.randn(1, 3), *[torch.tensor([[0, 1]])] * 2)
    loss = CROSS_GATED.loss(network, [example])
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_published_settings():
    training = CROSS_GATED.training
    assert training.epochs * training.steps_per_epoch == 1000
    assert (training.batch_size, training.gradient_clip, training.learning_rate) == (128, 5.0, 1e-3)
    published = CrossGatedBilinearSettings(longest=200)
    assert CROSS_GATED.settings_for(Traits(4, longest=200), PUBLISHED) == published


@pytest.mark.learns
def test_learns_eight_pairs_by_heart(small_splits, steps_until_learned):
    pool, rng = TrainingPool(small_splits["train"]), np.random.default_rng(0)
    examples = [draw_example(pool, rng, None) for _ in range(8)]
    settings = {"hidden_channels": 32, "aggregation_dropout": 0.0, "matching_dropout": 0.0}
    network = CROSS_GATED.build(Traits(8), settings)
    assert steps_until_learned(CROSS_GATED, network, examples, lambda: examples, 1e-2) is not None
