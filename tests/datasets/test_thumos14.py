import pytest

from vreloc_pyg.datasets import Thumos14
from vreloc_pyg.datasets.thumos14 import SIZES
from vreloc_pyg.errors import DataError


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


DIVING = "temporal_annotations_test/Diving_test.txt"
FILES = {
    "temporal_annotations_validation/Diving_val.txt": "video_validation_1  1 4\nvideo_validation_1 3 6\n",
    "temporal_annotations_validation/Ambiguous_val.txt": "video_validation_1  8.0 9.0\n",
    "temporal_annotations_test/CliffDiving_test.txt": "video_test_2 1.0 4.0\n\nvideo_test_0000270 1 2\n",
    "temporal_annotations_test/Diving_test.txt": "\ufeffvideo_test_2 1.0 4.0\r\nvideo_test_3 5.0 9.4\r\n",
    "thumos14_video_length_val.txt": "video_validation_1 20.0 600\n",
    "test_durations.txt": "video_test_2.mp4\n10.0\nvideo_test_3.mp4\n9.0\n",
}


def test_the_official_files(tmp_path):
    dataset = Thumos14(write(tmp_path, FILES))
    found = {one.video_id: one for one in dataset.videos}
    assert {key: one.instances for key, one in found.items()} == {
        "video_validation_1": ((1.0, 6.0, "Diving"),),
        "video_test_2": ((1.0, 4.0, "CliffDiving"), (1.0, 4.0, "Diving")),
        "video_test_3": ((5.0, 9.0, "Diving"),),
    }
    assert dataset.frame_rates == {"video_validation_1": 30.0}
    assert dataset.durations_s == {"video_validation_1": 20.0, "video_test_2": 10.0, "video_test_3": 9.0}
    assert sorted(dataset.notes) == [
        "1 videos to avoid, left out: video_test_0000270",
        "1 videos with overlapping instances of one class, merged: video_validation_1",
    ]


def test_instances_past_the_end_are_left_out(tmp_path):
    dataset = Thumos14(write(tmp_path, {**FILES, DIVING: "video_test_3 5.0 6.0\nvideo_test_3 12 15\n"}))
    (three,) = (one for one in dataset.videos if one.video_id == "video_test_3")
    assert three.instances == ((5.0, 6.0, "Diving"),)
    assert any(note.startswith("1 instances past the end of their video") for note in dataset.notes)


def test_without_durations(tmp_path):
    files = {key: text for key, text in FILES.items() if key.startswith("temporal")}
    dataset = Thumos14(write(tmp_path, files))
    assert dataset.durations_s == {}
    assert len(dataset.videos) == 3


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (DIVING, "video_test_2 1.0\n", "Diving_test.txt, line 1: expected a video"),
        (DIVING, "a 1 2\nb x 2\n", "Diving_test.txt, line 2: expected a video"),
        (DIVING, "a 4 1\n", "Diving_test.txt, line 1: the segment .* reversed"),
        (DIVING, "a 4 4\n", "line 1: the segment .* has no length"),
        (DIVING, "a -4 4\n", "line 1: .* begins before the video"),
        ("thumos14_video_length_test.txt", "a 10\n", "length_test.txt, line 1: expected a video, seconds"),
        ("thumos14_video_length_test.txt", "a ten 5\n", "length_test.txt, line 1"),
        ("test_durations.txt", "a.mp4\n", "line 1: the duration of a.mp4 is missing"),
        ("test_durations.txt", "a.mp4\nb.mp4\n", "line 2: expected seconds"),
    ],
)
def test_bad_lines_are_named(tmp_path, name, text, problem):
    with pytest.raises(DataError, match=problem):
        Thumos14(write(tmp_path, {**FILES, name: text}))


@pytest.mark.parametrize("seed", range(5))
def test_the_real_files(data_root, seed):
    dataset = Thumos14(data_root / "thumos14")
    assert len(dataset.classes) == 20
    # 413 files are annotated; two are excluded and one holds nothing but Ambiguous.
    assert len(dataset.videos) == 410
    assert not {"video_test_0000270", "video_test_0001496"} & {one.video_id for one in dataset.videos}
    chosen = dataset.class_split(seed)
    sides = [set(getattr(chosen, name)) for name in ("train", "validation", "test")]
    assert tuple(map(len, sides)) == SIZES == (12, 2, 6)
    assert any({"CliffDiving", "Diving"} <= side for side in sides)
    splits = dataset.splits(seed=seed)
    assert all(len(split) > 0 for split in splits.values())
    assert splits["test"].references[0].num_steps > 1
    several = [one for one in splits["test"].references if len(one.labels) > 1]
    assert several
