import pytest
import torch

from vreloc_pyg.datasets.splits import Reference
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.systems.rules.query_blind import (
    CentredSegment,
    CutDetector,
    PriorSegment,
    WholeReference,
    place_steps,
    strongest_cuts,
)


def steps_of(answers, seconds_per_step=0.5):
    return (answers.bounds / seconds_per_step).tolist()


def test_the_query_is_not_looked_at(make_query, make_reference, make_split):
    systems = [WholeReference(), CentredSegment(0.5), PriorSegment(), CutDetector()]
    for system in systems:
        if hasattr(system, "fit"):
            system.fit(make_split())
        answers = [system.localize(make_query(n, seed=n), make_reference(), 3) for n in (1, 30)]
        assert answers[0].bounds.tolist() == answers[1].bounds.tolist()


def test_whole_reference(make_query, make_reference):
    assert steps_of(WholeReference().localize(make_query(), make_reference(7, steps=()), top_n=5)) == [[0, 7]]


@pytest.mark.parametrize(
    ("settings", "num_steps", "expected"),
    [
        ({"fraction": 0.5}, 40, [10, 30]),
        ({"fraction": 0.5}, 1, [0, 1]),
        ({"fraction": 0.01}, 9, [4, 5]),
        ({"fraction": 1.0}, 9, [0, 9]),
        ({"num_steps": 20}, 40, [10, 30]),
        ({"num_steps": 20}, 21, [0, 20]),
        ({"num_steps": 20}, 8, [0, 8]),
    ],
)
def test_centred_segment(settings, num_steps, expected, make_query, make_reference):
    assert steps_of(
        CentredSegment(**settings).localize(make_query(), make_reference(num_steps, steps=()))
    ) == [expected]


@pytest.mark.parametrize(
    "settings",
    [{}, {"fraction": 0.5, "num_steps": 3}, {"fraction": 0.0}, {"fraction": 1.1}, {"num_steps": 0}],
)
def test_centred_segment_refuses_impossible_settings(settings):
    with pytest.raises(SettingsError, match="got"):
        CentredSegment(**settings)


def test_prior_segment_finds_the_position_that_all_answers_share(make_query, make_reference, make_split):
    # Answers of 8 of 20 steps that start at 9 of the 12 steps of room: position .75.
    prior = PriorSegment().fit(make_split(((9, 17), (9, 17))))
    assert (prior.start_fraction_, prior.num_steps_) == (pytest.approx(0.75), 8)
    assert steps_of(prior.localize(make_query(), make_reference(20))) == [[9, 17]]
    assert steps_of(prior.localize(make_query(), make_reference(3, steps=()))) == [[0, 3]]


def test_prior_segment_is_the_best_of_its_grid(make_split):
    answers = ((0, 6), (1, 6), (0, 5), (12, 20), (3, 16), (2, 7))
    prior = PriorSegment().fit(make_split(answers))

    def recall(fraction, length):
        start = round(fraction * (20 - length))
        hits = 0
        for low, high in answers:
            shared = max(0, min(start + length, high) - max(start, low))
            tiou = shared / (length + high - low - shared)
            hits += sum(tiou > threshold for threshold in (0.5, 0.6, 0.7, 0.8, 0.9))
        return hits

    best = max(recall(i / 20, length) for i in range(21) for length in range(1, 14))
    assert recall(prior.start_fraction_, prior.num_steps_) == best


def test_place_steps():
    fractions = torch.tensor([0.0, 0.5, 1.0, 0.3], dtype=torch.float64)
    steps = place_steps(fractions, torch.tensor([3, 4, 3, 99]), 10)
    assert steps.tolist() == [[0, 3], [3, 7], [7, 10], [0, 10]]


def pieces(*lengths, width=3):
    """Features that are constant on pieces of the given lengths and jump by ever more between them."""
    return torch.cat([torch.full((length, width), float(2**i)) for i, length in enumerate(lengths)])


def test_strongest_cuts_are_the_jumps():
    features = pieces(6, 9, 7, 12)
    assert strongest_cuts(features, 3, 4).tolist() == [6, 15, 22]
    assert strongest_cuts(features, 1, 4).tolist() == [22]
    assert strongest_cuts(features, 0, 4).tolist() == []


def test_strongest_cuts_equal_an_explicit_search():
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    strength = {
        b: float((features[b - 3 : b].mean(0) - features[b : b + 3].mean(0)).norm()) for b in range(3, 48)
    }
    cuts = []
    while len(cuts) < 5:
        free = [b for b in strength if all(abs(b - cut) >= 3 for cut in cuts)]
        cuts.append(max(free, key=strength.__getitem__))
    assert strongest_cuts(features, 5, 3).tolist() == sorted(cuts)


def test_strongest_cuts_returns_fewer_where_no_more_fit():
    cuts = strongest_cuts(torch.randn(20, 2), 100, 4)
    assert 1 <= len(cuts) < 5
    assert (cuts.diff() >= 4).all()
    assert strongest_cuts(torch.randn(7, 2), 3, 4).tolist() == []
    assert strongest_cuts(torch.randn(1, 2), 3, 4).tolist() == []


def test_cut_detector_picks_by_length(make_query, make_split):
    # Median training length 9: round(34 / 9) - 1 = 3 cuts.
    split = make_split(((0, 9), (3, 12), (5, 20)))
    reference = Reference(pieces(6, 9, 7, 12), 0.5, torch.zeros(0, 2), (), "r")
    system = CutDetector().fit(split)
    assert system.typical_steps_ == 9
    answers = system.localize(make_query(), reference, top_n=9)
    # |log(9/9)|, |log(7/9)| = .25, |log(12/9)| = .29, |log(6/9)| = .41
    assert steps_of(answers) == [[6, 15], [15, 22], [22, 34], [0, 6]]


def test_cut_detector_answers_a_short_reference_whole(make_query, make_split):
    system = CutDetector().fit(make_split(((0, 9), (3, 12))))
    reference = Reference(pieces(5, 5), 0.5, torch.zeros(0, 2), (), "r")
    assert steps_of(system.localize(make_query(), reference, 3)) == [[0, 10]]
