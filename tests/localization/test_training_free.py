"""The first answer without any training, against loops over windows and over moved ends."""

import math

import numpy as np
import pytest
import torch

from vreloc_pyg.datasets import Query, Reference
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.localization import Localizer, training_free
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.rules import window_rule

STEP_S = 0.5


def make_pair(num_steps=60, query=(20, 31), width=6, seed=0):
    """A query that is a part of the reference, with a little noise."""
    noise = torch.Generator().manual_seed(seed)
    features = torch.randn(num_steps, width, generator=noise)
    clip = features[query[0] : query[1]] + 0.3 * torch.randn(query[1] - query[0], width, generator=noise)
    return (
        Query(clip, STEP_S, "", "q"),
        Reference(features, STEP_S, torch.empty(0, 2), (), "r"),
    )


def score(query, reference, start, end):
    """Minus the distance of mean and deviation of normalised features, and a quarter of the log length."""
    parts = []
    for features in (query.features, reference.features[start:end]):
        rows = features.double().numpy()
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        parts.append(np.concatenate([rows.mean(0), rows.std(0)]))
    length = math.log((end - start) / len(query.features))
    return -float(np.linalg.norm(parts[0] - parts[1])) - 0.25 * abs(length)


def best_of(scored, count):
    """The best windows that overlap no better one by more than half."""
    kept = []
    for value, start, end in sorted(scored, key=lambda one: (-one[0], *one[1:])):
        shared = [max(0, min(end, e) - max(start, s)) for _, s, e in kept]
        unions = [end - start + e - s - both for (_, s, e), both in zip(kept, shared, strict=True)]
        if all(both / union <= 0.5 for both, union in zip(shared, unions, strict=True)):
            kept.append((value, start, end))
    return kept[:count]


@pytest.mark.parametrize(
    ("query", "num_steps"), [((20, 31), 60), ((0, 9), 33), ((24, 40), 40), ((3, 5), 12), ((0, 1), 1)]
)
@pytest.mark.parametrize("top_n", [1, 3])
def test_answers_are_the_best_moved_ends_of_the_best_windows(query, num_steps, top_n):
    asked, reference = make_pair(num_steps, query)
    grid = SlidingWindows(shortest=3, longest=400, ratio=1.2, overlap=0.8)(num_steps).tolist()
    best = best_of([(score(asked, reference, *window), *window) for window in grid], top_n)
    moved = {
        (start + low, end + high)
        for _, start, end in best
        for low in range(-4, 5)
        for high in range(-4, 5)
        if 0 <= start + low < end + high <= num_steps
    }
    expected = best_of([(score(asked, reference, *window), *window) for window in moved], len(best))
    found = training_free().localize(asked, reference, top_n)
    assert found.scores.tolist() == pytest.approx([one[0] for one in expected], abs=1e-5)
    assert found.bounds.tolist() == [[STEP_S * start, STEP_S * end] for _, start, end in expected]


def test_ends_are_off_the_grid_of_the_windows():
    """So the polish is needed: no window of the grid lies where the query was cut out."""
    asked, reference = make_pair(200, (101, 124))
    system = training_free()
    assert [101, 124] not in system.rank(asked, reference).windows.tolist()
    assert next(iter(system.localize(asked, reference))) == (101 * STEP_S, 124 * STEP_S)


def test_ranking_in_blocks_is_ranking_at_once(monkeypatch):
    pair = make_pair(300)
    whole = training_free().rank(*pair)
    monkeypatch.setattr(window_rule, "BLOCK", 17)
    parts = training_free().rank(*pair)
    torch.testing.assert_close(whole.segments.scores, parts.segments.scores, atol=1e-5, rtol=1e-5)


def test_it_is_a_localizer_without_a_network(tmp_path):
    system = training_free()
    assert isinstance(system, Localizer)
    assert (system.name, system.kin, system.num_parameters) == ("window rule (no training)", "rule", 0)
    assert (system.num_features, system.calibration) == (None, None)
    with pytest.raises(SettingsError, match=r"'window rule \(no training\)' has no network to save"):
        system.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
