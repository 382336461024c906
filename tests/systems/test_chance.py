import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.evaluation.hits import best_tiou, expected_hits, single_run_std
from vreloc_pyg.systems.rules.chance import Chance

TRAIN_LENGTHS = ((0, 5), (2, 9), (4, 9), (0, 20))


def length_probability(kind, length, num_steps, query_steps):
    """p(L) by its definition."""
    if kind == "query_length":
        return float(length == min(query_steps, num_steps))
    if kind == "uniform_length":
        return 1 / num_steps
    if kind == "uniform_segment":
        return (num_steps - length + 1) / (num_steps * (num_steps + 1) / 2)
    fitting = [end - start for start, end in TRAIN_LENGTHS if end - start <= num_steps]
    return fitting.count(length) / len(fitting) if fitting else float(length == num_steps)


def overlap(a, b):
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


@pytest.mark.parametrize("kind", ["train_length", "uniform_segment", "uniform_length", "query_length"])
@pytest.mark.parametrize(("num_steps", "query_steps"), [(23, 6), (23, 30), (6, 1), (3, 2), (1, 1)])
def test_equals_the_double_loop_over_placements(
    kind, num_steps, query_steps, make_query, make_reference, make_split
):
    thresholds = (0.25, 0.5, 0.75)
    truths = [truth for truth in ((0, 1), (4, 6), (9, 17)) if truth[1] <= num_steps]
    query, reference = make_query(query_steps), make_reference(num_steps, steps=truths)
    hit, tiou = [0.0] * 3, 0.0
    for length in range(1, num_steps + 1):
        for start in range(num_steps - length + 1):
            p = length_probability(kind, length, num_steps, query_steps) / (num_steps - length + 1)
            best = max(overlap((start, start + length), truth) for truth in truths)
            tiou += p * best
            hit = [h + p * (best > t) for h, t in zip(hit, thresholds, strict=True)]
    chance = Chance(kind).fit(make_split(TRAIN_LENGTHS))
    bounds, probabilities = chance.placements(query, reference)
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-12)
    expected = expected_hits(bounds, probabilities, reference.segments, thresholds)
    assert expected.tolist() == pytest.approx(hit, abs=1e-12)
    assert float(probabilities @ best_tiou(bounds, reference.segments)) == pytest.approx(tiou, abs=1e-12)


def test_hand_worked(make_query, make_reference):
    # The six segments of a reference of 3 steps are equally likely; [0, 2) has tIoU 1/2 with [0, 1), which
    # is no hit at .5, and 2/3 with [0, 3).
    reference = make_reference(3, steps=((0, 2),))
    bounds, probabilities = Chance("uniform_segment").placements(make_query(), reference)
    assert sorted(map(tuple, (bounds / 0.5).tolist())) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert probabilities.tolist() == pytest.approx([1 / 6] * 6)
    expected = expected_hits(bounds, probabilities, reference.segments, (0.3, 0.5, 0.7))
    assert expected.tolist() == pytest.approx([5 / 6, 2 / 6, 1 / 6])


def test_query_length_is_a_duration(make_query, make_reference):
    # 6 steps of .25 s are 3 steps of .5 s.
    bounds, _ = Chance("query_length").placements(
        make_query(6, seconds_per_step=0.25), make_reference(5, steps=())
    )
    assert bounds.tolist() == [[0.0, 1.5], [0.5, 2.0], [1.0, 2.5]]


@given(st.integers(1, 40), st.integers(0, 5))
def test_draws_are_placements_and_different(num_steps, seed):
    query = Query(torch.zeros(4, 2), 0.1, "", "q")
    reference = Reference(torch.zeros(num_steps, 2), 0.1, torch.zeros(0, 2), (), "r")
    chance = Chance("uniform_segment", seed=seed)
    drawn = [tuple(row) for row in chance.localize(query, reference, top_n=5).bounds.tolist()]
    possible = {tuple(row) for row in chance.placements(query, reference)[0].tolist()}
    assert set(drawn) <= possible
    assert len(set(drawn)) == len(drawn) == min(5, len(possible))


def test_draws_follow_the_probabilities(make_query, make_reference):
    reference = make_reference(4, steps=())
    counts = Counter(
        tuple(Chance("uniform_length", seed=seed).localize(make_query(), reference).bounds[0].tolist())
        for seed in range(2000)
    )
    bounds, probabilities = Chance("uniform_length").placements(make_query(), reference)
    for segment, p in zip(map(tuple, bounds.tolist()), probabilities.tolist(), strict=True):
        assert counts[segment] / 2000 == pytest.approx(p, abs=4 * (p * (1 - p) / 2000) ** 0.5)


def test_the_seed_and_the_pair_decide_the_draw(make_query, make_reference):
    def draw(seed, video_id="q"):
        query = make_query(video_id=video_id)
        return Chance("uniform_segment", seed).localize(query, make_reference(200)).bounds.tolist()

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    assert draw(0) != draw(0, "another query")


def test_single_run_std_is_that_of_simulated_runs():
    p = torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    runs = torch.bernoulli(p.expand(20_000, 40, 2), generator=torch.Generator().manual_seed(1)).mean(1)
    torch.testing.assert_close(single_run_std(p, torch.full((40,), 1 / 40)), runs.std(0), rtol=0.03, atol=0)
    assert single_run_std(torch.ones(5, 1), torch.full((5,), 0.2)).tolist() == [0.0]
    # Of two pairs that count 1/4 and 3/4.
    expected = 0.5 * math.sqrt(1 / 16 + 9 / 16)
    spread = single_run_std(torch.full((2, 1), 0.5), torch.tensor([0.25, 0.75]))
    assert spread.tolist() == pytest.approx([expected])


def test_refuses_an_unknown_kind():
    with pytest.raises(SettingsError, match=r"'kind'.*'train_length'.*\(got 'fair'\)"):
        Chance("fair")
