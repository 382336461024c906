from dataclasses import dataclass

import pytest
import torch

from tests.small_runs import DATA
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.segments import Segments
from vreloc_pyg.systems.protocol import about_of
from vreloc_pyg.systems.rules.strongest_rule import COMPARED, NUM_PAIRS, choose_strongest, strongest_rule


@dataclass
class Fixed:
    """Answers with one segment, or none."""

    name: str
    bounds: tuple[float, ...]
    about: str = ""
    kin: str = "rule"
    asked: int = 0

    def localize(self, query, reference, top_n=1):
        assert query.label == ""
        assert len(reference.segments) == 0
        self.asked += 1
        return Segments(torch.tensor(self.bounds).reshape(-1, 2), torch.zeros(len(self.bounds) // 2))


@pytest.fixture
def split(make_query, make_reference):
    """Pairs whose answer is steps 10 to 20 of half a second, 5 s to 10 s."""
    return RelocalizationSplit(
        "validation", [make_query()], [make_reference(steps=((10, 20),))], [(0, 0)] * 300
    )


def test_overlap_and_passing_seven_tenths_decide(split):
    none, half, nearly = Fixed("none", ()), Fixed("half", (5.0, 8.4)), Fixed("nearly", (5.0, 8.6), "as told")
    chosen = choose_strongest([none, half, nearly], split)
    assert chosen.rule is nearly
    assert chosen.about == "nearly: as told"
    assert nearly.asked == NUM_PAIRS
    assert chosen.localize(
        split.queries[0].unlabelled(), split.references[0].unannotated()
    ).bounds.tolist() == [[5.0, pytest.approx(8.6)]]
    assert choose_strongest([none, half], split).about == "half"


def test_the_first_of_equals_is_chosen_also_without_pairs(split):
    rules = [Fixed("a", (5.0, 8.0)), Fixed("b", (7.0, 10.0))]
    assert choose_strongest(rules, split).about == "a"
    empty = RelocalizationSplit("validation", [], [], [])
    assert choose_strongest(rules, empty).about == "a"


def test_no_rule_does_better_on_validation_classes_and_test_classes_have_no_say():
    """By brute force over the rules; the answers are the chosen one's."""
    chosen = strongest_rule(DATA)
    merits = {}
    for rule in (one.fit(DATA) for one in COMPARED):
        tious = []
        for query, reference in map(
            DATA.splits["validation"].__getitem__, range(len(DATA.splits["validation"]))
        ):
            start, end = rule.localize(query, reference).bounds[0].tolist()
            spans = reference.segments_of(query.label).tolist()
            shared = [(max(0.0, min(end, b) - max(start, a)), b - a) for a, b in spans]
            tious.append(max(s / (end - start + length - s) for s, length in shared))
        merits[rule.name] = sum(tious) + sum(tiou > 0.7 for tiou in tious)
        if rule.name == chosen.rule.name:
            query, reference = DATA.splits["test"][0]
            expected = rule.localize(query, reference, 3).bounds
            assert torch.equal(chosen.localize(query, reference, 3).bounds, expected)
    assert merits[chosen.rule.name] == max(merits.values())
    assert len(set(merits.values())) > 1
    assert about_of(chosen).startswith(chosen.rule.name)
