import math
from dataclasses import replace

import pytest
import torch

from vreloc_pyg.nn.sst_network import SSTSettings
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.systems.examples import Example
from vreloc_pyg.systems.spec import Traits
from vreloc_pyg.systems.sst import SST_RIVAL, anchor_loss, batch_labels

SMALL = {"hidden_channels": 6, "num_anchors": 5}
SHORT = Traits(4, longest=64)  # so that anchors of neighbouring lengths differ by a step
NONE = torch.empty(0, 2, dtype=torch.long)


def example(query_steps, reference_steps, answers, others=()):
    def span(spans):
        return torch.tensor(spans, dtype=torch.long).reshape(-1, 2)

    return Example(
        torch.randn(query_steps, 4),
        torch.randn(reference_steps, 4),
        span(answers),
        span([*answers, *others]),
    )


@pytest.fixture
def examples():
    return [
        example(4, 12, [(3, 7)], [(9, 11)]),
        example(7, 5, [(0, 3), (4, 5)]),
        example(3, 1, [(0, 1)]),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_anchor_loss_equals_explicit_loops(dtype):
    logits = torch.randn(3, 6, 4, dtype=dtype)
    labels, valid = torch.rand(3, 6, 4) < 0.3, torch.rand(3, 6, 4) < 0.7
    labels[..., 3] = False  # an anchor that is never positive,
    valid[..., 2] = False  # and one that is never there
    labels &= valid
    expected = 0.0
    for j in range(4):
        cells = [(b, t) for b in range(3) for t in range(6) if valid[b, t, j]]
        if not cells:
            continue
        rate = sum(bool(labels[b, t, j]) for b, t in cells) / len(cells)
        for b, t in cells:
            p = 1 / (1 + math.exp(-float(logits[b, t, j])))
            one = (1 - rate) * math.log(p) if labels[b, t, j] else rate * math.log(1 - p)
            expected -= one / len(cells)
    assert float(anchor_loss(logits, labels, valid)) == pytest.approx(expected, rel=1e-5)


def test_hand_worked_anchor_loss():
    # One anchor, positive at one of four steps: 3/4 log 2 of it, and 3 times 1/4 log 2; 3/8 log 2 on average.
    labels = torch.tensor([[[True], [False], [False], [False]]])
    loss = anchor_loss(torch.zeros(1, 4, 1), labels, torch.ones_like(labels))
    assert float(loss) == pytest.approx(3 / 8 * math.log(2))


def test_the_loss_of_a_batch_is_made_of_unpadded_references(examples):
    """Outputs of each reference alone, put together, give the same loss: padding counts nowhere."""
    network = SST_RIVAL.build(SHORT, SMALL)
    labels, valid = batch_labels([12, 5, 1], [one.instances for one in examples], network.settings)
    logits = torch.zeros(3, 12, 5)
    for row, one in enumerate(examples):
        logits[row, : len(one.reference)] = network.sst.anchors(network.sst.states(one.reference[None]))[0]
    expected = anchor_loss(logits, labels, valid)
    torch.testing.assert_close(SST_RIVAL.loss(network, examples), expected, atol=1e-5, rtol=1e-5)


def test_a_longer_reference_does_not_change_the_others():
    """One that is all background and has no positive anchor adds steps, but no positive ones."""
    settings = SST_RIVAL.build(SHORT, SMALL).settings
    spans = example(4, 6, [(2, 5)]).instances
    alone, both = batch_labels([6], [spans], settings), batch_labels([6, 9], [spans, NONE], settings)
    for short, padded in zip(alone, both, strict=True):
        assert torch.equal(padded[0, :6], short[0])
        assert not padded[0, 6:].any()
    assert not both[0][1].any()


def test_all_instances_teach_and_the_query_does_not(examples):
    network = SST_RIVAL.build(SHORT, SMALL)
    loss = SST_RIVAL.loss(network, examples)
    unasked = [one._replace(query=torch.randn(2, 4), answers=NONE) for one in examples]
    torch.testing.assert_close(SST_RIVAL.loss(network, unasked), loss)
    fewer = [one._replace(instances=one.answers) for one in examples]
    assert not torch.isclose(SST_RIVAL.loss(network, fewer), loss)


def test_the_query_does_not_change_the_ranking():
    network = SST_RIVAL.build(SHORT, SMALL).eval()
    reference = torch.randn(12, 4)
    with torch.no_grad():
        first, second = (network.rank(torch.randn(n, 4), reference, NONE) for n in (3, 20))
    assert torch.equal(first.windows, second.windows)
    assert torch.equal(first.scores, second.scores)
    assert len(first.windows) == 12 + 11 + 10 + 9 + 8
    assert ((first.scores > 0) & (first.scores < 1)).all()


@pytest.mark.parametrize(("num_steps", "stride"), [(1, 1), (2, 3), (1, 3)])
def test_degenerate_references(num_steps, stride):
    network = SST_RIVAL.build(SHORT, {**SMALL, "stride": stride})
    ranked = network.rank(torch.randn(9, 4), torch.randn(num_steps, 4), NONE)
    assert [0, num_steps] in ranked.windows.tolist()
    SST_RIVAL.loss(network, [example(9, num_steps, [(0, 1)])]).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_the_trained_network_is_a_source_of_proposals(make_reference, tmp_path):
    network = SST_RIVAL.build(replace(SHORT, num_features=3), SMALL)
    source = network.proposals()
    ranked = network.eval().rank(torch.randn(2, 3), make_reference().features, NONE)
    assert source.propose(make_reference())[0].tolist() == ranked.windows[ranked.scores.argmax()].tolist()
    loaded = load_proposals(source.save_pretrained(tmp_path))
    assert loaded.fingerprint() == source.fingerprint()
    assert torch.equal(loaded.propose(make_reference()), source.propose(make_reference()))


def test_settings():
    assert SST_RIVAL.settings_for(SHORT) == SSTSettings()
    assert SST_RIVAL.settings_for(replace(SHORT, longest=65)) == SSTSettings(stride=2)


@pytest.mark.learns
def test_learns_eight_references_by_heart(eight_pairs, steps_until_learned):
    """It never sees the query, so it can do so only since each of these references has one instance.

    Every anchor above the overlap is equally positive: it is raised, so that the best one is a hit at .7.
    """
    network = SST_RIVAL.build(
        replace(SHORT, num_features=8), {"hidden_channels": 64, "num_anchors": 32, "overlap": 0.75}
    )
    assert steps_until_learned(SST_RIVAL, network, eight_pairs, lambda: eight_pairs, 1e-2) is not None
