import json

import pytest

from vreloc_pyg.datasets import ActivityNet
from vreloc_pyg.errors import DataError


def annotation(start, end, label="run"):
    return {"segment": [start, end], "label": label}


def official(**videos):
    database = {
        key: {"duration": 20.0, "subset": "training", "resolution": "1x1", "url": "", "annotations": found}
        for key, found in videos.items()
    }
    return {"version": "VERSION 1.3", "taxonomy": [], "database": database}


def write(tmp_path, values, name="activity_net.v1-3.min.json"):
    path = tmp_path / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_the_official_layout(tmp_path):
    values = official(a=[annotation(1, 4), annotation(6.5, 9, "jump")], b=[annotation(0, 20)])
    dataset = ActivityNet(write(tmp_path, values))
    assert dataset.classes == ("jump", "run")
    first, second = dataset.videos
    assert (first.video_id, first.duration_s) == ("a", 20.0)
    assert first.instances == ((1.0, 4.0, "run"), (6.5, 9.0, "jump"))
    assert second.num_frames is None
    assert dataset.notes == []
    assert [one.video_id for one in ActivityNet(tmp_path).videos] == ["a", "b"]  # the folder does too


def test_the_layout_with_frame_counts(tmp_path):
    video = {"duration_second": 20.0, "duration_frame": 500, "annotations": [annotation(1, 4)]}
    dataset = ActivityNet(write(tmp_path, {"v_v_x": video}, "anet_anno_action.json"))
    assert dataset.videos[0].video_id == "v_x"
    assert dataset.frame_rates == {"v_x": 25.0}
    assert [one.video_id for one in ActivityNet(tmp_path).videos] == ["v_x"]


def test_what_is_mended_and_left_out_is_noted(tmp_path):
    values = official(
        none=[],
        merged=[annotation(1, 4), annotation(3, 6)],
        different=[annotation(1, 4), annotation(3, 6, "jump")],
        short=[annotation(5, 5), annotation(1, 2)],
        late=[annotation(12, 20.5)],
        end=[annotation(20, 20), annotation(0, 1)],
    )
    dataset = ActivityNet(write(tmp_path, values))
    assert {one.video_id: one.instances for one in dataset.videos} == {
        "merged": ((1.0, 6.0, "run"),),
        "short": ((1.0, 2.0, "run"),),
        "late": ((12.0, 20.0, "run"),),
        "end": ((0.0, 1.0, "run"),),
    }
    assert sorted(dataset.notes) == [
        "1 instances end past their video by less than 5 %, clipped: late",
        "1 videos with overlapping instances of different classes, left out: different",
        "1 videos with overlapping instances of one class, merged: merged",
        "1 videos without instances, left out: none",
        "2 instances of no length, left out: short, end",
    ]


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([annotation(4, 1)], r"bad: annotation 0 \[4, 1\] is reversed"),
        ([annotation(1, 2), annotation(-1, 4)], r"bad: annotation 1 \[-1, 4\] begins before the video"),
        ([annotation(1, 30)], r"bad: annotation 0 \[1, 30\] lies outside its video of 20 s"),
        ([{"segment": [1, 2]}], "bad: malformed, KeyError.*label"),
        *(([{"segment": segment, "label": "run"}], "bad: malformed") for segment in ([1], ["x", 2])),
        (None, "bad: malformed"),
    ],
)
def test_bad_annotations_are_named(tmp_path, found, problem):
    path = write(tmp_path, official(good=[annotation(1, 2)], bad=found))
    with pytest.raises(DataError, match=rf"activity_net.v1-3.min.json: {problem}"):
        ActivityNet(path)


def test_all_bad_videos_are_counted(tmp_path):
    path = write(tmp_path, official(**{f"v{i}": [annotation(4, 1)] for i in range(8)}))
    with pytest.raises(DataError, match=r"v4: .* and 3 more"):
        ActivityNet(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"database": {"a": 1, "a": 2}}', "holds the key 'a' twice"),
        ('{"database": {', "line 1: .*cut off or no JSON"),
        *((text, "Expected an object per video") for text in ("[]", "{}")),
        ('{"database": {"a": {"duration": 0, "annotations": []}}}', "a: Expected a positive duration"),
        ('{"v_a": {"duration_second": 9, "annotations": []}}', "Found no annotated instance in activitynet"),
        ({"v_a": {"duration_second": 9, "annotations": [annotation(1, 2)]}, "a": {}}, "twice"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        ActivityNet(write(tmp_path, text))


def test_folders_without_one_file(tmp_path):
    with pytest.raises(DataError, match=r"one activity_net\*.json in .* \(found 0\)"):
        ActivityNet(tmp_path)
    write(tmp_path, official(), "activity_net.v1-2.min.json")
    write(tmp_path, official())
    with pytest.raises(DataError, match=r"\(found 2\)"):
        ActivityNet(tmp_path)


@pytest.mark.parametrize(("count", "sizes"), [(100, [80, 10, 10]), (200, [160, 20, 20]), (10, [6, 2, 2])])
def test_the_releases_have_their_split_sizes(tmp_path, count, sizes):
    videos = {f"v{i}": [annotation(1, 4, f"class {i}")] for i in range(count)}
    chosen = ActivityNet(write(tmp_path, official(**videos))).class_split()
    assert [len(getattr(chosen, name)) for name in ("train", "validation", "test")] == sizes


def test_the_real_annotations(data_root):
    dataset = ActivityNet(data_root / "activitynet")
    assert len(dataset.classes) == 200
    assert len(dataset.videos) == 14_359
    counts = {note.split(" ", 1)[1].split(":")[0]: int(note.split()[0]) for note in dataset.notes}
    assert counts == {
        "videos without instances, left out": 4861,
        "instances end past their video by less than 5 %, clipped": 215,
        "videos with overlapping instances of one class, merged": 163,
        "instances of no length, left out": 12,
        "videos with overlapping instances of different classes, left out": 8,
    }
    splits = dataset.splits()
    assert [len(splits[name].classes) for name in ("train", "validation", "test")] == [160, 20, 20]
    assert sum(len(split.queries) for split in splits.values()) > 21_000
