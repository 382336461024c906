import math
import time

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.proposals.tag import MARGIN, TAGSettings, temporal_actionness_grouping

RELEASED, PAPER = TAGSettings(smoothing=0.0), TAGSettings.paper()
both_variants = pytest.mark.parametrize("settings", [RELEASED, PAPER], ids=["released", "paper"])


def plain_runs(inside):
    """Maximal runs of true steps, found one step after the other."""
    found, start = [], None
    for step, value in enumerate([*inside, False]):
        if value and start is None:
            start = step
        if not value and start is not None:
            found.append((start, step))
            start = None
    return found


def plain_share(inside, start, end):
    """Share of background in a span, counted step by step."""
    return sum(not value for value in inside[start:end]) / (end - start)


def plain_groups(curve, settings):
    """Every group, by the definition: grow from each run, one run at a time, counting steps."""
    groups = set()
    for threshold in settings.thresholds:
        if settings.variant == "paper":
            inside = [1 - value <= threshold + MARGIN for value in curve]
        else:
            inside = [value > threshold for value in curve]
        found = plain_runs(inside)
        for tolerance in settings.tolerances:
            for seed in range(len(found)):
                last = seed
                for other in range(seed + 1, len(found)):
                    stop = found[other][1] if settings.variant == "paper" else found[other][0]
                    if plain_share(inside, found[seed][0], stop) > tolerance + MARGIN:
                        break
                    last = other
                groups.add((found[seed][0], found[last][1]))
                if settings.variant == "released":
                    first = seed
                    for other in range(seed - 1, -1, -1):
                        if plain_share(inside, found[other][1], found[seed][1]) > tolerance + MARGIN:
                            break
                        first = other
                    groups.add((found[first][0], found[seed][1]))
    return [group for group in sorted(groups) if group[1] - group[0] >= settings.shortest]


def plain_tiou(a, b):
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def plain_tag(curve, settings):
    """The oracle: groups, then greedy suppression by falling score."""
    scored = [(sum(curve[start:end]), (start, end)) for start, end in plain_groups(curve, settings)]
    # Sums in another order differ in their last digits: the order of ties is by score to nine digits.
    scored.sort(key=lambda one: -round(one[0], 9))
    kept = []
    for score, group in scored:
        if all(plain_tiou(group, other) <= settings.nms_threshold for _, other in kept):
            kept.append((score, group))
    return kept


def answers(curve, settings):
    found = temporal_actionness_grouping(torch.tensor(curve, dtype=torch.float64), settings)
    bounds = [tuple(group) for group in found.bounds.tolist()]
    return list(zip(found.scores.tolist(), bounds, strict=True))


def agree(curve, settings):
    ours, plain = answers(curve, settings), plain_tag(curve, settings)
    assert [group for _, group in ours] == [group for _, group in plain]
    assert [score for score, _ in ours] == pytest.approx([score for score, _ in plain], abs=1e-9)


@both_variants
@pytest.mark.parametrize(
    "curve",
    [
        *([value] * length for value in (0.0, 0.5, 1.0) for length in (1, 9)),
        *([0.0, 1.0] * 8, [1.0, 0.0] * 8),
        *([0.95, 0.9, 0.05, 0.01, 0.5, 0.0], [1e-12, 1 - 1e-12, 0.0, 1.0]),
    ],
)
def test_it_is_the_plain_grouping_on_adversarial_curves(curve, settings):
    agree(curve, settings)


# Noise, few levels, spikes and ties at thresholds, each value for some steps.
levels = st.one_of(
    st.floats(0, 1).map(lambda value: round(value, 3)), st.integers(0, 20).map(lambda level: level / 20)
)
curves = st.lists(st.tuples(st.sampled_from([0.0, 1.0]) | levels, st.integers(1, 4)), min_size=1, max_size=18)


@both_variants
@hypothesis.settings(max_examples=200)
@given(curves)
def test_it_is_the_plain_grouping_on_any_curve(settings, blocks):
    agree([value for value, num_steps in blocks for _ in range(num_steps)], settings)


def test_a_curve_worked_by_hand():
    """Runs [0, 2) and [5, 6) at every threshold below .8: 3 of the 5 steps from 0 to 5 are background."""
    curve = [0.8, 0.8, 0.0, 0.0, 0.0, 0.8, 0.0]
    settings = TAGSettings(thresholds=(0.5,), tolerances=(0.5,), smoothing=0)
    assert answers(curve, settings) == [(1.6, (0, 2)), (0.8, (5, 6))]
    settings = TAGSettings(thresholds=(0.5,), tolerances=(0.6,), smoothing=0)
    # Forwards 3/5 are tolerated; backwards, from 6 down to 2, 3/4 are not.
    assert answers(curve, settings) == [(pytest.approx(2.4), (0, 6)), (1.6, (0, 2)), (0.8, (5, 6))]
    # The text's variant counts the run that is taken in: 3/6.
    settings = TAGSettings("paper", thresholds=(0.5,), tolerances=(0.5,), smoothing=0)
    assert answers(curve, settings) == [(pytest.approx(2.4), (0, 6)), (0.8, (5, 6))]


def test_constant_curves_as_tensors_arrays_and_lists():
    for kind in (torch.tensor, np.array, list):
        assert len(temporal_actionness_grouping(kind([0.0] * 9))) == 0
        for settings in (RELEASED, PAPER):
            found = temporal_actionness_grouping(kind([1.0] * 9), settings)
            assert (found.bounds.tolist(), found.scores.tolist()) == ([[0, 9]], [9.0])


@pytest.mark.parametrize(
    ("curve", "problem"),
    [
        *((torch.tensor([0.1, value]), f"{value} at step 1") for value in (math.nan, math.inf, 1.5)),
        (torch.tensor([-0.1, 0.5]), r"-0.1\d* at step 0"),
        (torch.zeros(0), r"shape \(0,\)"),
        (torch.zeros(2, 2), r"shape \(2, 2\)"),
    ],
)
def test_refuses_what_is_no_actionness(curve, problem):
    with pytest.raises(FeatureError, match=problem):
        temporal_actionness_grouping(curve)


@pytest.mark.parametrize("name", ["thresholds", "tolerances"])
def test_refuses_no_thresholds_and_no_tolerances(name):
    with pytest.raises(SettingsError, match="at least one of each"):
        TAGSettings(**{name: ()})


def test_length_and_smoothing():
    curve = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    steps = temporal_actionness_grouping(curve, RELEASED).bounds
    long = temporal_actionness_grouping(curve, TAGSettings(smoothing=0, shortest=3)).bounds
    assert (long[:, 1] - long[:, 0] >= 3).all()
    smooth = temporal_actionness_grouping(curve, TAGSettings(smoothing=2.0))
    assert not torch.equal(smooth.bounds[: len(steps)], steps)
    assert (smooth.scores[:-1] >= smooth.scores[1:]).all()


def test_settings_of_the_papers():
    assert PAPER.thresholds == PAPER.tolerances == tuple(round(0.05 * i, 2) for i in range(1, 20))
    assert (PAPER.nms_threshold, PAPER.smoothing) == (0.95, 0)
    released = TAGSettings()
    assert (len(released.thresholds), len(released.tolerances), released.nms_threshold) == (12, 9, 0.9)


@pytest.mark.slow
@both_variants
def test_it_is_much_faster_than_the_plain_grouping(settings):
    """In turn in one process; the median ratio of three random curves of 300 steps."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(3):
        curve = rng.random(300).tolist()
        began = time.perf_counter()
        plain_tag(curve, settings)
        middle = time.perf_counter()
        temporal_actionness_grouping(torch.tensor(curve), settings)
        ratios.append((middle - began) / (time.perf_counter() - middle))
    assert sorted(ratios)[1] > 20
