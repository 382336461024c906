"""Splits of whole annotated videos by classes: stretches for training, drawn and listed pairs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vreloc_pyg.datasets.class_splits import class_splits, stretches_without
from vreloc_pyg.datasets.folds import SPLITS, ClassFold
from vreloc_pyg.datasets.reading import Notes
from vreloc_pyg.datasets.splits import Query, Reference, StoredReference
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.lazy import AbsentFeatures

FOLD = ClassFold(("a", "b"), ("c", "d"), ("e", "f"))


def counting_reference(segments, labels, video_id="s04_e01", sources=(), num_steps=30, step=0.5):
    """A reference whose features tell the number of their step."""
    features = torch.arange(num_steps, dtype=torch.float32)[:, None]
    bounds = torch.tensor(segments, dtype=torch.float64).reshape(-1, 2)
    return Reference(features, step, bounds, tuple(labels), video_id, sources)


def query(label, number, *sources):
    return Query(torch.full((4, 1), float(number)), 0.5, label, f"{label}{number}", sources)


#: Two people film every pair of classes, and one video shows nothing.
VIDEOS = [
    counting_reference([[1, 3], [5, 9]], pair, f"{pair}-{person}", (person,))
    for person in ("anna", "bert")
    for pair in ("ab", "cd", "ef", "ae")
] + [counting_reference([], "", "nothing", ("carl",))]
QUERIES = [
    query(label, number, person) for label in "abcdef" for number, person in enumerate(("anna", "bert"))
]


def named(split, pairs):
    return [(split.queries[q].video_id, split.references[r].video_id) for q, r in pairs]


@given(st.integers(0, 10**6), st.booleans())
def test_no_query_meets_its_own_source_and_training_shows_no_other_class(seed, apart):
    splits = class_splits("own", VIDEOS, FOLD, QUERIES if apart else None, seed=seed)
    assert list(splits) == list(SPLITS)
    for key, split in splits.items():
        assert split.classes == getattr(FOLD, key)
        assert len(split) == len(split.queries)  # each class is shown by both people
        for asked, reference in map(split.__getitem__, range(len(split))):
            assert set(asked.sources) != set(reference.sources) & {"anna", "bert"}
            assert asked.label in reference.labels
    for part in splits["train"].references:
        assert set(part.labels) <= set(FOLD.train)
        if part.sources[0].startswith("ae"):
            assert part.num_steps == 10  # up to where e begins, at 5 s


def test_listed_pairs_are_evaluated_and_those_without_the_action_are_absent():
    pairs = [("e0", "ef-bert"), ("e0", "nothing"), ("f1", "ae-anna"), ("c0", "cd-bert"), ("a0", "ab-bert")]
    splits = class_splits("own", VIDEOS, FOLD, QUERIES, pairs)
    test = splits["test"]
    assert named(test, test.pairs) == [("e0", "ef-bert")]
    assert named(test, test.absent) == [("e0", "nothing"), ("f1", "ae-anna")]
    assert named(splits["validation"], splits["validation"].pairs) == [("c0", "cd-bert")]
    assert len(splits["train"]) == 4  # drawn: its references are no whole videos


def test_where_nothing_is_listed():
    notes = Notes()
    splits = class_splits("own", VIDEOS, FOLD, QUERIES, [("e0", "ef-bert")], notes=notes)
    assert len(splits["validation"]) == 4
    assert notes.lines() == ["1 splits without a listed pair, whose pairs were drawn: own-validation"]
    with pytest.raises(DataError, match="No pair that is listed asks for a test class of own"):
        class_splits("own", VIDEOS, FOLD, QUERIES, [("c0", "cd-bert"), ("e0", "nothing")])
    with pytest.raises(DataError, match="train split of own is shown by two videos without a common source"):
        class_splits("own", VIDEOS[:3], FOLD, [one for one in QUERIES if one.sources == ("anna",)])


def test_stored_features_are_cut_without_being_read():
    bounds = torch.tensor([[1.0, 3.0], [5.0, 9.0]], dtype=torch.float64)
    stored = [StoredReference(AbsentFeatures(30), 0.5, bounds, tuple("ae"), name, ("x",)) for name in "vw"]
    (part,) = stretches_without(stored[0], "a")
    assert (part.video_id, part.num_steps, part.sources) == ("v/0", 10, ("v", "x"))
    assert (part.cut_from, stored[0].cut_from) == ("v", "")
    assert isinstance(part, StoredReference)


def test_stretches_hand_worked():
    segments = [[1.0, 2.2], [3.1, 4.0], [4.5, 6.0], [6.0, 8.0], [9.0, 11.0]]
    reference = counting_reference(segments, ["run", "sit", "run", "run", "sit"])
    first, second = stretches_without(reference, ["run"])
    assert (first.video_id, second.video_id) == ("s04_e01/0", "s04_e01/1")
    assert first.features[:, 0].tolist() == [0, 1, 2, 3, 4, 5]  # up to 3.0 s
    assert first.segments.tolist() == [[1.0, pytest.approx(2.2)]]
    assert second.features[:, 0].tolist() == list(range(8, 18))  # 4.0 s to 9.0 s
    assert second.segments.tolist() == [[0.5, 2.0], [2.0, 4.0]]
    assert (second.sources, second.offset_s) == (("s04_e01",), 4.0)


def test_a_held_out_instance_may_lie_within_another():
    segments = [[0.0, 10.0], [2.0, 3.0], [4.0, 6.0], [11.0, 12.0]]
    reference = counting_reference(segments, ["sit", "push", "run", "run"])
    (part,) = stretches_without(reference, ["run"])
    assert part.features[:, 0].tolist() == list(range(20, 30))
    assert part.segments.tolist() == [[1.0, 2.0]]


# Times are multiples of .1 s, so that rounding decides nothing; segments may overlap and nest.
layouts = st.lists(
    st.tuples(st.integers(0, 139), st.integers(1, 25), st.sampled_from("abc")).map(
        lambda item: (item[0] / 10, min(150, item[0] + item[1]) / 10, item[2])
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=300)
@given(layouts, st.sampled_from(["a", "ab", "abc", ""]))
def test_stretches_are_the_runs_of_steps_that_show_no_held_out_class(layout, kept):
    reference = counting_reference([[s, e] for s, e, _ in layout], [label for *_, label in layout])
    held_out = [(round(10 * s), round(10 * e)) for s, e, label in layout if label not in kept]
    free = [all(5 * t + 5 <= s or 5 * t >= e for s, e in held_out) for t in range(30)]
    expected = []
    for first in range(30):
        if free[first] and (first == 0 or not free[first - 1]):
            last = next((t for t in range(first, 30) if not free[t]), 30)
            inside = [
                (s - first / 2, e - first / 2, label)
                for s, e, label in layout
                if label in kept and first / 2 <= s and e <= last / 2
            ]
            if inside:
                expected.append((list(range(first, last)), inside))
    parts = stretches_without(reference, sorted(kept))
    assert [part.features[:, 0].tolist() for part in parts] == [steps for steps, _ in expected]
    for number, (part, (_, inside)) in enumerate(zip(parts, expected, strict=True)):
        assert part.labels == tuple(label for *_, label in inside)
        bounds = torch.tensor([[s, e] for s, e, _ in inside], dtype=torch.float64)
        torch.testing.assert_close(part.segments, bounds, rtol=0, atol=1e-9)
        if part.num_steps < 30:
            assert (part.video_id, part.sources) == (f"s04_e01/{number}", ("s04_e01",))
        else:
            assert part is reference
