"""Whether a system can say that the action is not in a reference."""

import math
from dataclasses import replace

import pytest
import torch

from tests.datasets.test_class_splits import FOLD, QUERIES, VIDEOS
from vreloc_pyg.datasets import own_task
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.experiments.compare import evaluate_task
from vreloc_pyg.segments import Segments
from vreloc_pyg.systems.catalog import fitted_rules
from vreloc_pyg.systems.protocol import best_score, check_says_none

PAIRS = [("e0", "ef-bert"), ("f1", "ef-anna"), ("e0", "nothing")]


class Fixed:
    """The same answers whatever is asked; it must not see the right ones."""

    name, kin = "fixed", "rule"

    def __init__(self, bounds, scores):
        self.answers = Segments(torch.tensor(bounds).reshape(-1, 2), scores)

    def localize(self, query, reference, top_n=1):
        assert (query.label, reference.labels) == ("", ())
        return self.answers


@pytest.fixture(scope="module")
def data():
    return own_task(QUERIES, VIDEOS, FOLD, PAIRS)


def test_the_best_score(data):
    pair = data.splits["test"][0]
    assert best_score(Fixed([[0.0, 1.0], [2.0, 3.0]], torch.tensor([0.5, 0.25])), *pair) == 0.5
    assert best_score(Fixed([], torch.empty(0)), *pair) == -math.inf
    for rule in fitted_rules(data):
        assert math.isfinite(best_score(rule, *pair)), rule.name


def test_a_system_without_scores_is_refused_where_the_action_may_not_be_there(data, tmp_path):
    silent, split = Fixed([[0.0, 1.0]], None), data.splits["test"]
    with pytest.raises(
        SettingsError, match="'fixed' gives no scores, so it cannot say that the action is not"
    ):
        evaluate_task(data, [silent], tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []
    check_says_none([silent], replace(split, absent=[]))
    check_says_none(fitted_rules(data), split)
