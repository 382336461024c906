from collections import Counter

import numpy as np
import pytest

from vreloc_pyg.datasets.jhmdb import JHMDB, jhmdb_folds, moving
from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.pose import JHMDB_SKELETON, normalize_pose


def content(lengths=(20, 8, 16), **changed):
    joints = np.random.default_rng(0).normal(size=(sum(lengths), 15, 2)).astype(np.float32)
    starts = np.cumsum([0, *lengths])
    labels = np.array(["run", "sit", "sit"][: len(lengths)])
    return {"joints": joints, "starts": starts, "labels": labels, "part": np.array([0, 1, 1]), **changed}


def written(tmp_path, **changed):
    np.savez(tmp_path / "puppet_joints.npz", **content(**changed))
    return tmp_path


@pytest.mark.parametrize("with_end", [True, False])
def test_reads_clips_that_are_long_enough(tmp_path, with_end):
    given = content()
    clips = JHMDB(written(tmp_path, starts=given["starts"][: None if with_end else -1])).clips
    assert [(clip.video_id, clip.label, clip.person, len(clip)) for clip in clips] == [
        ("run-000", "run", "part 0", 17),
        ("sit-002", "sit", "part 1", 13),
    ]
    expected = normalize_pose(given["joints"][28:41].astype(float), JHMDB_SKELETON)
    np.testing.assert_allclose(clips[1].pose, expected)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"joints": np.zeros((44, 13, 2))}, r"expected joints as \[N, 15, 2\] \(got \(44, 13, 2\)\)"),
        ({"starts": np.array([b"0", b"20", b"28"])}, r"starts cannot be \|S2 of shape \(3,\)"),
        ({"starts": np.zeros((3, 2), dtype=int)}, r"starts cannot be int64 of shape \(3, 2\)"),
        ({"labels": np.arange(3)}, "labels cannot be int64"),
        ({"joints": np.full((44, 15, 2), "a")}, "joints cannot be <U1"),
        ({"part": np.zeros(2)}, "one ascending start, label and part a clip"),
        ({"starts": np.array([0, 28, 20])}, "one ascending start"),
        ({"labels": np.array(["a", {}], dtype=object)}, "Cannot read"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, changed, problem):
    with pytest.raises(DataError, match=problem):
        JHMDB(written(tmp_path, **changed))


def test_a_file_that_is_missing_cut_off_or_lacks_an_array(tmp_path):
    with pytest.raises(DataError, match=r"puppet_joints\.npz"):
        JHMDB(tmp_path)
    path = written(tmp_path) / "puppet_joints.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="Cannot read"):
        JHMDB(tmp_path)
    np.savez(path, joints=np.zeros((4, 15, 2)))
    with pytest.raises(DataError, match=r"Cannot read the arrays joints, starts, labels, part of .*starts"):
        JHMDB(tmp_path)


def test_a_joint_that_was_not_moved_is_interpolated():
    joints = np.zeros((5, 15, 2))
    joints[:, 0, 0] = [0, 0, 0, 3, 4]
    assert moving(joints)[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert not moving(joints)[:, 1:].any()


def test_mirror_pairs_left_and_right():
    mirror = np.array(JHMDB_SKELETON.mirror)
    assert np.array_equal(mirror[mirror], np.arange(15))
    assert np.flatnonzero(mirror == np.arange(15)).tolist() == [0, 1, 2]


def test_real_clips_and_folds(data_root):
    data = JHMDB(data_root / "jhmdb")
    assert len(data.classes) == 14
    assert Counter(clip.person for clip in data.clips).keys() == {"part 0", "part 1"}
    tested = Counter(label for fold in jhmdb_folds(data.classes) for label in fold.test)
    assert tested == dict.fromkeys(data.classes, 1)
