import pytest
import torch

from vreloc_pyg.datasets.splits import (
    Query,
    Reference,
    RelocalizationSplit,
    StoredQuery,
    StoredReference,
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


def test_a_reference_comes_from_itself_and_its_sources():
    reference = make_reference(sources=("a", "b"))
    assert [reference.comes_from(video) for video in ("r", "a", "b", "c", "")] == [True] * 3 + [False] * 2


def test_a_reference_may_have_no_instance():
    assert Reference(torch.randn(4, 3), 0.5, torch.empty(0, 2), (), "r").segments.shape == (0, 2)


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (5,), (1, 5, 3)])
def test_refuses_features_of_another_shape(shape):
    features = torch.zeros(shape)
    for build in (
        lambda: Query(features, 0.5, "run", "v7"),
        lambda: Reference(features, 0.5, torch.empty(0, 2), (), "v7"),
    ):
        with pytest.raises(
            FeatureError, match=r"'v7' as \[num_steps, F\] with at least one step \(got shape"
        ):
            build()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_features_that_are_not_finite_and_names_the_step(value):
    features = torch.zeros(6, 3)
    features[4, 1] = features[5, 0] = value
    with pytest.raises(FeatureError, match=r"query 'v7' hold NaN or infinite values, first at step 4$"):
        Query(features, 0.5, "run", "v7")


def test_check_features_compares_widths_on_request():
    features = torch.zeros(6, 3)
    assert check_features(features, "clip", width=3) is features
    with pytest.raises(FeatureError, match=r"of clip with F = 4 \(got F = 3\)"):
        check_features(features, "clip", width=4)


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_an_impossible_step(step):
    with pytest.raises(DataError, match="positive seconds_per_step of 'v7'"):
        check_step(step, "v7")
    with pytest.raises(DataError, match="positive seconds_per_step of 'v7'"):
        Query(torch.zeros(3, 2), step, "run", "v7")
    with pytest.raises(DataError, match="positive seconds_per_step of 'v7'"):
        Reference(torch.zeros(3, 2), step, torch.empty(0, 2), (), "v7")


def test_refuses_as_many_labels_as_there_are_not_segments():
    with pytest.raises(DataError, match="'r' has 1 segments but 2 labels"):
        Reference(torch.zeros(4, 2), 0.5, torch.tensor([[0.0, 1.0]]), ("run", "jump"), "r")


@pytest.mark.parametrize(
    ("segment", "problem"),
    [
        ([1.0, 1.0], "empty or reversed"),
        ([0.0, float("nan")], "not finite"),
        ([0.0, 2.5], "outside its video"),
    ],
)
def test_refuses_impossible_annotations(segment, problem):
    with pytest.raises(SegmentError, match=f"annotation of 'r' 1 = .*{problem}"):
        Reference(torch.zeros(4, 2), 0.5, torch.tensor([[0.0, 1.0], segment]), ("run", "run"), "r")


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


class Counted:
    """Stored features that count how often they are read."""

    def __init__(self, features, num_features=3):
        self.features, self.num_features, self.reads = features, num_features, 0

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
    assert reference.comes_from("r")
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
    def clip(features, num_features=3):
        stored = Counted(features, num_features)
        if make == "query":
            return StoredQuery(stored, 0.5, "run", "v")
        return StoredReference(stored, 0.5, torch.empty(0, 2), (), "v")

    with pytest.raises(FeatureError, match=f"{make} 'v' hold NaN"):
        _ = clip(torch.tensor([[0.0, float("nan"), 1.0]])).features
    with pytest.raises(FeatureError, match=f"{make} 'v' with F = 5"):
        _ = clip(torch.zeros(2, 3), 5).features
    with pytest.raises(FeatureError, match=f"{make} 'v' with at least one step"):
        clip(torch.zeros(0, 3))


def test_stored_references_check_their_annotations():
    with pytest.raises(SegmentError, match="outside its video"):
        StoredReference(AbsentFeatures(4), 0.5, torch.tensor([[0.0, 2.5]]), ("run",), "r")
    with pytest.raises(DataError, match="1 segments but 0 labels"):
        StoredReference(AbsentFeatures(4), 0.5, torch.tensor([[0.0, 1.0]]), (), "r")
    with pytest.raises(DataError, match="positive seconds_per_step"):
        StoredQuery(AbsentFeatures(4), 0.0, "run", "q")


def test_absent_features_say_so():
    query = StoredQuery(AbsentFeatures(4), 0.5, "run", "q")
    assert query.num_steps == 4
    with pytest.raises(FeatureError, match="without a feature store"):
        _ = query.features
