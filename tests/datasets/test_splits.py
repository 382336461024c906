import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.splits import (
    Query,
    Reference,
    RelocalizationSplit,
    StoredQuery,
    StoredReference,
    another_class,
    check_features,
    check_step,
)
from vreloc_pyg.errors import DataError, FeatureError, SegmentError
from vreloc_pyg.features.lazy import AbsentFeatures


def make_query(label="run", video_id="q"):
    return Query(torch.randn(6, 3), 0.5, label, video_id)


def make_reference(labels=("run", "jump", "run"), video_id="r", sources=()):
    segments = torch.tensor([[1.0, 2.0], [2.0, 4.0], [7.0, 10.0]])[: len(labels)]
    return Reference(torch.randn(20, 3), 0.5, segments, labels, video_id, sources)


def test_lengths_in_steps_and_seconds():
    assert (make_query().num_steps, make_query().duration_s) == (6, 3.0)
    assert (make_reference().num_steps, make_reference().duration_s) == (20, 10.0)


def test_instances_of_a_class():
    reference = make_reference()
    assert reference.segments.dtype == torch.float64
    assert reference.segments_of("run").tolist() == [[1, 2], [7, 10]]
    assert reference.steps_of("run").tolist() == [[2, 4], [14, 20]]
    assert reference.steps_of("run").dtype == torch.long
    assert reference.segments_of("sit").shape == (0, 2)
    assert reference.steps_of("sit").shape == (0, 2)


def test_a_reference_shares_itself_and_its_sources():
    reference = make_reference(sources=("a", "b"))
    asked = [Query(torch.ones(1, 1), 1.0, "run", video) for video in ("r", "a", "b", "c", "")]
    assert [reference.shares_source(query) for query in asked] == [True] * 3 + [False] * 2
    by_person = Query(torch.ones(1, 1), 1.0, "run", "c", ("somebody", "b"))
    assert reference.shares_source(by_person)


def test_a_reference_may_have_no_instance():
    assert Reference(torch.randn(4, 3), 0.5, torch.empty(0, 2), (), "r").segments.shape == (0, 2)


def query_of(features, step=0.5):
    return Query(features, step, "run", "v7")


def reference_of(features, step=0.5):
    return Reference(features, step, torch.empty(0, 2), (), "v7")


@pytest.mark.parametrize("make", [query_of, reference_of])
@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (5,), (1, 5, 3)])
def test_refuses_features_of_another_shape(make, shape):
    problem = r"'v7' as \[num_steps, F\] with at least one step \(got shape"
    with pytest.raises(FeatureError, match=problem):
        make(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_features_that_are_not_finite_and_names_the_step(value):
    features = torch.zeros(6, 3)
    features[4, 1] = features[5, 0] = value
    with pytest.raises(FeatureError, match=r"query 'v7' hold NaN or infinite values, first at step 4$"):
        query_of(features)


def test_check_features_compares_widths_on_request():
    features = torch.zeros(6, 3)
    assert check_features(features, "clip", width=3) is features
    with pytest.raises(FeatureError, match=r"of clip with F = 4 \(got F = 3\)"):
        check_features(features, "clip", width=4)


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("make", [query_of, reference_of, lambda _, step: check_step(step, "v7")])
def test_refuses_an_impossible_step(make, step):
    with pytest.raises(DataError, match="positive seconds_per_step of 'v7'"):
        make(torch.zeros(3, 2), step)
    with pytest.raises(DataError, match="positive seconds_per_step of 'v7'"):
        StoredQuery(AbsentFeatures(4), step, "run", "v7")


@pytest.mark.parametrize(
    ("kind", "features"), [(Reference, torch.zeros(4, 2)), (StoredReference, AbsentFeatures(4))]
)
@pytest.mark.parametrize(
    ("segment", "labels", "error", "problem"),
    [
        ([1.0, 2.0], ("run",), DataError, "'r' has 2 segments but 1 labels"),
        ([1.0, 1.0], ("run", "run"), SegmentError, "annotation of 'r' 1 = .*empty or reversed"),
        ([0.0, float("nan")], ("run", "run"), SegmentError, "annotation of 'r' 1 = .*not finite"),
        ([0.0, 2.5], ("run", "run"), SegmentError, "annotation of 'r' 1 = .*outside its video"),
    ],
)
def test_refuses_impossible_annotations(kind, features, segment, labels, error, problem):
    with pytest.raises(error, match=problem):
        kind(features, 0.5, torch.tensor([[0.0, 1.0], segment]), labels, "r")


def test_a_split_lists_its_pairs():
    queries = [make_query("run", "a"), make_query("jump", "b")]
    references = [make_reference(), make_reference(("run",), "s")]
    split = RelocalizationSplit("test", queries, references, [(0, 1), (1, 0), (0, 0)])
    assert len(split) == 3
    assert split[0] == (queries[0], references[1])
    assert split[1] == (queries[1], references[0])
    assert split.classes == ("jump", "run")
    assert split.num_features == 3


@pytest.mark.parametrize("pair", [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_refuses_pairs_outside_the_lists(pair):
    with pytest.raises(DataError, match=r"Pair 1 of split 'test' points outside its lists"):
        RelocalizationSplit("test", [make_query()], [make_reference()], [(0, 0), pair])


def test_refuses_pairs_without_an_answer():
    with pytest.raises(DataError, match=r"Pair 0 of split 'test': reference 'r' holds no instance of 'sit'"):
        RelocalizationSplit("test", [make_query("sit")], [make_reference()], [(0, 0)])


def split_of(labels, pairs, stored=False):
    """Queries of classes and one reference of them all."""
    make = (lambda: AbsentFeatures(4)) if stored else (lambda: torch.randn(4, 3))
    kinds = (StoredQuery, StoredReference) if stored else (Query, Reference)
    queries = [kinds[0](make(), 0.5, label, "v") for label in labels]
    bounds = torch.tensor([[0.0, 1.0]] * len(labels))
    return RelocalizationSplit("test", queries, [kinds[1](make(), 0.5, bounds, tuple(labels), "r")], pairs)


@pytest.mark.parametrize("stored", [False, True])
@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=9), data=st.data())
def test_another_class_is_the_first_one_counted_from_half_the_queries_on(stored, labels, data):
    asked = data.draw(st.lists(st.integers(0, len(labels) - 1), max_size=12))
    split = split_of(labels, [(number, 0) for number in asked], stored)
    half = len(labels) // 2
    turned = [*split.queries[half:], *split.queries[:half]]
    if asked and len(set(labels)) == 1:
        with pytest.raises(DataError, match=f"'test' holds one class only, '{labels[0]}': there is no query"):
            another_class(split)
        return
    expected = [
        next(other for other in [*turned[i:], *turned] if other.label != split.queries[i].label)
        for i in asked
    ]
    found = another_class(split)
    assert len(found) == len(split)
    assert all(one is other for one, other in zip(found, expected, strict=True))


class Counted:
    """Stored features that count how often they are read."""

    def __init__(self, features):
        self.features, self.reads = features, 0

    @property
    def num_steps(self):
        return len(self.features)

    def read(self):
        self.reads += 1
        return self.features


def test_stored_clips_read_their_features_only_when_asked():
    stored = Counted(torch.arange(12.0).view(4, 3))
    reference = StoredReference(stored, 0.5, torch.tensor([[0.0, 1.0]]), ("run",), "r/0", ("r",), 7.5)
    query = StoredQuery(stored, 0.5, "run", "q")
    assert isinstance(reference, Reference)
    assert isinstance(query, Query)
    assert (reference.num_steps, reference.duration_s, reference.offset_s) == (4, 2.0, 7.5)
    assert (query.num_steps, query.duration_s) == (4, 2.0)
    assert reference.steps_of("run").tolist() == [[0, 2]]
    assert reference.shares_source(StoredQuery(stored, 0.5, "run", "r"))
    split = RelocalizationSplit("test", [query], [reference], [(0, 0)])
    assert split.classes == ("run",)
    assert "r/0" in repr(reference)
    assert "'q'" in repr(query)
    assert stored.reads == 0
    assert torch.equal(split[0][1].features, stored.features)
    assert split.num_features == 3
    assert stored.reads == 2


@pytest.mark.parametrize("make", ["query", "reference"])
def test_stored_features_are_checked_when_they_are_read(make):
    def clip(features):
        stored = Counted(features)
        if make == "query":
            return StoredQuery(stored, 0.5, "run", "v")
        return StoredReference(stored, 0.5, torch.empty(0, 2), (), "v")

    with pytest.raises(FeatureError, match=f"{make} 'v' hold NaN"):
        _ = clip(torch.tensor([[0.0, float("nan"), 1.0]])).features
    with pytest.raises(FeatureError, match=f"{make} 'v' with at least one step"):
        clip(torch.zeros(0, 3))


def test_absent_features_say_so():
    query = StoredQuery(AbsentFeatures(4), 0.5, "run", "q")
    assert query.num_steps == 4
    with pytest.raises(FeatureError, match="without a feature store"):
        _ = query.features
