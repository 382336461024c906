"""Which references decide the probability that an action is there."""

from dataclasses import replace

import pytest
import torch

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.localization.calibration import Calibration, calibrate
from vreloc_pyg.segments import Segments


class Keeps:
    """Scores a reference by its place in the split, and keeps what it was asked; of some it says nothing."""

    name, kin = "keeps", "rival"

    def __init__(self, silent=(), scores=True):
        self.asked = []
        self.silent = silent
        self.scores = scores

    def localize(self, query, reference, top_n=1):
        self.asked.append((query.video_id, reference.video_id))
        if reference.video_id in self.silent:
            return Segments(torch.empty(0, 2), torch.empty(0))
        return Segments([[0.0, 1.0]], [float(reference.video_id[1:])] if self.scores else None)


def reference(number, labels):
    segments = torch.tensor([[0.0, 1.0]] * len(labels), dtype=torch.float64)
    return Reference(torch.ones(8, 2), 0.5, segments, tuple(labels), f"r{number}", sources=(f"s{number}",))


@pytest.fixture
def split():
    """Four queries, two of each class; references 0 to 3 show both, 4 "a" only, 5 "b" only, 6 nothing."""
    queries = [Query(torch.ones(4, 2), 0.5, "ab"[i % 2], f"q{i}", (f"s{4 + i}",)) for i in range(4)]
    references = [reference(i, "ab") for i in range(4)]
    references += [reference(4, "a"), reference(5, "b"), reference(6, "")]
    pairs = [(0, 0), (1, 1), (2, 2), (3, 3)]
    return RelocalizationSplit("validation", queries, references, pairs, [(0, 5), (1, 6), (3, 4)])


def test_pairs_without_the_action_are_those_of_the_split(split):
    system = Keeps()
    found = calibrate(system, split)
    assert set(system.asked[:4]) == {("q0", "r0"), ("q1", "r1"), ("q2", "r2"), ("q3", "r3")}
    assert set(system.asked[4:]) == {("q0", "r5"), ("q1", "r6"), ("q3", "r4")}
    assert (found.num_present, found.num_absent) == (4, 3)
    assert found.slope == 0  # the higher scores are those without the action: they decide nothing


def test_at_most_so_many_of_each_kind_are_asked(split):
    system = Keeps()
    found = calibrate(system, split, max_pairs=2)
    assert (found.num_present, found.num_absent, len(system.asked)) == (2, 2, 4)


def test_else_another_reference_is_asked_that_lacks_the_action_and_shares_no_source(split):
    system = Keeps()
    plain = replace(split, absent=())
    found = calibrate(system, plain)
    drawn = set(system.asked) - {(f"q{i}", f"r{i}") for i in range(4)}
    # Reference 5 lacks "a", 4 lacks "b" and 6 both; query 2 shares its source with 6.
    may_be = {"q0": ("r5", "r6"), "q1": ("r4", "r6"), "q2": ("r5",), "q3": ("r4", "r6")}
    assert found.num_absent == len(drawn) == 4
    assert all(shown in may_be[asked] for asked, shown in drawn)


def test_without_such_references_there_is_no_probability(split):
    assert calibrate(Keeps(), replace(split, references=split.references[:4], absent=())) is None


def test_a_reference_without_an_answer_has_no_score_to_learn_from(split):
    """It says of itself that the action is not there."""
    found = calibrate(Keeps(silent=("r1", "r6")), split)
    assert (found.num_present, found.num_absent) == (3, 2)
    assert calibrate(Keeps(silent=("r4", "r5", "r6")), split) is None
    assert calibrate(Keeps(silent=("r0", "r1", "r2", "r3")), split) is None


def test_a_system_without_scores_cannot_be_calibrated(split):
    with pytest.raises(SettingsError, match="'keeps' gives no scores"):
        calibrate(Keeps(scores=False), split)


class Says(Calibration):
    """A probability is its own score."""

    def probability(self, score):
        return score


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [(1.0, "sure"), (0.8, "sure"), (0.79, "maybe"), (0.2, "maybe"), (0.19, "not found"), (0.0, "not found")],
)
def test_how_sure_an_answer_is(probability, verdict):
    assert Says(1.0, 0.0).verdict(probability) == verdict
