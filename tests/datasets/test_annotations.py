import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets import ClassFold
from vreloc_pyg.datasets.annotations import AnnotatedDataset, AnnotatedVideo, step_timing
from vreloc_pyg.datasets.reading import Notes, check_instance, find_file, merge_overlaps, only_file
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import write_store

FOLD = ClassFold(("a", "b"), ("c",), ("d",))


def video(video_id, *instances, duration_s=20.0, **options):
    return AnnotatedVideo(video_id, duration_s, tuple(instances), **options)


VIDEOS = [
    video("v1", (1, 4, "a"), (6, 9, "b")),
    video("v2", (2, 5, "a"), (7, 9, "d"), (12, 15, "b")),
    video("v3", (0, 3, "c"), (5, 8, "d")),
    video("v4", (1, 2, "c"), (3, 4, "c"), (10, 12, "a")),
    video("v5", (1, 20, "d")),
]


def store_for(tmp_path, videos=VIDEOS, num_steps=40, **metadata):
    metadata = FeatureMetadata(dim=3, frames_per_step=10.0, frame_rate=20.0, **metadata)
    values = [(one.video_id, torch.randn(num_steps, 3)) for one in videos]
    return write_store(tmp_path / "f.h5", values, metadata)


def test_splits_worked_by_hand(tmp_path):
    store = store_for(tmp_path)
    splits = AnnotatedDataset(VIDEOS).splits(store, FOLD)
    assert list(splits) == ["train", "validation", "test"]
    train, validation, test = splits.values()
    # Of v2 and v4 training sees the stretches that show neither c nor d.
    assert [one.video_id for one in train.references] == ["v1", "v2/0", "v2/1", "v4/0"]
    assert [one.sources for one in train.references] == [(), ("v2",), ("v2",), ("v4",)]
    assert [one.offset_s for one in train.references] == [0.0, 0.0, 9.0, 4.0]
    assert train.references[2].segments.tolist() == [[3.0, 6.0]]
    assert torch.equal(train.references[2].features, store.read("v2", 18, 40))
    queries = [(query.video_id, query.label) for query in train.queries]
    assert queries == [("v1", "a"), ("v1", "b"), ("v2", "a"), ("v2", "b"), ("v4", "a")]
    assert torch.equal(train.queries[3].features, store.read("v2", 24, 30))
    assert [one.video_id for one in validation.references] == ["v3", "v4"]
    assert validation.references[1].labels == ("c", "c", "a")
    assert [one.video_id for one in test.references] == ["v2", "v3", "v5"]
    assert test.classes == ("d",)
    for split in splits.values():
        for query, reference in map(split.__getitem__, range(len(split))):
            assert not reference.shares_source(query)


def test_pairs_depend_on_the_seed_and_not_on_the_order(tmp_path):
    videos = [video(f"v{i}", (1, 4, "abc"[i % 3]), (6, 9, "abcd"[i % 4])) for i in range(24)]
    store = store_for(tmp_path, videos)

    def pairs(videos, seed):
        split = AnnotatedDataset(videos).splits(store, FOLD, seed)["train"]
        return [(split[i][0].video_id, split[i][1].video_id) for i in range(len(split))]

    assert pairs(videos, 0) == pairs(videos[::-1], 0)
    assert pairs(videos, 0) != pairs(videos, 1)


def test_without_features_lengths_are_nominal():
    splits = AnnotatedDataset(VIDEOS).splits(None, FOLD)
    reference = splits["test"].references[0]
    assert (reference.num_steps, reference.seconds_per_step) == (40, 0.5)
    framed = [video(f"w{i}", (1, 4, "abcd"[i % 4]), num_frames=640) for i in range(8)]
    reference = AnnotatedDataset(framed).splits(None, FOLD)["test"].references[0]
    assert (reference.num_steps, reference.seconds_per_step) == (40, 0.5)


def test_seconds_per_step_from_the_best_known_rate(tmp_path, monkeypatch):
    store = store_for(tmp_path)
    assert step_timing(VIDEOS[0], store) == (40, 0.5, "")
    framed = video("v1", (1, 4, "a"), num_frames=410)  # 20.5 frames per second
    steps, step_s, problem = step_timing(framed, store)
    assert (steps, step_s, problem) == (40, pytest.approx(10 / 20.5), "")
    bare = write_store(tmp_path / "bare.h5", [("v1", torch.zeros(25, 3))], FeatureMetadata())
    assert step_timing(VIDEOS[0], bare) == (25, 0.8, "")
    unknown = video("v1", (1, 4, "a"), duration_s=None)
    assert "no known duration" in step_timing(unknown, bare)[2]
    assert step_timing(unknown, store) == (40, 0.5, "")
    assert "neither features nor a duration" in step_timing(unknown, None)[2]
    monkeypatch.setattr(type(store), "frame_rate", lambda store, video_id: 1e-307)
    assert step_timing(VIDEOS[0], store) == (0, 0.0, "has steps of 1e+308 seconds")


def test_features_of_a_part_only_are_not_spread_over_the_whole(tmp_path):
    """16 frames to a step of an unknown rate: a single one of them is not a video of 20 s."""
    about = FeatureMetadata("c3d", 3, 16.0)
    for num_steps, fits in ((1, False), (2, False), (30, True), (9999, False)):
        store = write_store(tmp_path / f"{num_steps}.h5", [("v1", torch.zeros(num_steps, 3))], about)
        steps, _, problem = step_timing(VIDEOS[0], store)
        assert (steps, problem == "") == ((num_steps, True) if fits else (0, False))


@pytest.mark.parametrize(("num_steps", "fits"), [(40, 1), (42, 1), (38, 1), (43, 0), (37, 0)])
def test_durations_may_differ_by_five_percent(tmp_path, num_steps, fits):
    store = store_for(tmp_path, num_steps=num_steps)
    if fits:
        AnnotatedDataset(VIDEOS).splits(store, FOLD)
        return
    with pytest.raises(DataError, match=r"5 videos of .* duration in .*: v1 lasts .* s by its features"):
        AnnotatedDataset(VIDEOS).splits(store, FOLD)


def test_instances_past_the_last_step_are_cut_or_left_out(tmp_path):
    videos = [*VIDEOS, video("v6", (1, 4, "d"), (19.5, 20, "d"))]
    dataset = AnnotatedDataset(videos)
    test = dataset.splits(store_for(tmp_path, videos, num_steps=39), FOLD)["test"]
    (last,) = (one for one in test.references if one.video_id == "v6")
    assert last.segments.tolist() == [[1.0, 4.0]]
    (five,) = (one for one in test.references if one.video_id == "v5")
    assert five.segments.tolist() == [[1.0, 19.5]]
    assert dataset.notes == ["1 instances past the last feature, left out: v6 d"]


def test_missing_features(tmp_path):
    store = store_for(tmp_path, VIDEOS[:3])
    with pytest.raises(DataError, match=r"2 annotated videos without features in .*: v4; v5. --skip-missing"):
        AnnotatedDataset(VIDEOS).splits(store, FOLD)
    videos = [*VIDEOS, video("v6", (1, 4, "c"))]
    dataset = AnnotatedDataset(videos)
    kept = store_for(tmp_path, [*VIDEOS[:4], videos[5]])
    splits = dataset.splits(kept, FOLD, skip_missing=True)
    assert "v5" not in {one.video_id for one in splits["test"].references}
    assert dataset.notes == ["1 annotated videos without features, left out: v5"]


FEW = [video(f"v{i}", (1, 4, label)) for i, label in enumerate("aabc")]


@pytest.mark.parametrize(
    ("videos", "problem"),
    [
        (VIDEOS, "knows nothing of 1 classes, first 'd' of video 'v2'"),
        (FEW, "No class of the validation split of dataset is shown by two videos without"),
        ([], "Found no annotated instance in dataset"),
    ],
)
def test_videos_that_cannot_be_split(videos, problem):
    with pytest.raises(DataError, match=problem):
        AnnotatedDataset(videos).splits(None, ClassFold(("a",), ("b",), ("c",)))


def test_classes_durations_and_rates():
    more = [video("w", (0, 1, "z"), duration_s=None), video("x", num_frames=500)]
    dataset = AnnotatedDataset([*VIDEOS, *more])
    assert dataset.classes == ("a", "b", "c", "d", "z")
    assert set(dataset.durations_s) == {"v1", "v2", "v3", "v4", "v5", "x"}
    assert dataset.frame_rates == {"x": 25.0}
    chosen = dataset.class_split(3)
    assert sorted([*chosen.train, *chosen.validation, *chosen.test]) == list(dataset.classes)


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (1, 4, ""),
        (0, 20.9, ""),
        (5, 5, ""),
        (4, 1, "is reversed"),
        (-0.5, 4, "begins before the video"),
        (20.5, 20.6, "lies outside its video of 20 s"),
        (1, 22, "lies outside its video of 20 s"),
        (float("nan"), 4, "is not finite"),
        (1, float("inf"), "is not finite"),
    ],
)
def test_what_is_wrong_with_an_instance(start, end, problem):
    assert check_instance(start, end, 20.0) == problem


instances = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from("ab")).map(
        lambda one: (float(one[0]), float(one[0] + one[1]), one[2])
    ),
    min_size=1,
    max_size=8,
)


@given(instances)
def test_merging_keeps_what_is_covered(found):
    merged = merge_overlaps(found)
    for label in "ab":
        covered = {s for low, high, own in found if own == label for s in range(int(low), int(high))}
        ours = [one for one in merged if one[2] == label]
        assert {s for low, high, _ in ours for s in range(int(low), int(high))} == covered
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(ours))
    assert merged == sorted(merged)


def test_notes_count_and_show_a_few():
    notes = Notes()
    names = [f"v{i:02d}" for i in range(21)]
    for name in names:
        notes.add("videos, left out", name)
    notes.add("others", "x")
    assert notes.lines() == [f"21 videos, left out: {', '.join(names[:20])} …", "1 others: x"]


def test_files_are_found_in_any_case(tmp_path):
    (tmp_path / "Length.TXT").write_text("")
    assert find_file(tmp_path, "length.txt").name == "Length.TXT"
    assert find_file(tmp_path, "other.txt") is None
    assert find_file(tmp_path / "nowhere", "length.txt") is None
    assert only_file(tmp_path, "other.txt", "len*.txt").name == "Length.TXT"
    assert only_file(tmp_path / "Length.TXT", "other.txt", "*.csv").name == "Length.TXT"
