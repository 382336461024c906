import math

import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.examples import Example, draw_example, pad_clips
from vreloc_pyg.systems.matching_transformer.joint_layer import JointLayer, sinusoids
from vreloc_pyg.systems.matching_transformer.matching_decoding import NUM_VOTERS, decode, whole_steps
from vreloc_pyg.systems.matching_transformer.matching_losses import (
    boundary_loss,
    focal_loss,
    span_loss,
    step_targets,
)
from vreloc_pyg.systems.matching_transformer.matching_relations import (
    NUM_RELATIONS,
    SHARPNESS,
    TEMPLATES,
    relations,
)
from vreloc_pyg.systems.matching_transformer.matching_transformer import MATCHING_TRANSFORMER
from vreloc_pyg.systems.spec import Traits

WIDTH = 6
NONE = torch.zeros(0, 2, dtype=torch.long)


def network(**settings):
    small = {"hidden_channels": 16, "num_layers": 2, "num_heads": 2, **settings}
    return MATCHING_TRANSFORMER.build(Traits(WIDTH), small).eval()


def clips(*lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, WIDTH, generator=generator) for length in lengths]


def example_of(query, reference, steps):
    return Example(query, reference, torch.tensor(steps), torch.tensor(steps))


def answers_of(model, queries, references):
    related = pad_clips([relations(q, r) for q, r in zip(queries, references, strict=True)]).features
    return model(pad_clips(queries), pad_clips(references), related)


@pytest.mark.parametrize("content", [True, False])
def test_padding_a_batch_changes_nothing(content):
    model, queries, references = network(content=content), clips(3, 9, 1), clips(20, 7, 13, seed=1)
    together = answers_of(model, queries, references)
    for index, (query, reference) in enumerate(zip(queries, references, strict=True)):
        alone = answers_of(model, [query], [reference])
        for padded, single in zip(together, alone, strict=True):
            assert torch.allclose(padded[index, : len(reference)], single[0], atol=1e-5)


def test_what_lies_in_the_padding_is_not_seen():
    model, queries, references = network(), pad_clips(clips(3, 9)), pad_clips(clips(20, 7, seed=1))
    related = torch.randn(2, 20, NUM_RELATIONS)
    expected = model(queries, references, related)
    changed = queries.features.clone()
    changed[0, 3:] = 100.0
    found = model(queries._replace(features=changed), references, related)
    assert all(torch.allclose(a[0], b[0], atol=1e-5) for a, b in zip(expected, found, strict=True))
    unmasked = queries._replace(features=changed, mask=torch.ones_like(queries.mask))
    assert not torch.allclose(model(unmasked, references, related).foreground[0], expected.foreground[0])


@torch.no_grad()
def test_joint_layer_equals_attention_by_hand():
    layer, steps = JointLayer(8, 2, 0.3).eval(), torch.randn(1, 5, 8)
    mask = torch.tensor([[True, True, False, True, False]])
    normed = layer.attention_norm(steps)[0]
    query, key, value = layer.inputs(normed).chunk(3, dim=1)
    mixed = torch.zeros(5, 8)
    for t in range(5):
        for head in (slice(0, 4), slice(4, 8)):
            weights = {u: math.exp(float(query[t, head] @ key[u, head]) / 2) for u in (0, 1, 3)}
            for u, weight in weights.items():
                mixed[t, head] += weight / sum(weights.values()) * value[u, head]
    expected = steps[0] + layer.output(mixed)
    expected = expected + layer.mlp(expected)
    assert torch.allclose(layer(steps, mask)[0], expected, atol=1e-5)


def test_sinusoids_are_those_of_the_paper():
    found = sinusoids(7, 6)
    for step in range(7):
        for pair in range(3):
            angle = step / 10_000 ** (2 * pair / 6)
            expected = [math.sin(angle), math.cos(angle)]
            assert found[step, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(expected, abs=1e-5)


def test_spans_surround_their_steps_and_grow_with_the_query():
    query, reference = clips(5, 11)
    found = answers_of(network(), [query], [reference])
    centres = torch.arange(11) + 0.5
    assert (found.spans[0, :, 0] < centres).all()
    assert (found.spans[0, :, 1] > centres).all()
    related = relations(query, reference).unsqueeze(0)
    model, references, queries = network(), pad_clips([reference]), pad_clips([query])
    torch.manual_seed(0)
    short = model(queries, references, related).spans
    long = model(queries._replace(lengths=2 * queries.lengths), references, related).spans
    assert torch.allclose(long[0, :, 1] - centres, 2 * (short[0, :, 1] - centres), rtol=1e-4)


def test_relations_equal_explicit_loops():
    query, reference = clips(6, 15)
    found = relations(query, reference)
    unit = math.sqrt(float((reference - reference.mean(0)).square().sum(1).mean()))
    for column, ((first, last), (before, after)) in enumerate(TEMPLATES):
        part = query[int(first * 6) : max(round(last * 6), int(first * 6) + 1)]
        near = []
        for step in range(15):
            start = min(max(round(step + 0.5 + before * 6), 0), 14)
            window = reference[start : max(min(round(step + 0.5 + after * 6), 15), start + 1)]
            mean, deviation = part.mean(0) - window.mean(0), part.std(0, False) - window.std(0, False)
            near.append(float(torch.cat([mean, deviation]).norm()) / unit)
        near = torch.tensor(near)
        assert torch.allclose(found[:, column], near, atol=1e-4)
        standard = (near - near.mean()) / near.std(correction=0).clamp(min=1e-3)
        assert torch.allclose(found[:, len(TEMPLATES) + column], standard, atol=1e-3)
    for step in range(15):
        single = [float((reference[step] - other).norm()) / unit for other in query]
        weights = [math.exp(-SHARPNESS * distance) for distance in single]
        place = sum(w * (j + 0.5) / 6 for j, w in enumerate(weights)) / sum(weights)
        expected = [min(single), sum(single) / 6, place]
        assert found[step, -3:].tolist() == pytest.approx(expected, abs=1e-4)


MIRROR = ((1, 0, 2, 3, 5, 4), (-1.0, -1.0, 1.0, 1.0, 1.0, 1.0))


def test_a_mirror_image_is_as_near_as_the_query():
    query, reference = clips(6, 15)
    image = query[:, list(MIRROR[0])] * torch.tensor(MIRROR[1])
    found = relations(query, reference, MIRROR)
    assert torch.allclose(found, relations(image, reference, MIRROR), atol=1e-4)
    count = len(TEMPLATES)
    both = torch.minimum(relations(query, reference)[:, :count], relations(image, reference)[:, :count])
    assert torch.allclose(found[:, :count], both, atol=1e-5)
    model = network(mirror_index=MIRROR[0], mirror_sign=MIRROR[1])
    assert torch.equal(model.relate(query, reference), found)


@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_relations_do_not_depend_on_the_scale_of_features(factor):
    query, reference = clips(6, 15)
    assert torch.allclose(
        relations(factor * query, factor * reference), relations(query, reference), atol=1e-3
    )


def test_step_targets_equal_an_explicit_search():
    intervals = torch.tensor([[2, 5], [4, 7], [9, 10]])
    inside, spans = step_targets(intervals, 12)
    for step in range(12):
        holding = [one for one in intervals.tolist() if one[0] <= step < one[1]]
        assert bool(inside[step]) == bool(holding)
        assert spans[step].tolist() == (holding[0] if holding else [0, 0])


@pytest.mark.parametrize("focus", [0.0, 2.0])
def test_focal_loss_equals_explicit_loops(focus):
    logits, targets = torch.randn(2, 5), torch.rand(2, 5) < 0.5
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    terms = []
    for row, step in mask.nonzero().tolist():
        yes = 1 / (1 + math.exp(-float(logits[row, step])))
        right = yes if targets[row, step] else 1 - yes
        terms.append(-((1 - right) ** focus) * math.log(right))
    found = focal_loss(logits, targets, mask, focus)
    assert float(found) == pytest.approx(sum(terms) / len(terms), abs=1e-5)


def test_span_loss_equals_explicit_loops():
    starts = 10 * torch.rand(2, 4, 1)
    spans = torch.cat([starts, starts + 5 * torch.rand(2, 4, 1) + 0.1], dim=2)
    targets = torch.tensor([3, 8]).expand(2, 4, 2)
    inside = torch.tensor([[True, False, True, True], [True, True, False, False]])
    terms = []
    for row, step in inside.nonzero().tolist():
        start, end = spans[row, step].tolist()
        overlap = max(0.0, min(end, 8) - max(start, 3))
        iou, hull = overlap / (end - start + 5 - overlap), max(end, 8) - min(start, 3)
        terms.append(1 - iou + (((start + end) / 2 - 5.5) / hull) ** 2)
    assert float(span_loss(spans, targets, inside)) == pytest.approx(sum(terms) / len(terms), abs=1e-5)


def test_span_loss_is_zero_for_right_spans_and_without_any():
    targets, inside = torch.tensor([[[2, 6], [2, 6]]]), torch.tensor([[True, False]])
    assert float(span_loss(targets.float(), targets, inside)) == 0
    spans = targets.float().requires_grad_()
    empty = span_loss(spans, targets, torch.zeros_like(inside))
    empty.backward()
    assert float(empty.detach()) == 0


def test_boundary_loss_equals_explicit_loops():
    logits, mask = torch.randn(2, 4), torch.tensor([[True] * 4, [True, True, True, False]])
    targets = torch.tensor([[False, True, False, True], [True, False, False, False]])
    terms = []
    for row in range(2):
        weights = [math.exp(float(logits[row, step])) if mask[row, step] else 0.0 for step in range(4)]
        right = sum(weight for step, weight in enumerate(weights) if targets[row, step])
        terms.append(-math.log(right / sum(weights)))
    assert float(boundary_loss(logits, targets, mask)) == pytest.approx(sum(terms) / 2, abs=1e-5)


def test_decoding_equals_explicit_loops():
    num_steps, kept, share = 30, 4, 0.07
    foreground, starts, ends = torch.randn(3, num_steps, dtype=torch.float64)
    centres = torch.arange(num_steps) + 0.5
    spans = torch.stack([centres - 9 * torch.rand(num_steps), centres + 9 * torch.rand(num_steps)], dim=1)
    windows, scores = decode(foreground, spans, starts, ends, share, kept)
    firsts = starts.argsort(descending=True)[:kept].tolist()
    lasts = ends.argsort(descending=True)[:kept].tolist()
    expected = {(first, last + 1) for first in firsts for last in lasts if first < last + 1}
    expected |= {tuple(window) for window in whole_steps(spans, num_steps).tolist()}
    assert {tuple(window) for window in windows.tolist()} == expected
    assert len(windows) == len(expected)
    sure = foreground.argsort(descending=True)[:NUM_VOTERS]
    for window, score in zip(windows, scores, strict=True):
        total = 0.0
        for step in sure.tolist():
            overlap = temporal_iou(window.double()[None], spans[step].double().clamp(0, num_steps)[None])
            total += float(overlap) / (1 + math.exp(-float(foreground[step])))
        start, end = window.tolist()
        likely = torch.log_softmax(starts, 0)[start] + torch.log_softmax(ends, 0)[end - 1]
        assert float(score) == pytest.approx(total / NUM_VOTERS + share * float(likely), abs=1e-6)


def test_constant_features_have_an_answer_and_a_loss():
    example = example_of(torch.ones(1, WIDTH), torch.ones(1, WIDTH), [[0, 1]])
    model = network().train()
    loss = MATCHING_TRANSFORMER.loss(model, [example])
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert model.eval().rank(example.query, example.reference, NONE).windows.tolist() == [[0, 1]]


@pytest.mark.learns
def test_overfits_eight_pairs(small_splits, steps_until_learned):
    pool, rng = TrainingPool(small_splits["train"]), np.random.default_rng(0)
    examples = [draw_example(pool, rng, None) for _ in range(8)]
    settings = {"hidden_channels": 32, "dropout": 0.0, "boundary_weight": 0.3}
    model = MATCHING_TRANSFORMER.build(Traits(8), settings)
    assert steps_until_learned(MATCHING_TRANSFORMER, model, examples, lambda: examples, 3e-3) is not None
