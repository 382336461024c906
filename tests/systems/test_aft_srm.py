import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.segments import decode_offsets, temporal_iou
from vreloc_pyg.systems.aft_srm.aft_srm import TripletExample, aft_srm_loss, draw_triplet
from vreloc_pyg.systems.aft_srm.attention_fusion import AttentionFusion, relevance_blocks
from vreloc_pyg.systems.catalog import AFT_SRM, RIVALS

WIDTH = 6
SMALL = {"hidden_channels": 8, "num_steps": 4, "fusion_channels": 5, "channels": (6, 7), "head_channels": 4}


def network(**settings):
    return AFT_SRM.build(WIDTH, {**SMALL, **settings}).eval()


def clip(num_steps, seed=0):
    return torch.randn(num_steps, WIDTH, generator=torch.Generator().manual_seed(seed))


def triplets(count=3):
    return [
        TripletExample(clip(3 + i, i), clip(5, i + 10), clip(9 - i, i + 20), torch.tensor([0.1, -0.2]))
        for i in range(count)
    ]


def everything(*shape):
    return torch.ones(shape, dtype=torch.bool)


@torch.no_grad()
def test_fusion_equals_explicit_loops():
    fusion, queries, proposals = AttentionFusion(4, 3), torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    query_mask, proposal_mask = everything(2, 3), everything(2, 5)
    query_mask[1, 2:], proposal_mask[1, 3:] = False, False
    found = fusion(queries, proposals, query_mask, proposal_mask)
    assert found.shape == (2, 3, 3, 5)
    for b in range(2):
        own = [i for i in range(3) if query_mask[b, i]]
        theirs = [j for j in range(5) if proposal_mask[b, j]]
        raw = {
            (i, j): math.exp(float(fusion.similarity(queries[b, i]) @ proposals[b, j]) / 2)
            for i in own
            for j in theirs
        }
        for i in range(3):
            for j in range(5):
                if (i, j) not in raw:
                    assert found[b, :, i, j].tolist() == [0, 0, 0]
                    continue
                share = raw[i, j] / sum(raw[i, other] for other in theirs)
                share += raw[i, j] / sum(raw[other, j] for other in own)
                one, two = queries[b, i], proposals[b, j]
                joined = torch.cat(
                    [share * one * two, (one - two).abs(), (one @ two / one.norm() / two.norm())[None]]
                )
                projection = torch.cat(
                    [fusion.of_product.weight, fusion.of_difference.weight, fusion.of_cosine.weight], dim=1
                )
                expected = projection @ joined + fusion.of_difference.bias
                assert torch.allclose(found[b, :, i, j], expected, atol=1e-5)


@torch.no_grad()
def test_attention_sums_to_one_in_both_directions_and_leaves_padding_out():
    fusion, both = AttentionFusion(4, 3), everything(1, 3, 5)
    both[:, 2], both[:, :, 3:] = False, False
    attention = fusion.attention(torch.randn(1, 3, 4), torch.randn(1, 5, 4), both)
    assert (attention[~both] == 0).all()
    assert float(attention.sum()) == pytest.approx(2 + 3)  # one for each row and one for each column


@torch.no_grad()
def test_one_query_of_all_proposals_is_the_same_as_one_each():
    fusion, query, proposals = AttentionFusion(4, 3), torch.randn(1, 3, 4), torch.randn(6, 5, 4)
    once = fusion(query, proposals, everything(1, 3), everything(6, 5))
    each = fusion(query.repeat(6, 1, 1), proposals, everything(6, 3), everything(6, 5))
    assert torch.allclose(once, each, atol=1e-6)


def test_blocks_halve_and_pool():
    blocks = relevance_blocks(5, (6, 7))
    assert blocks(torch.randn(2, 5, 16, 16)).shape == (2, 7)
    assert blocks[:4](torch.randn(2, 5, 16, 16)).shape == (2, 6, 8, 8)


@pytest.mark.parametrize("fit", ["resample", "pad"])
@torch.no_grad()
def test_other_windows_and_chunks_change_no_answer(fit):
    query, reference = clip(3), clip(20, seed=1)
    windows = torch.tensor([[0, 2], [3, 20], [5, 6], [0, 20], [7, 15]])
    ranked = network(fit=fit, chunk=2).rank(query, reference, windows)
    for index, window in enumerate(windows):
        alone = network_like(fit=fit).rank(query, reference, window[None])
        assert torch.allclose(ranked.scores[index], alone.scores[0], atol=1e-5)
        assert torch.allclose(ranked.answers[index], alone.answers[0], atol=1e-5)
    assert ranked.windows.tolist() == windows.tolist()


def network_like(**settings):
    """A network of the weights that the first of a test has."""
    torch.manual_seed(0)
    return network(**settings)


@torch.no_grad()
def test_refines_by_its_offsets_or_not_at_all():
    query, reference, windows = clip(3), clip(20, seed=1), torch.tensor([[4, 12], [6, 10]])
    model = network()
    model.regression_head.mlp[-1].weight.zero_()
    model.regression_head.mlp[-1].bias.copy_(torch.tensor([0.25, math.log(0.5)]))
    offsets = model.regression_head.mlp[-1].bias.double().expand(2, 2)
    expected = decode_offsets(windows.double(), offsets).clamp(0, 20)
    assert torch.allclose(model.rank(query, reference, windows).answers, expected)
    assert network(refine=False).rank(query, reference, windows).answers is None


def test_loss_equals_explicit_loops():
    examples, model = triplets(), network()
    hinges, distances = [], []
    with torch.no_grad():
        for query, positive, negative, offsets in examples:
            own, mask = model.clips(query, torch.tensor([[0, len(query)]]))
            found = [
                model(own, *with_mask(model.clips(window, torch.tensor([[0, len(window)]])), mask))
                for window in (positive, negative)
            ]
            hinges.append(max(0.0, 0.5 - float(found[0].score) + float(found[1].score)))
            distances.append(float((found[0].offsets[0] - offsets).abs().sum()))
        loss = aft_srm_loss(model, examples)
    assert float(loss) == pytest.approx(sum(hinges) / 3 + sum(distances) / 3, abs=1e-5)


def with_mask(clips, query_mask):
    return clips[0], query_mask, clips[1]


def test_the_regression_loss_does_not_reach_the_trunk():
    model = network().train()
    clips, mask = torch.randn(3, 4, WIDTH), everything(3, 4)
    model(clips, clips.flip(0), mask, mask).offsets.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("regression_head"), name
    model(clips, clips.flip(0), mask, mask).score.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_every_parameter_is_in_one_group_and_the_regression_head_has_its_own_rate():
    model = network(regression_learning_rate=0.1)
    trunk, regression = model.parameter_groups(1e-3)
    assert (trunk["lr"], regression["lr"]) == (1e-3, 0.1)
    assert {id(p) for p in regression["params"]} == {id(p) for p in model.regression_head.parameters()}
    chosen = [id(parameter) for group in (trunk, regression) for parameter in group["params"]]
    assert sorted(chosen) == sorted(id(parameter) for parameter in model.parameters())


@given(st.integers(1, 12), st.integers(1, 40), st.sampled_from(["resample", "pad"]), st.integers(0, 5))
def test_answers_lie_in_the_reference(query_steps, reference_steps, fit, seed):
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(0, reference_steps + 1, size=(7, 2)), axis=1)
    windows = torch.from_numpy(np.concatenate([ends[ends[:, 0] < ends[:, 1]], [[0, reference_steps]]]))
    with torch.no_grad():
        ranked = network(fit=fit).rank(clip(query_steps), clip(reference_steps, seed=1), windows)
    assert (ranked.scores.abs() <= 1).all()
    assert (ranked.answers >= 0).all()
    assert (ranked.answers <= reference_steps).all()
    assert (ranked.answers[:, 1] - ranked.answers[:, 0] > 1 - 1e-9).all()


@pytest.mark.parametrize("augmentation", [None, Augmentation(feature_dropout=0.2, scale=0.3)])
def test_a_drawn_triplet_is_a_function_of_the_random_state(small_splits, augmentation):
    pool = TrainingPool(small_splits["train"])
    one, two, other = (draw_triplet(pool, np.random.default_rng(s), augmentation) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert one.positive.shape != other.positive.shape or not torch.equal(one.positive, other.positive)
    assert one.offsets.abs().max() < 1


def test_an_untrained_network_has_a_loss_of_one_triplet():
    loss = aft_srm_loss(network().train(), triplets(2)[:1] * 2)
    assert torch.isfinite(loss)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 8, "channels": (4, 4, 4, 4)}, r"num_steps >= 16, since 4 blocks halve it \(got 8\)"),
        ({"hidden_channels": 0}, "hidden_channels >= 1"),
        ({"channels": ()}, "channels as one or more"),
        ({"fit": "cut"}, "'resample' or 'pad'"),
        ({"dropout": 1.0}, "dropout in"),
        ({"regression_learning_rate": 0.0}, "positive regression_learning_rate"),
    ],
)
def test_refuses_impossible_settings(settings, message):
    with pytest.raises(SettingsError, match=message):
        network(**settings)


def test_rivals_are_known_by_their_names():
    assert RIVALS["aft-srm"] is AFT_SRM
    assert all(name == rival.name for name, rival in RIVALS.items())


@pytest.mark.slow
def test_overfits_eight_pairs(small_splits):
    split = small_splits["train"]
    pairs = [split[index] for index in range(8)]
    settings = {"hidden_channels": 32, "fusion_channels": 16, "channels": (16, 16, 32), "dropout": 0.0}
    model = AFT_SRM.build(8, settings)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    rng, candidates = np.random.default_rng(0), []
    for query, reference in pairs:
        [truth] = reference.steps_of(query.label).tolist()[:1]
        start, end = truth
        length = end - start
        moved = [[max(0, start - length), start + 1], [end - 1, min(reference.num_steps, end + length)]]
        windows = torch.tensor([truth, *moved, [0, reference.num_steps]])
        candidates.append(windows[windows[:, 0] < windows[:, 1]])
    for _ in range(150):
        examples = []
        for (query, reference), windows in zip(pairs, candidates, strict=True):
            wrong = windows[int(rng.integers(1, len(windows)))].tolist()
            right = windows[0].tolist()
            cut = [reference.features[slice(*window)] for window in (right, wrong)]
            examples.append(TripletExample(query.features, *cut, torch.zeros(2)))
        loss = AFT_SRM.loss(model, examples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    for (query, reference), windows in zip(pairs, candidates, strict=True):
        with torch.no_grad():
            ranked = model.rank(query.features, reference.features, windows)
        best = ranked.answers[ranked.scores.argmax()][None]
        assert temporal_iou(best, reference.steps_of(query.label).double()).max() > 0.7
