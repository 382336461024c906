import math

import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.segments import decode_offsets, temporal_iou
from vreloc_pyg.systems.aft_srm.aft_srm import AFT_SRM, TripletExample, aft_srm_loss, draw_triplet
from vreloc_pyg.systems.aft_srm.attention_fusion import AttentionFusion, relevance_blocks
from vreloc_pyg.systems.spec import Traits

WIDTH = 6
SMALL = {"hidden_channels": 8, "num_steps": 4, "fusion_channels": 5, "channels": (6, 7), "head_channels": 4}


def network(**settings):
    return AFT_SRM.build(Traits(WIDTH), {**SMALL, **settings}).eval()


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


def test_offsets_of_drawn_triplets_are_small(small_splits):
    pool, rng = TrainingPool(small_splits["train"]), np.random.default_rng(0)
    assert all(draw_triplet(pool, rng, None).offsets.abs().max() < 1 for _ in range(5))


def test_the_regression_head_has_its_own_rate():
    model = network(regression_learning_rate=0.1)
    trunk, regression = model.parameter_groups(AFT_SRM.training_for({"learning_rate": 1e-3}))
    assert (trunk.learning_rate, regression.learning_rate) == (1e-3, 0.1)
    assert {id(p) for p in regression.parameters} == {id(p) for p in model.regression_head.parameters()}


def test_the_regression_loss_does_not_reach_the_trunk():
    model = network().train()
    clips, mask = torch.randn(3, 4, WIDTH), everything(3, 4)
    model(clips, clips.flip(0), mask, mask).offsets.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("regression_head"), name
    model(clips, clips.flip(0), mask, mask).score.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.learns
def test_overfits_eight_pairs(small_splits):
    """Its score prefers the answer to three wrong windows, and the offsets learned leave it in place."""
    split = small_splits["train"]
    pairs = [split[index] for index in range(8)]
    settings = {"hidden_channels": 32, "fusion_channels": 16, "channels": (16, 16, 32), "dropout": 0.0}
    model = AFT_SRM.build(Traits(8), settings)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    rng, candidates = np.random.default_rng(0), []
    for query, reference in pairs:
        start, end = reference.steps_of(query.label)[0].tolist()
        length = end - start
        moved = [[max(0, start - length), start + 1], [end - 1, min(reference.num_steps, end + length)]]
        windows = torch.tensor([[start, end], *moved, [0, reference.num_steps]])
        candidates.append(windows[windows[:, 0] < windows[:, 1]])
    for _ in range(120):
        examples = []
        for (query, reference), windows in zip(pairs, candidates, strict=True):
            wrong = windows[int(rng.integers(1, len(windows)))].tolist()
            cut = [reference.features[slice(*window)] for window in (windows[0].tolist(), wrong)]
            examples.append(TripletExample(query.features, *cut, torch.zeros(2)))
        loss = AFT_SRM.loss(model, examples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    for (query, reference), windows in zip(pairs, candidates, strict=True):
        with torch.no_grad():
            ranked = model.rank(query.features, reference.features, windows)
        assert ranked.scores[0] > ranked.scores[1:].max() + 0.1
        assert temporal_iou(ranked.answers[:1], windows[:1].double()) > 0.5
