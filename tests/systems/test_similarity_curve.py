"""Stretches of a similarity curve, against loops; and the ten lines it has to beat."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import FeatureError
from vreloc_pyg.systems.rules.mean_cosine import MeanCosine
from vreloc_pyg.systems.rules.similarity_curve import SimilarityCurve, between_pauses, maximal_intervals

STEP_S = 0.5


def clip(features: torch.Tensor) -> Query:
    return Query(features, STEP_S, "", "q")


def video(features: torch.Tensor) -> Reference:
    return Reference(features, STEP_S, torch.empty(0, 2), (), "r")


def steps(*parts: tuple[int, int], noise: float = 0.1, seed: int = 0) -> torch.Tensor:
    """Steps that show one of eight things each: so many of the first, then so many of the second, ..."""
    shown = torch.cat([torch.eye(8)[thing].expand(count, 8) for thing, count in parts])
    return shown + noise * torch.randn(shown.shape, generator=torch.manual_seed(seed))


@given(
    arrays.arrays(float, st.integers(1, 14), elements=st.integers(-4, 4).map(float)),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_intervals_are_the_best_of_all_in_turn(values, shortest, count):
    taken = np.zeros(len(values), dtype=bool)
    found = maximal_intervals(values, [(0, len(values))], shortest, count)
    for number, (start, end) in enumerate(found):
        assert end - start >= shortest
        assert not taken[start:end].any()
        best = max(
            values[a:b].sum()
            for a in range(len(values))
            for b in range(a + shortest, len(values) + 1)
            if not taken[a:b].any()
        )
        assert values[start:end].sum() == best
        assert best > 0 or number == 0
        taken[start:end] = True
    assert len(found) <= count
    assert bool(found) == (len(values) >= shortest)


@pytest.mark.parametrize("length", [6, 12, 30])
def test_an_answer_is_as_long_as_the_action_whatever_the_query_is(length):
    reference = video(steps((1, 20), (0, length), (2, 25), (3, 9)))
    found = SimilarityCurve().localize(clip(steps((0, 12), seed=1)), reference, 5)
    assert next(iter(found)) == (20 * STEP_S, (20 + length) * STEP_S)
    assert float(found.scores[0]) == pytest.approx(1, abs=0.05)
    assert (found.scores[1:] < 0.5).all()


def test_a_pause_is_a_run_that_falls_short_by_enough():
    values = np.array([1, 1, -1, 1, -2, -2, 1, -1, -1, -1, -3.0])
    assert between_pauses(values, 3.5) == [(0, 4), (6, 7)]
    assert between_pauses(values, 5.0) == [(0, 7)]
    assert between_pauses(values, 9.0) == [(0, 11)]
    assert between_pauses(-values[4:6] - 5, 0.5) == [(0, 2)]  # nothing but a pause is one part


def test_an_action_done_twice_with_a_short_pause_is_two_answers():
    reference = video(steps((1, 20), (0, 12), (2, 3), (0, 12), (3, 20)))
    found = SimilarityCurve().localize(clip(steps((0, 12), seed=1)), reference, 5)
    assert {tuple(one) for one in list(found)[:2]} == {(10.0, 16.0), (17.5, 23.5)}


def test_all_occurrences_come_before_anything_else():
    reference = video(steps((1, 20), (0, 8), (2, 25), (0, 16), (3, 9)))
    found = SimilarityCurve().localize(clip(steps((0, 12), seed=1)), reference, 9)
    assert {tuple(one) for one in list(found)[:2]} == {(10.0, 14.0), (26.5, 34.5)}


def test_several_clips_of_an_action_say_what_they_share():
    """One shows the action in a kitchen, one in a garden; the reference shows the action and the kitchen."""
    action, kitchen, garden, other = torch.eye(4)
    queries = [clip((action + place).expand(9, 4)) for place in (kitchen, garden)]
    reference = video(torch.stack([kitchen] * 20 + [action + other] * 10 + [other] * 20))
    rule = SimilarityCurve()
    alone, together = rule.curve(queries[:1], reference), rule.curve(queries, reference)
    assert alone.argmax() < 20 <= together.argmax() < 30
    assert next(iter(rule.stretches(queries, reference, together))) == (0, 15)


@pytest.mark.parametrize("rule", [SimilarityCurve(), MeanCosine()])
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_constant_short_and_empty_looking_videos_have_an_answer(rule, num_steps):
    for value in (0.0, 1.0):
        found = rule.localize(clip(torch.full((3, 4), value)), video(torch.full((num_steps, 4), value)), 3)
        assert len(found) >= 1
        assert torch.isfinite(found.scores).all()
        assert 0 <= found.bounds.min() < found.bounds.max() <= num_steps * STEP_S
    with pytest.raises(FeatureError, match="reference 'r'"):
        rule.localize(clip(torch.ones(3, 4)), video(torch.ones(num_steps, 5)))


def test_mean_cosine_is_ten_lines():
    query, reference = torch.randn(5, 6, generator=torch.manual_seed(0)), torch.randn(23, 6)
    found = MeanCosine(nms_threshold=None).localize(clip(query), video(reference), 99)
    wanted = query.mean(0).double()
    best = sorted(
        (
            (-float(torch.cosine_similarity(reference[a : a + 5].double().mean(0), wanted, dim=0)), a)
            for a in range(19)
        ),
    )
    assert found.bounds.tolist() == [[a * STEP_S, (a + 5) * STEP_S] for _, a in best]
    assert found.scores.tolist() == pytest.approx([-cost for cost, _ in best], abs=1e-6)
