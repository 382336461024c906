"""What every rule must do, whichever it is."""

from dataclasses import replace

import pytest
import torch

from tests.small_runs import WithoutTest
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import load_task
from vreloc_pyg.errors import DataError, FeatureError, SettingsError
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.catalog import every_system, find_system
from vreloc_pyg.systems.protocol import answer_lengths, answer_steps
from vreloc_pyg.systems.rules.alignment import Alignment
from vreloc_pyg.systems.rules.chance import Chance
from vreloc_pyg.systems.rules.frame_level import FrameLevel
from vreloc_pyg.systems.rules.query_blind import CentredSegment, CutDetector, PriorSegment, WholeReference
from vreloc_pyg.systems.rules.window_rule import WindowRule

SYSTEMS = {
    "chance": Chance,
    "chance segment": lambda: Chance("uniform_segment"),
    "chance length": lambda: Chance("uniform_length"),
    "chance query": lambda: Chance("query_length"),
    "whole": WholeReference,
    "half": lambda: CentredSegment(fraction=0.5),
    "centre": lambda: CentredSegment(num_steps=20),
    "prior": PriorSegment,
    "cuts": CutDetector,
    "rule": lambda: WindowRule(SlidingWindows(shortest=2, longest=30)),
    "frame": FrameLevel,
    "frame strict": lambda: FrameLevel("strict"),
    "frame sdtw": lambda: FrameLevel("sdtw"),
    "frame slope": lambda: FrameLevel("slope"),
    "alignment": Alignment,
}


@pytest.fixture(params=SYSTEMS)
def system(request, make_split):
    made = SYSTEMS[request.param]()
    return made.fit(make_split()) if hasattr(made, "fit") else made


@pytest.mark.parametrize(("query_steps", "reference_steps"), [(6, 40), (1, 40), (6, 1), (1, 1), (50, 9)])
@pytest.mark.parametrize("top_n", [1, 4])
def test_answers_lie_in_the_reference_best_first(
    system, make_query, make_reference, query_steps, reference_steps, top_n
):
    reference = make_reference(reference_steps, steps=())
    answers = system.localize(make_query(query_steps), reference, top_n)
    assert 1 <= len(answers) <= top_n
    assert (answers.bounds >= 0).all()
    assert (answers.bounds <= reference.duration_s).all()
    assert answers.scores.tolist() == sorted(answers.scores.tolist(), reverse=True)
    first = system.localize(make_query(query_steps), reference)
    assert len(first) == 1
    if not isinstance(system, Chance):
        assert first.bounds.tolist() == answers.bounds[:1].tolist()


def test_the_truth_is_never_read(system, make_query, make_reference):
    query, reference = make_query(), make_reference(steps=((10, 18), (20, 40)))
    expected = system.localize(query, reference, 3)
    for asked, searched in [
        (replace(query, label=""), replace(reference, segments=torch.zeros(0, 2), labels=())),
        (replace(query, label="jump"), replace(reference, segments=[[0.0, 1.0]], labels=("jump",))),
    ]:
        answers = system.localize(asked, searched, 3)
        assert answers.bounds.tolist() == expected.bounds.tolist()
        assert answers.scores.tolist() == expected.scores.tolist()


def test_refuses_to_return_nothing(system, make_query, make_reference):
    with pytest.raises(SettingsError, match=r"top_n >= 1 \(got 0\)"):
        system.localize(make_query(), make_reference(), top_n=0)


@pytest.mark.parametrize("make", [Chance, PriorSegment, CutDetector])
def test_a_system_that_learns_must_be_fitted_on_pairs(make, make_query, make_reference):
    with pytest.raises(SettingsError, match=r"is not fitted: call fit\(train_split\)"):
        make().localize(make_query(), make_reference())
    with pytest.raises(DataError, match="'empty' has no pairs"):
        make().fit(RelocalizationSplit("empty", [make_query()], [make_reference()], []))


@pytest.mark.parametrize("make", [WindowRule, FrameLevel, Alignment])
def test_features_of_another_width_are_refused(make, make_query, make_reference):
    with pytest.raises(FeatureError, match=r"reference 'r' with F = 4 \(got F = 3\)"):
        make().localize(make_query(width=4), make_reference())


def test_names_are_distinct_and_all_are_rules():
    made = [make() for make in SYSTEMS.values()]
    assert len({system.name for system in made}) == len(SYSTEMS)
    assert {system.kin for system in made} == {"rule"}


def test_answer_lengths_counts_every_instance_of_the_querys_class(make_split, make_reference, make_query):
    assert answer_lengths(make_split()).tolist() == [5, 7, 5]
    reference = make_reference(steps=((0, 3), (5, 9)))
    reference = replace(reference, labels=("run", "jump"))
    split = RelocalizationSplit("train", [make_query()], [reference], [(0, 0)])
    assert answer_lengths(split).tolist() == [3]


def test_answer_steps_ranks_and_turns_steps_into_seconds(make_reference):
    steps, scores = torch.tensor([[0, 2], [4, 40], [6, 7]]), torch.tensor([0.0, 1.0, 1.0])
    answers = answer_steps(steps, scores, make_reference(), top_n=2)
    assert answers.bounds.tolist() == [[2.0, 20.0], [3.0, 3.5]]


@pytest.mark.parametrize("name", [one.name for one in every_system() if one.kin == "rule"])
def test_no_rule_is_fitted_on_test_classes(name):
    data = load_task("synthetic")
    rule = find_system(name).fit(replace(data, splits=WithoutTest(data.splits)))
    query, reference = data.splits["test"][0]
    assert len(rule.localize(query.unlabelled(), reference.unannotated())) == 1
