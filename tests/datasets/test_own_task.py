"""One's own data set from Python."""

import pytest
import torch

from tests.datasets.test_class_splits import FOLD, QUERIES, VIDEOS
from vreloc_pyg.datasets import ClassFold, own_task
from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.experiments.compare import evaluate_task
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import Skeleton


def test_a_task_is_what_the_commands_take(tmp_path):
    pairs = [("e0", "ef-bert"), ("f1", "ef-anna"), ("e0", "nothing")]
    data = own_task(QUERIES, VIDEOS, FOLD, pairs, name="mine")
    assert (len(data.splits["test"].pairs), len(data.splits["test"].absent)) == (2, 1)
    assert data.notes == ["1 splits without a listed pair, whose pairs were drawn: mine-validation"]
    # Training instances last 4 and 8 steps.
    assert (data.proposals, data.shortest, data.longest) == (SlidingWindows(2, 16), 2, 16)
    table = evaluate_task(data, [], tmp_path, progress=False)
    assert set(table["N"]) == {2}
    assert own_task(None, VIDEOS, FOLD, windows=SlidingWindows(3, 9)).longest == 9


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"pairs": [("e0", "ef-bert"), ("e9", "x")]},
            "pair 1 names the query 'e9', .*; pair 1 names the ref",
        ),
        ({"pairs": [("e0", "ef-anna")]}, "pair 0 searches 'e0' in 'ef-anna', with which it shares a source"),
        ({"queries": None, "pairs": []}, "give the queries too"),
        ({"queries": [*QUERIES, QUERIES[3]]}, "two queries have the id 'b1'"),
        ({"references": [*VIDEOS, VIDEOS[0]]}, "two references have the id 'ab-anna'"),
        (
            {"classes": ClassFold(tuple("abcd"), ("e",), ("f",))},
            "split has one class only, 'e', in validation",
        ),
        ({"classes": ClassFold(tuple("ab"), tuple("cd"), tuple("ez"))}, "'z', which nothing shows; .* 'f'"),
    ],
)
def test_what_is_refused_before_training(changes, problem):
    given = {"queries": QUERIES, "references": VIDEOS, "classes": FOLD, **changes}
    with pytest.raises(DataError, match=problem):
        own_task(**given)


def test_features_must_fit():
    with pytest.raises(FeatureError, match=r"clip 'ab-anna' with F = 20 \(got F = 1\)"):
        own_task(QUERIES, VIDEOS, FOLD, skeleton=Skeleton(5, 2, (3, 4), (0, 2, 1, 4, 3)))
    wide = Query(torch.zeros(3, 2), 0.5, "a", "wide")
    with pytest.raises(FeatureError, match=r"clip 'wide' with F = 1 \(got F = 2\)"):
        own_task([*QUERIES, wide], VIDEOS, FOLD)
