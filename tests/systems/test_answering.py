import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.small_runs import SPLITS, WINDOWS, small_run
from vreloc_pyg.datasets import PennAction
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.pose import KINECT_SKELETON, mirror_image
from vreloc_pyg.systems.answering import Answering, AnswerSettings, choose_answers, surroundings
from vreloc_pyg.systems.judging import PairDataset, ValidationPair
from vreloc_pyg.systems.network import EVERYTHING, Ranked, Ranker
from vreloc_pyg.systems.rules.window_rule import WindowRule

SKELETON = PennAction.skeleton
MIRROR = SKELETON.mirror_features()


class Nearest(Ranker):
    """The nearer the first feature of a window's first step to that of the query's, the better."""

    takes = EVERYTHING

    def rank(self, query, reference, windows):
        return Ranked(windows, -(reference[windows[:, 0], 0] - query[0, 0]).abs())


def scores_of(ranked):
    """The best score of every segment."""
    best = {}
    for window, score in zip(ranked.windows.tolist(), ranked.scores.tolist(), strict=True):
        best[tuple(window)] = max(score, best.get(tuple(window), -math.inf))
    return best


def test_mirror_image_and_length_are_those_of_the_formula():
    noise = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    query, reference, windows = noise(12, 52), noise(60, 52), WINDOWS(60)
    rule = WindowRule()
    found = Answering(rule, AnswerSettings(*MIRROR, length_weight=0.4)).rank(query, reference, windows)
    every = [rule.rank(image, reference, windows).scores for image in (query, mirror_image(query, *MIRROR))]
    spread = torch.cat(every).std(correction=0).item()
    expected = {}
    for index, (start, end) in enumerate(windows.tolist()):
        best = max(scores[index].item() for scores in every)
        expected[start, end] = best - 0.4 * spread * abs(math.log((end - start) / 12))
    assert scores_of(found) == pytest.approx(expected, abs=1e-5)


def test_plain_settings_change_nothing():
    query, reference = SPLITS["test"][0]
    ranker = small_run("mgffnet").network.eval()
    arguments = query.features, reference.features, WINDOWS(reference.num_steps)
    with torch.no_grad():
        one, other = ranker.rank(*arguments), Answering(ranker, AnswerSettings()).rank(*arguments)
    assert torch.equal(one.windows, other.windows)
    assert torch.equal(one.scores, other.scores)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mgffnet", "aft-srm"])
def test_a_search_only_adds_windows_and_never_lowers_the_best_score(name):
    ranker = small_run(name).network.eval()
    for query, reference in map(SPLITS["test"].__getitem__, range(3)):
        clips = query.features, reference.features
        first = ranker.rank(*clips, WINDOWS(reference.num_steps))
        second = Answering(ranker, AnswerSettings(search=2)).rank(*clips, first.windows)
        assert torch.equal(second.windows[: len(first.windows)], first.windows)
        assert len(second.windows) > len(first.windows)
        assert second.scores.max() >= first.scores.max()
        again = ranker.rank(*clips, second.windows)
        torch.testing.assert_close(second.scores, again.scores, atol=1e-5, rtol=0)


@given(
    start=st.integers(0, 60),
    length=st.integers(1, 40),
    rest=st.integers(0, 30),
    share=st.sampled_from([0.04, 0.1, 0.5]),
)
def test_surroundings_are_windows_of_the_video_near_the_given_one(start, length, rest, share):
    num_steps = start + length + rest
    window = torch.tensor([[start, start + length]])
    found = surroundings(window, share, num_steps)
    assert window.tolist()[0] in found.tolist()
    assert len(torch.unique(found, dim=0)) == len(found) <= 25
    assert (found[:, 0] >= 0).all()
    assert (found[:, 1] <= num_steps).all()
    assert (2 * (found[:, 1] - found[:, 0]) >= length).all()
    assert ((found - window).abs() <= 2 * max(1, round(share * length))).all()


def test_surroundings_by_hand():
    found = surroundings(torch.tensor([[1, 11]]), 0.1, 12)
    # Starts -1 (cut to 0), 0, 1, 2, 3 and ends 9, 10, 11, 12, 13 (cut to 12).
    expected = [[start, end] for start in (0, 1, 2, 3) for end in (9, 10, 11, 12)]
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("truth", "chosen"),
    [
        ((20, 30), {}),  # the query's value, whatever the length
        ((40, 50), {"mirror": True}),  # the mirror image's, which is nearer
        ((60, 80), {"length_weight": 1.0}),  # a little further off, but as long as the query
        ((21, 28), {"search": 3}),  # off the grid
    ],
)
def test_what_helps_on_the_validation_pairs_is_chosen(truth, chosen):
    sign = MIRROR[1][0]
    assert (MIRROR[0][0], sign) == (0, -1.0)
    query, reference = torch.zeros(20, 52), torch.full((100, 52), 9.0)
    query[0, 0] = 1.0
    reference[20, 0] = 1.1  # of the query
    reference[40, 0] = -1.0 if "mirror" in chosen else -5.0  # of its mirror image
    reference[60, 0] = 1.3 if "length_weight" in chosen else 5.0
    reference[21, 0] = 1.0 if "search" in chosen else 9.0
    windows = torch.tensor([[0, 10], [20, 30], [40, 50], [60, 80], [80, 90]])
    pairs = [ValidationPair(query, reference, windows, torch.tensor([truth]).double())]
    found = choose_answers(Nearest(), pairs, SKELETON)
    assert bool(found.mirror_index) == chosen.get("mirror", False)
    assert found.search == chosen.get("search", 0)
    assert (found.length_weight > 0) == ("length_weight" in chosen)


class Blind(Nearest):
    takes = frozenset()


def test_nothing_is_asked_that_a_ranker_cannot_take():
    pairs = PairDataset(SPLITS["validation"], WINDOWS)
    assert choose_answers(Blind(), pairs, SKELETON) == AnswerSettings()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search": -1}, "search"),
        ({"length_weight": -0.1}, "weight"),
        ({"mirror_index": (0,)}, "of one"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(SettingsError, match=rf"{message}.*got"):
        AnswerSettings(**settings)


def test_the_mirror_image_is_that_of_the_features_at_hand():
    settings = AnswerSettings(*MIRROR, search=3, length_weight=0.1)
    assert settings.on(KINECT_SKELETON) == AnswerSettings(*KINECT_SKELETON.mirror_features(), 3, 0.1)
    assert settings.on(None) == AnswerSettings(search=3, length_weight=0.1)
    assert AnswerSettings().on(KINECT_SKELETON) == AnswerSettings()
