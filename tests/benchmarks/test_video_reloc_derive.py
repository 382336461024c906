import pytest
from video_reloc_derive import derive_items, merge_instances, plain_videos

from vreloc_pyg.datasets.video_reloc import RelocItem
from vreloc_pyg.errors import DataError

NAMES = [f"class {i:03d}" for i in range(200)]


def official(videos):
    taxonomy = [{"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None}]
    taxonomy += [
        {"nodeId": i, "nodeName": n, "parentId": 0, "parentName": "Root"} for i, n in enumerate(NAMES, 1)
    ]
    return {"taxonomy": taxonomy, "database": videos}


def video(*instances, duration=160.0):
    annotations = [{"segment": [start, end], "label": label} for start, end, label in instances]
    return {"duration": duration, "annotations": annotations}


def derive(videos, lengths=None):
    lengths = lengths or {key: {"n_feat": 160, "n_frames": 2560} for key in videos}  # a step is a second
    return derive_items(official(videos), lengths, list(range(200)))


def only(derived, split="train"):
    return [one.item for one in derived[split]]


def test_an_instance_and_its_stretch_worked_by_hand():
    """Step 10 holds second 10, and the end counts its own step; another class is kept as background."""
    videos = {
        "a": video((10.2, 20.7, NAMES[0]), (30, 35, NAMES[1]), (50.5, 60, NAMES[0])),
    }
    items = only(derive(videos))
    assert items == [
        RelocItem("a", (0, 51), (10, 21), NAMES[0]),
        RelocItem("a", (0, 160), (30, 36), NAMES[1]),
        RelocItem("a", (20, 160), (30, 41), NAMES[0]),
    ]


def test_classes_are_split_by_the_permutation():
    videos = {name: video((5, 9, name)) for name in NAMES}
    derived = derive(videos)
    assert [len(derived[name]) for name in ("train", "validation", "test")] == [160, 20, 20]
    assert only(derived, "test")[0].label == NAMES[180]
    lengths = {key: {"n_feat": 160, "n_frames": 2560} for key in videos}
    turned = derive_items(official(videos), lengths, list(range(199, -1, -1)))
    assert {item.label for item in only(turned, "test")} == set(NAMES[:20])


def test_long_instances_and_long_stretches():
    videos = {"long": video((0, 32.5, NAMES[0])), "fits": video((0, 31.5, NAMES[0]))}
    assert [item.video_id for item in only(derive(videos))] == ["fits"]
    videos = {"a": video((100, 110, NAMES[0]), duration=400.0)}
    lengths = {"a": {"n_feat": 400, "n_frames": 6400}}
    (one,) = derive(videos, lengths)["train"]
    assert one.cropped
    assert one.item.location == (0, 400)


def test_overlaps():
    same = [(1.0, 5.0, "a"), (4.0, 9.0, "a"), (9.0, 12.0, "a"), (20.0, 22.0, "b")]
    assert merge_instances(same) == [(1.0, 12.0, "a"), (20.0, 22.0, "b")]  # touching counts too
    assert merge_instances([(1.0, 5.0, "a"), (4.0, 9.0, "b")]) is None
    assert merge_instances([]) == []


def test_videos_of_unknown_length_are_left_out():
    lengths = {"a": {"n_feat": 160, "n_frames": 2560}}
    derived = derive({"a": video((5, 9, NAMES[0])), "b": video((5, 9, NAMES[0]))}, lengths)
    assert [item.video_id for item in only(derived)] == ["a"]


def test_the_other_layout():
    values = {"v_a": {"duration_second": 160, "annotations": [{"segment": [1, 2], "label": "x"}]}}
    assert plain_videos(values) == {"a": (160.0, [(1.0, 2.0, "x")])}
    with pytest.raises(DataError, match="Expected duration and annotations of video 'v_a'"):
        plain_videos({"v_a": {"annotations": []}})


@pytest.mark.parametrize("permutation", [range(199), [0] * 200, range(1, 201)])
def test_a_permutation_that_does_not_fit(permutation):
    with pytest.raises(DataError, match="Expected a permutation of 200 classes"):
        derive_items(official({"a": video((5, 9, NAMES[0]))}), {}, list(permutation))
