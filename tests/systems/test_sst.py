import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.localization.rival import RivalLocalizer
from vreloc_pyg.nn import MGFFNet
from vreloc_pyg.nn.sst_network import SSTSettings
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.systems.catalog import RIVALS, SST_RIVAL, SST_TRIPLET
from vreloc_pyg.systems.spec import Example
from vreloc_pyg.systems.sst import anchor_loss, batch_labels, cosine_hinge

SMALL = {"hidden_channels": 6, "num_anchors": 5}
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


def test_cosine_hinge_equals_explicit_loops():
    similarity = torch.rand(4, 6) * 2 - 1
    positive = torch.rand(4, 6) < 0.5
    negative = ~positive & (torch.rand(4, 6) < 0.8)
    positive[1], negative[1] = True, False  # no triplet
    positive[2] = False
    expected = 0.0
    for b in range(4):
        terms = [
            max(0.0, 0.3 - float(similarity[b, p]) + float(similarity[b, n]))
            for p in range(6)
            for n in range(6)
            if positive[b, p] and negative[b, n]
        ]
        expected += sum(terms) / len(terms) / 4 if terms else 0.0
    assert float(cosine_hinge(similarity, positive, negative, 0.3)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rival", [SST_RIVAL, SST_TRIPLET], ids=lambda rival: rival.name)
def test_the_loss_of_a_batch_is_made_of_unpadded_references(rival, examples):
    """Outputs of each reference alone, put together, give the same loss: padding counts nowhere."""
    network = rival.build(4, SMALL)
    labels, valid = batch_labels([12, 5, 1], [one.instances for one in examples], network.settings)
    logits, triplets = torch.zeros(3, 12, 5), 0.0
    for row, one in enumerate(examples):
        states = network.sst.states(one.reference[None])
        logits[row, : len(one.reference)] = network.sst.anchors(states)[0]
        if rival is SST_TRIPLET:
            last = network.sst.states(one.query[None])[:, -1]
            similarity = torch.cosine_similarity(states[0], last, dim=-1)[None]
            shown = batch_labels([len(one.reference)], [one.answers], network.settings)[0].any(-1)
            triplets = triplets + network.settings.triplet_weight * cosine_hinge(similarity, shown, ~shown)
    expected = anchor_loss(logits, labels, valid) + triplets / 3
    torch.testing.assert_close(rival.loss(network, examples), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rival", [SST_RIVAL, SST_TRIPLET], ids=lambda rival: rival.name)
def test_a_longer_reference_does_not_change_the_others(rival):
    """One that is all background and has no positive anchor adds steps, but no positive ones."""
    network = rival.build(4, SMALL)
    one = example(4, 6, [(2, 5)])
    settings = network.settings
    alone, both = (batch_labels(lengths, spans, settings) for lengths, spans in [
        ([6], [one.instances]), ([6, 9], [one.instances, NONE]),
    ])  # fmt: skip
    for short, padded in zip(alone, both, strict=True):
        assert torch.equal(padded[0, :6], short[0])
        assert not padded[0, 6:].any()
    assert not both[0][1].any()


def test_the_triplet_term_is_all_that_differs(examples):
    plain = SST_RIVAL.build(4, SMALL)
    other = SST_TRIPLET.build(4, {**SMALL, "triplet_weight": 0.0})
    other.load_state_dict(plain.state_dict())
    torch.testing.assert_close(SST_TRIPLET.loss(other, examples), SST_RIVAL.loss(plain, examples))
    other.settings = replace(other.settings, triplet_weight=1.0)
    assert SST_TRIPLET.loss(other, examples) > SST_RIVAL.loss(plain, examples)


def test_all_instances_teach_and_the_query_does_not(examples):
    network = SST_RIVAL.build(4, SMALL)
    loss = SST_RIVAL.loss(network, examples)
    unasked = [one._replace(query=torch.randn(2, 4), answers=NONE) for one in examples]
    torch.testing.assert_close(SST_RIVAL.loss(network, unasked), loss)
    fewer = [one._replace(instances=one.answers) for one in examples]
    assert not torch.isclose(SST_RIVAL.loss(network, fewer), loss)


def test_the_query_does_not_change_the_ranking():
    network = SST_TRIPLET.build(4, SMALL).eval()
    reference = torch.randn(12, 4)
    with torch.no_grad():
        first, second = (network.rank(torch.randn(n, 4), reference, NONE) for n in (3, 20))
    assert torch.equal(first.windows, second.windows)
    assert torch.equal(first.scores, second.scores)
    assert len(first.windows) == 12 + 11 + 10 + 9 + 8
    assert ((first.scores > 0) & (first.scores < 1)).all()


@pytest.mark.parametrize(("num_steps", "stride"), [(1, 1), (2, 3), (1, 3)])
def test_degenerate_references(num_steps, stride):
    for rival in (SST_RIVAL, SST_TRIPLET):
        network = rival.build(4, {**SMALL, "stride": stride})
        ranked = network.rank(torch.randn(9, 4), torch.randn(num_steps, 4), NONE)
        assert [0, num_steps] in ranked.windows.tolist()
        loss = rival.loss(network, [example(9, num_steps, [(0, 1)])])
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_the_trained_network_is_a_source_of_proposals(make_reference, tmp_path):
    network = SST_TRIPLET.build(3, SMALL)
    source = SSTProposals(network.sst)
    ranked = network.eval().rank(torch.randn(2, 3), make_reference().features, NONE)
    assert source.propose(make_reference())[0].tolist() == ranked.windows[ranked.scores.argmax()].tolist()
    loaded = load_proposals(source.save_pretrained(tmp_path))
    assert torch.equal(loaded.propose(make_reference()), source.propose(make_reference()))


@pytest.mark.parametrize("rival", [SST_RIVAL, SST_TRIPLET], ids=lambda rival: rival.name)
def test_the_model_of_a_run_proposes(rival, make_reference, tmp_path):
    network = rival.build(3, SMALL)
    RivalLocalizer(rival, network).save_pretrained(tmp_path)
    loaded = load_proposals(tmp_path)
    assert loaded.fingerprint() == SSTProposals(network.sst).fingerprint()
    assert torch.equal(loaded.propose(make_reference()), SSTProposals(network.sst).propose(make_reference()))


def test_models_that_propose_nothing_are_refused(tmp_path):
    RivalLocalizer(RIVALS["cgbm"], RIVALS["cgbm"].build(3)).save_pretrained(tmp_path / "cgbm")
    with pytest.raises(CheckpointError, match="not one of SST \\(got 'cgbm'\\)"):
        load_proposals(tmp_path / "cgbm")
    MGFFNet(in_channels=3, hidden_channels=4).save_pretrained(tmp_path / "mgffnet")
    with pytest.raises(CheckpointError, match="proposes nothing"):
        load_proposals(tmp_path / "mgffnet")
    RivalLocalizer(SST_RIVAL, SST_RIVAL.build(3, SMALL)).save_pretrained(tmp_path / "sst")
    config = json.loads((tmp_path / "sst" / "config.json").read_text())
    del config["settings"]["stride"]
    (tmp_path / "sst" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="unusable: 'stride'"):
        load_proposals(tmp_path / "sst")


def test_settings():
    assert SST_RIVAL.build(3).settings == SSTSettings()
    assert SST_TRIPLET.build(3, {"margin": 0.2}).settings.margin == 0.2
    assert RIVALS["sst"] is SST_RIVAL
    assert RIVALS["sst-triplet"] is SST_TRIPLET
    for wrong in ({"triplet_weight": -1.0}, {"margin": -0.1}):
        with pytest.raises(SettingsError, match="triplet_weight >= 0"):
            SST_TRIPLET.build(3, wrong)
    with pytest.raises(SettingsError, match="Unknown setting 'margin'"):
        SST_RIVAL.build(3, {"margin": 0.2})


def test_drawn_examples_can_be_learned_from(small_splits):
    pool, rng = TrainingPool(small_splits["train"]), np.random.default_rng(0)
    drawn = [SST_TRIPLET.draw(pool, rng, None) for _ in range(3)]
    network = SST_TRIPLET.build(8, SMALL)
    SST_TRIPLET.loss(network, drawn).backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("rival", [SST_RIVAL, SST_TRIPLET], ids=lambda rival: rival.name)
def test_learns_eight_references_by_heart(rival, eight_pairs, steps_until_learned):
    """It never sees the query, so it can do so only since each of these references has one instance.

    Every anchor above the overlap is equally positive: it is raised, so that the best one is a hit at .7.
    """
    network = rival.build(8, {"hidden_channels": 64, "num_anchors": 32, "overlap": 0.75})
    assert steps_until_learned(rival, network, eight_pairs, lambda: eight_pairs, 1e-2) is not None
