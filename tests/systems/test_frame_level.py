import math

import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.rules.frame_level import FrameLevel, distance_table
from vreloc_pyg.systems.rules.paths import best_paths

MODES = ("chou_avg", "strict", "sdtw", "slope", "asymmetric")
SLOPED = ("slope", "asymmetric")
FLEXIBLE = ("chou_avg", "sdtw", "slope", "asymmetric")
SIZES = [(1, 1), (1, 7), (5, 1), (2, 2), (3, 5), (7, 4), (9, 4), (4, 13), (8, 20)]


def clip(features, seconds_per_step=0.5):
    return Query(features, seconds_per_step, "", "q")


def video(features, seconds_per_step=0.5):
    return Reference(features, seconds_per_step, torch.zeros(0, 2), (), "r")


def noise(num_steps, seed, width=16):
    return torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))


# Loops by the definition


def thin(table, most):
    rows = len(table)
    if rows > most:
        return [table[int((place + 0.5) * rows / most)] for place in range(most)]
    return table


def worth(table, path, mode):
    """What a path is compared by, more is better; ``path`` is a list of cells with weights."""
    if mode == "chou_avg":
        total = sum(weight * (2 - table[i][j] / 2) for i, j, weight in path)  # s = 1 + cos
        return total / sum(weight for _, _, weight in path)
    return -sum(weight * table[i][j] for i, j, weight in path)


def mean_distance(table, path, mode):
    """Weighted in asymmetric paths only."""
    weights = [weight if mode == "asymmetric" else 1 for _, _, weight in path]
    cells = zip(path, weights, strict=True)
    return sum(weight * table[i][j] for (i, j, _), weight in cells) / sum(weights)


def extensions(i, j, mode):
    """Cells a path may come from, with the cells it adds, as (row, column, weight)."""
    half = 0.5 if mode == "chou_avg" else 1
    if mode == "strict":
        return [((i - 1, j - 1), [(i, j, 1)])]
    if mode in ("slope", "asymmetric"):
        flat = 0.5 if mode == "asymmetric" else 1
        return [
            ((i - 1, j - 1), [(i, j, 1)]),
            ((i - 1, j - 2), [(i, j - 1, flat), (i, j, flat)]),
            ((i - 2, j - 1), [(i - 1, j, 1), (i, j, 1)]),
        ]
    return [
        ((i - 1, j - 1), [(i, j, 1)]),
        ((i - 1, j), [(i, j, half)]),
        ((i, j - 1), [(i, j, half)]),
    ]


def looped(table, mode):
    """For every column the start and the mean of its path, or ``None``."""
    columns = len(table[0])
    table = thin(table, {"strict": columns, **dict.fromkeys(SLOPED, 2 * columns - 1)}.get(mode, len(table)))
    best = {}
    for i in range(len(table)):
        for j in range(columns):
            found = [[(i, j, 1)]] if i == 0 else []
            for cell, added in extensions(i, j, mode):
                if cell in best:
                    found.append(best[cell] + added)
            if found:
                best[i, j] = max(found, key=lambda path: worth(table, path, mode))
    ends = [best.get((len(table) - 1, j)) for j in range(columns)]
    return [path and (path[0][1], mean_distance(table, path, mode)) for path in ends]


@pytest.mark.parametrize("mode", MODES)
def test_equals_the_loop_on_random_tables(mode):
    rng = np.random.default_rng(0)
    for number in range(500):
        rows, columns = SIZES[number % len(SIZES)]
        table = 4 * rng.random((rows, columns))
        start, mean = best_paths(table, mode)
        expected = looped(table.tolist(), mode)
        assert np.isfinite(mean).any()
        assert np.isfinite(mean).tolist() == [path is not None for path in expected]
        for end, path in enumerate(expected):
            if path is not None:
                assert start[end] == path[0]
                assert mean[end] == pytest.approx(path[1], abs=1e-12)


def every_path(i, j, mode, columns):
    """All paths from row 0 to a cell."""
    if i < 0 or not 0 <= j < columns:
        return
    if i == 0:
        yield [(i, j, 1)]
    for (row, column), added in extensions(i, j, mode):
        for path in every_path(row, column, mode, columns):
            yield path + added


@pytest.mark.parametrize("mode", ["strict", "sdtw", "slope", "asymmetric"])
def test_no_path_has_a_lesser_sum(mode):
    rng = np.random.default_rng(1)
    for rows, columns in [(1, 4), (3, 5), (4, 4), (5, 5)] * 5:
        table = 4 * rng.random((rows, columns))
        start, mean = best_paths(table, mode)
        for end in range(columns):
            paths = list(every_path(rows - 1, end, mode, columns))
            assert bool(paths) == math.isfinite(mean[end])
            if paths:
                best = max(paths, key=lambda path: worth(table, path, mode))
                assert start[end] == best[0][1]
                assert mean[end] == pytest.approx(mean_distance(table, best, mode))


HAND = [[4, 1, 3, 2, 4], [3, 4, 0, 2, 3], [4, 3, 3, 4, 1]]
# E.g. strict, end 3: 1 + 0 + 4 over 3 cells. Elsewhere the path to end 4 is (0, 1), (1, 2), (1, 3), (2, 4),
# 1 + 0 + 2 + 1 over 4 cells, and in the slope it is a move (1, 2), then a move (1, 1). In chou_avg the path
# to end 3 comes from (1, 3), with the average (1 + 0 + 2/2 + 4/2) / 3, and not from (1, 2), 5/3.
HAND_WORKED = {
    "chou_avg": ([0, 1, 1, 1, 1], [11 / 3, 8 / 3, 4 / 3, 7 / 4, 1]),
    "strict": ([0, 0, 0, 1, 2], [math.inf, math.inf, 11 / 3, 5 / 3, 2]),
    "sdtw": ([0, 1, 1, 1, 1], [11 / 3, 8 / 3, 4 / 3, 5 / 3, 1]),
    "slope": ([0, 0, 1, 1, 1], [math.inf, 11 / 3, 4 / 3, 5 / 3, 1]),
    # To end 4 by (0, 1), (1, 2) and (1, 3) at half, (2, 4): 1 + (0 + 2) / 2 + 1 over 3 query steps.
    "asymmetric": ([0, 0, 1, 1, 1], [math.inf, 11 / 3, 4 / 3, 5 / 3, 1]),
}


@pytest.mark.parametrize("mode", MODES)
def test_hand_worked(mode):
    start, mean = best_paths(np.array(HAND), mode)
    starts, means = HAND_WORKED[mode]
    assert mean.tolist() == pytest.approx(means)
    assert start.tolist() == starts


def test_distances_are_those_of_normalised_steps():
    query, reference = noise(3, 0), noise(5, 1)
    expected = [
        [2 - 2 * float(torch.cosine_similarity(a.double(), b.double(), dim=0)) for b in reference]
        for a in query
    ]
    np.testing.assert_allclose(distance_table(clip(query), video(7 * reference)), expected, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num_steps", [1, 2, 8])
def test_finds_an_exact_copy(mode, num_steps):
    query = noise(num_steps, 0)
    reference = torch.cat([noise(10, 1), 3 * query, noise(12, 2)])
    answer = FrameLevel(mode).localize(clip(query), video(reference))
    assert (answer.bounds / 0.5).tolist() == [[10, 10 + num_steps]]
    assert float(answer.scores) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("mode", FLEXIBLE)
@pytest.mark.parametrize("factor", [0.5, 2])
def test_finds_a_copy_at_another_speed(mode, factor):
    query = noise(12, 0)
    copy = query.repeat_interleave(2, dim=0) if factor == 2 else query[::2]
    reference = torch.cat([noise(20, 1), copy, noise(20, 2)])
    answer = FrameLevel(mode).localize(clip(query), video(reference))
    truth = torch.tensor([[20.0, 20.0 + len(copy)]]) * 0.5
    assert float(temporal_iou(answer.bounds, truth)) > 0.8
    strict = FrameLevel("strict").localize(clip(query), video(reference))
    assert float(temporal_iou(strict.bounds, truth)) < 0.6


@pytest.mark.parametrize("mode", MODES)
def test_steps_of_norm_zero(mode):
    query, reference = noise(4, 0), noise(12, 1)
    query[1] = 0
    reference[3:6] = 0
    reference[8:12] = query
    answers = FrameLevel(mode).localize(clip(query), video(reference), top_n=5)
    assert torch.isfinite(answers.scores).all()
    assert (answers.bounds[0] / 0.5).tolist() == [8, 12]
    empty = FrameLevel(mode).localize(clip(torch.zeros(3, 2)), video(torch.zeros(7, 2)))
    assert float(empty.bounds[0, 0]) == 0
    assert float(empty.scores) == 0


@pytest.mark.parametrize("mode", MODES)
def test_of_equals_the_earliest_start(mode):
    query = noise(5, 0)
    reference = torch.cat([noise(6, 1), query, noise(7, 2), query, noise(3, 3), query])
    answers = FrameLevel(mode).localize(clip(query), video(reference), top_n=3)
    assert (answers.bounds / 0.5).tolist() == [[6, 11], [18, 23], [26, 31]]
    assert answers.scores.tolist() == [0, 0, 0]


@pytest.mark.parametrize("mode", FLEXIBLE)
def test_of_equal_paths_to_an_end_the_earliest_start(mode):
    # Columns 1 and 2 alike match the query's first step: the path to the last column starts at 1.
    table = np.array([[2.0, 0, 0, 2], [2, 2, 0, 0], [2, 2, 2, 0]])
    start, mean = best_paths(table, mode)
    assert mean[3] == 0
    assert start[3] == 1


@pytest.mark.parametrize("mode", MODES)
def test_top_n(mode):
    query, reference = clip(noise(6, 0)), video(noise(60, 1))
    answers = FrameLevel(mode).localize(query, reference, top_n=4)
    assert len(answers) == 4
    overlaps = temporal_iou(answers.bounds, answers.bounds) - torch.eye(4)
    assert float(overlaps.max()) <= 0.5
    close = FrameLevel(mode, nms_threshold=None).localize(query, reference, top_n=60)
    assert close.bounds[0].tolist() == answers.bounds[0].tolist()
    assert len(close) == {"strict": 55, **dict.fromkeys(SLOPED, 57)}.get(mode, 60)
    start, mean = best_paths(distance_table(query, reference), mode)
    best = int(mean.argmin())
    assert (close.bounds[0] / 0.5).tolist() == [start[best], best + 1]
    assert float(close.scores[0]) == -mean[best]


def test_refuses_an_unknown_mode():
    with pytest.raises(SettingsError, match=r"mode .*'chou_avg'.*\(got 'dtw'\)"):
        FrameLevel("dtw")
