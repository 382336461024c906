import numpy as np
import pytest
from scipy.io import savemat

from tests.datasets.conftest import penn_clip, split_checksum, write_penn_action
from vreloc_pyg.datasets.penn_action import (
    CLASSES,
    SECONDS_PER_STEP,
    PennAction,
    penn_action_reloc,
    read_clip,
)
from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.pose import PENN_SKELETON, normalize_pose

NAMES = ("train", "validation", "test")


def write(tmp_path, content):
    savemat(tmp_path / "0007.mat", content)
    return tmp_path / "0007.mat"


def test_reads_every_second_frame(tmp_path):
    content = penn_clip(num_frames=21, label="squat")
    clip = read_clip(write(tmp_path, content))
    assert (clip.video_id, clip.label, len(clip)) == ("0007", "squat", 11)
    joints = np.stack([content["x"], content["y"]], axis=-1)[::2]
    np.testing.assert_allclose(clip.pose, normalize_pose(joints, PENN_SKELETON))


def test_invisible_joints_at_one_one_are_interpolated(tmp_path):
    content = penn_clip(num_frames=20)  # every joint moves on a straight line at constant speed
    expected = read_clip(write(tmp_path, content))
    content["x"][6:11, 4] = content["y"][6:11, 4] = 1
    content["visibility"][6:11, 4] = 0
    clip = read_clip(write(tmp_path, content))
    np.testing.assert_allclose(clip.pose, expected.pose, atol=1e-9)


def test_invisible_joints_with_a_position_keep_it(tmp_path):
    content = penn_clip()
    expected = read_clip(write(tmp_path, content))
    content["visibility"][:, 2] = 0
    clip = read_clip(write(tmp_path, content))
    assert np.array_equal(clip.pose, expected.pose)


def test_reads_a_folder_in_order(tmp_path):
    data = PennAction(write_penn_action(tmp_path, [penn_clip(12, "bowl"), penn_clip(16, "squat")]))
    found = [(clip.video_id, clip.label, len(clip)) for clip in data.clips]
    assert found == [("0001", "bowl", 6), ("0002", "squat", 8)]


@pytest.mark.parametrize("make", [None, "labels", "frames"])
def test_a_missing_or_empty_folder(tmp_path, make):
    if make:
        (tmp_path / make).mkdir()
    with pytest.raises(DataError, match=r"Found no Penn Action label files .*labels/\*\.mat"):
        PennAction(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        *((content, "") for content in (b"", 100, 300)),
        (b"no MATLAB file, but long enough for its header" * 10, ": not a MATLAB 5 file"),
    ],
)
def test_a_file_that_is_cut_off_or_of_another_kind_is_named(tmp_path, content, problem):
    path = write(tmp_path, penn_clip())
    path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(DataError, match=rf"0007\.mat{problem}"):
        read_clip(path)


SHAPES = r"expected x, y and visibility as \[frames, 13\] \(got"
NAN = np.where(np.arange(260).reshape(20, 13) == 55, np.nan, 1.0)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        *(({key: None}, rf"lacks or damages one of .* \('{key}'\)") for key in penn_clip()),
        *(({"x": x}, "") for x in ("text", {"a": 1}, np.array([["cell"], [1]], dtype=object))),
        ({"action": np.array(["bowl", "squat"], dtype=object)}, ""),
        ({"x": np.ones((19, 13))}, SHAPES),
        ({"y": np.ones((20, 12))}, SHAPES),
        ({"visibility": np.ones((13, 20))}, SHAPES),
        *((dict.fromkeys(["x", "y", "visibility"], np.ones((20, n))), SHAPES) for n in (12, 14)),
        ({"y": NAN}, "x or y holds NaN"),
    ],
)
def test_damaged_content_is_named(tmp_path, changed, problem):
    content = {key: value for key, value in {**penn_clip(), **changed}.items() if value is not None}
    with pytest.raises(DataError, match=rf"0007\.mat.*{problem}"):
        read_clip(write(tmp_path, content))


@pytest.mark.parametrize("num_frames", [0, 8])
def test_no_joint_with_a_position(tmp_path, num_frames):
    arrays = {"x": np.ones((num_frames, 13)), "y": np.ones((num_frames, 13))}
    content = {**penn_clip(), **arrays, "visibility": np.zeros((num_frames, 13))}
    with pytest.raises(DataError, match=r"0007\.mat: no joint has a position"):
        read_clip(write(tmp_path, content))


def test_splits_of_a_small_folder(penn_root):
    clips, sizes = PennAction(penn_root).clips, {"num_train": 10, "num_validation": 4, "num_test": 6}
    splits, again, other = (penn_action_reloc(clips, 2, **sizes, seed=seed) for seed in (0, 0, 1))
    assert list(splits) == list(NAMES)
    assert [len(splits[name]) for name in NAMES] == [10, 4, 6]
    for name in NAMES:
        assert split_checksum(splits[name]) == split_checksum(again[name]) != split_checksum(other[name])
    assert splits["test"].name == "penn-fold2-test"
    assert splits["test"].num_features == PENN_SKELETON.num_features
    assert splits["test"].queries[0].seconds_per_step == SECONDS_PER_STEP == pytest.approx(1 / 15)


# On the real data.


@pytest.fixture(scope="module")
def real_clips(data_root):
    return PennAction(data_root / "penn_action").clips


def test_real_clips(real_clips):
    assert len(real_clips) == 2326
    assert {clip.label for clip in real_clips} == set(CLASSES)
    assert len({clip.video_id for clip in real_clips}) == 2326
    assert all(np.isfinite(clip.pose).all() for clip in real_clips)
