from dataclasses import replace

import pytest
import torch

from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.rules.window_rule import WindowRule

ALL_WINDOWS = SlidingWindows(shortest=1, longest=40, ratio=1.01, overlap=0.99)


def test_equals_an_explicit_search(make_query, make_reference):
    query, reference = make_query(), make_reference()
    windows = SlidingWindows(shortest=2, longest=30)
    distance = {}
    for start, end in windows(reference.num_steps).tolist():
        part = reference.features[start:end]
        mean = part.mean(0) - query.features.mean(0)
        std = part.std(0, correction=0) - query.features.std(0, correction=0)
        distance[start * 0.5, end * 0.5] = float(torch.cat([mean, std]).norm())
    ranked = sorted(distance, key=distance.__getitem__)
    answers = WindowRule(windows, nms_threshold=None).localize(query, reference, top_n=7)
    assert [tuple(bounds) for bounds in answers.bounds.tolist()] == ranked[:7]
    assert answers.scores.tolist() == pytest.approx([-distance[window] for window in ranked[:7]], abs=1e-5)


@pytest.mark.parametrize("steps", [(12, 19), (0, 1), (39, 40), (0, 40)])
def test_finds_the_clip_that_the_query_is_a_copy_of(steps, make_reference):
    reference = make_reference()
    query = Query(reference.features[slice(*steps)], 0.5, "run", "q")
    answers = WindowRule(ALL_WINDOWS).localize(query, reference)
    assert answers.bounds.tolist() == [[steps[0] * 0.5, steps[1] * 0.5]]
    assert float(answers.scores[0]) == pytest.approx(0, abs=1e-3)


def test_of_no_windows_there_are_no_scores():
    ranked = WindowRule().rank(torch.randn(3, 4), torch.randn(9, 4), torch.empty(0, 2, dtype=torch.int64))
    assert ranked.scores.shape == (0,)


def test_suppresses_near_copies(make_query, make_reference):
    rule = WindowRule(ALL_WINDOWS, nms_threshold=0.4)
    answers = rule.localize(make_query(), make_reference(), top_n=5)
    overlap = temporal_iou(answers.bounds, answers.bounds) - torch.eye(len(answers))
    assert len(answers) == 5
    assert overlap.max() <= 0.4
    free = replace(rule, nms_threshold=None).localize(make_query(), make_reference(), top_n=5)
    assert free.bounds[0].tolist() == answers.bounds[0].tolist()
    assert temporal_iou(free.bounds, free.bounds).fill_diagonal_(0).max() > 0.4
