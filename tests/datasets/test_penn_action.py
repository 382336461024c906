from collections import Counter

import numpy as np
import pytest
from scipy.io import savemat

from vreloc_pyg.datasets.penn_action import (
    CLASSES,
    SECONDS_PER_STEP,
    PennAction,
    penn_action_reloc,
    penn_folds,
    read_clip,
    split_checksum,
)
from vreloc_pyg.datasets.pose_clips import join_clips
from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.pose import PENN_SKELETON, normalize_pose

NAMES = ("train", "validation", "test")
SIZES = (1500, 120, 210)

#: Of the splits of every fold with seed 0.
CHECKSUMS = [
    ("61d91f0df520421b", "96f55064da729e78", "87501c067ea2ac8b"),
    ("522501ee2192c672", "25e7526e35584c4c", "1365aa0d362208bf"),
    ("7cecfa2334379057", "266c5a092401a31e", "45aac036d3c4b34a"),
    ("a260be34e4c2c842", "3d81ad1d5d98bbad", "1f03effb694a387a"),
    ("c76af3f93cfffc2c", "9e30012eed334140", "673f2d1d694bbb67"),
]


def write(tmp_path, content):
    savemat(tmp_path / "0007.mat", content)
    return tmp_path / "0007.mat"


def test_reads_every_second_frame(tmp_path, penn_clip):
    content = penn_clip(num_frames=21, label="squat")
    clip = read_clip(write(tmp_path, content))
    assert (clip.video_id, clip.label, len(clip)) == ("0007", "squat", 11)
    joints = np.stack([content["x"], content["y"]], axis=-1)[::2]
    np.testing.assert_allclose(clip.pose, normalize_pose(joints, PENN_SKELETON))
    assert clip.visible.shape == (11, 13)
    assert clip.visible.all()


def test_invisible_joints_at_one_one_are_interpolated(tmp_path, penn_clip):
    content = penn_clip(num_frames=20)  # every joint moves on a straight line at constant speed
    expected = read_clip(write(tmp_path, content))
    content["x"][6:11, 4] = content["y"][6:11, 4] = 1
    content["visibility"][6:11, 4] = 0
    clip = read_clip(write(tmp_path, content))
    np.testing.assert_allclose(clip.pose, expected.pose, atol=1e-9)
    assert np.argwhere(~clip.visible).tolist() == [[3, 4], [4, 4], [5, 4]]


def test_invisible_joints_with_a_position_keep_it(tmp_path, penn_clip):
    content = penn_clip()
    expected = read_clip(write(tmp_path, content))
    content["visibility"][:, 2] = 0
    clip = read_clip(write(tmp_path, content))
    assert np.array_equal(clip.pose, expected.pose)
    assert not clip.visible[:, 2].any()


def test_reads_a_folder_in_order(tmp_path, write_penn_action, penn_clip):
    data = PennAction(write_penn_action(tmp_path, [penn_clip(12, "bowl"), penn_clip(16, "squat")]))
    assert len(data) == 2
    assert [(clip.video_id, clip.label, len(clip)) for clip in data.clips] == [
        ("0001", "bowl", 6),
        ("0002", "squat", 8),
    ]
    assert repr(data) == f"PennAction({str(tmp_path)!r}, 2 clips)"


@pytest.mark.parametrize("make", [None, "labels", "frames"])
def test_a_missing_or_empty_folder(tmp_path, make):
    if make:
        (tmp_path / make).mkdir()
    with pytest.raises(DataError, match=r"Found no Penn Action label files .*labels/\*\.mat"):
        PennAction(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, 300])
def test_a_truncated_file_is_named(tmp_path, penn_clip, keep):
    path = write(tmp_path, penn_clip())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"0007\.mat"):
        read_clip(path)


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "0007.mat"
    path.write_bytes(b"not a MATLAB file at all, but long enough to hold a header" * 10)
    with pytest.raises(DataError, match=r"Cannot read .*0007\.mat: not a MATLAB 5 file or damaged"):
        read_clip(path)


@pytest.mark.parametrize("key", ["x", "y", "visibility", "action"])
def test_a_missing_key_is_named(tmp_path, penn_clip, key):
    content = penn_clip()
    del content[key]
    with pytest.raises(DataError, match=rf"0007\.mat lacks or damages one of .* \('{key}'\)"):
        read_clip(write(tmp_path, content))


@pytest.mark.parametrize("bad", ["text", {"a": 1}, np.array([["cell"], [1]], dtype=object)])
def test_joints_that_are_no_numbers(tmp_path, penn_clip, bad):
    with pytest.raises(DataError, match=r"0007\.mat"):
        read_clip(write(tmp_path, {**penn_clip(), "x": bad}))


def test_several_action_names(tmp_path, penn_clip):
    names = np.array(["bowl", "squat"], dtype=object)
    with pytest.raises(DataError, match=r"0007\.mat lacks or damages"):
        read_clip(write(tmp_path, {**penn_clip(), "action": names}))


@pytest.mark.parametrize(("key", "shape"), [("x", (19, 13)), ("y", (20, 12)), ("visibility", (13, 20))])
def test_arrays_of_unequal_shapes(tmp_path, penn_clip, key, shape):
    with pytest.raises(DataError, match=r"0007\.mat: expected x, y and visibility as \[frames, 13\] \(got"):
        read_clip(write(tmp_path, {**penn_clip(), key: np.ones(shape)}))


@pytest.mark.parametrize("width", [12, 14])
def test_another_number_of_joints(tmp_path, penn_clip, width):
    arrays = {key: np.ones((20, width)) for key in ("x", "y", "visibility")}
    with pytest.raises(DataError, match=r"0007\.mat: expected x, y and visibility as \[frames, 13\]"):
        read_clip(write(tmp_path, {**penn_clip(), **arrays}))


def test_a_joint_that_is_nan(tmp_path, penn_clip):
    content = penn_clip()
    content["y"][4, 3] = np.nan
    with pytest.raises(DataError, match=r"0007\.mat: x or y holds NaN"):
        read_clip(write(tmp_path, content))


@pytest.mark.parametrize("num_frames", [0, 8])
def test_no_joint_with_a_position(tmp_path, penn_clip, num_frames):
    arrays = {"x": np.ones((num_frames, 13)), "y": np.ones((num_frames, 13))}
    content = {**penn_clip(), **arrays, "visibility": np.zeros((num_frames, 13))}
    with pytest.raises(DataError, match=r"0007\.mat: no joint has a position"):
        read_clip(write(tmp_path, content))


def test_folds_test_every_class_once():
    folds = penn_folds()
    assert Counter(label for fold in folds for label in fold.test) == dict.fromkeys(CLASSES, 1)
    for fold in folds:
        assert [len(fold.train), len(fold.validation), len(fold.test)] == [10, 2, 3]
        assert set(fold.train) | set(fold.validation) | set(fold.test) == set(CLASSES)


def draw(clips, seed):
    splits = penn_action_reloc(clips, fold=1, num_train=10, num_validation=4, num_test=6, seed=seed)
    return [split_checksum(splits[name]) for name in NAMES]


def test_the_seed_decides_the_splits(penn_root):
    clips = PennAction(penn_root).clips
    assert draw(clips, seed=0) == draw(clips, seed=0)
    assert not set(draw(clips, seed=0)) & set(draw(clips, seed=1))


def test_splits_of_a_small_folder(penn_root):
    splits = penn_action_reloc(PennAction(penn_root).clips, 2, num_train=10, num_validation=4, num_test=6)
    assert list(splits) == list(NAMES)
    assert [len(splits[name]) for name in NAMES] == [10, 4, 6]
    assert splits["test"].name == "penn-fold2-test"
    assert splits["test"].num_features == PENN_SKELETON.num_features
    assert splits["test"].queries[0].seconds_per_step == SECONDS_PER_STEP == pytest.approx(1 / 15)


def test_a_checksum_sees_queries_sources_and_answers(penn_root):
    clips = PennAction(penn_root).clips
    sizes = {"num_train": 10, "num_validation": 4}
    short = penn_action_reloc(clips, 0, **sizes, num_test=5)["test"]
    long = penn_action_reloc(clips, 0, **sizes, num_test=6)["test"]
    assert split_checksum(short) != split_checksum(long)


@pytest.mark.parametrize("missing", ["squat", None])
def test_an_incomplete_folder_is_a_data_error(tmp_path, write_penn_action, penn_clip, missing):
    labels = [label for label in CLASSES if label != missing]
    copies = 2 if missing else 1
    folder = write_penn_action(tmp_path, [penn_clip(12, label) for label in labels for _ in range(copies)])
    fold = next(i for i, fold in enumerate(penn_folds()) if "squat" in fold.validation)
    with pytest.raises(DataError, match="two classes with two clips each"):
        penn_action_reloc(PennAction(folder).clips, fold, num_train=10, num_validation=4, num_test=6)


# On the real data.


@pytest.fixture(scope="module")
def real_clips(data_root):
    return PennAction(data_root / "penn_action").clips


@pytest.fixture(scope="module", params=range(5))
def real_fold(request, real_clips):
    return request.param, penn_action_reloc(real_clips, request.param)


def test_real_clips(real_clips):
    assert len(real_clips) == 2326
    assert {clip.label for clip in real_clips} == set(CLASSES)
    assert len({clip.video_id for clip in real_clips}) == 2326
    assert all(np.isfinite(clip.pose).all() for clip in real_clips)


def test_real_splits_are_the_published_ones(real_fold):
    fold, splits = real_fold
    assert tuple(split_checksum(splits[name]) for name in NAMES) == CHECKSUMS[fold]


def test_real_splits_share_no_class_and_no_clip(real_fold):
    fold, splits = real_fold
    used = {}
    for name, size in zip(NAMES, SIZES, strict=True):
        split, classes = splits[name], set(getattr(penn_folds()[fold], name))
        assert len(split) == size
        assert set(split.classes) == classes
        assert {label for reference in split.references for label in reference.labels} == classes
        used[name] = {query.video_id for query in split.queries}
        used[name] |= {source for reference in split.references for source in reference.sources}
    assert not used["train"] & used["test"]
    assert not used["train"] & used["validation"]
    assert not used["validation"] & used["test"]


def test_no_real_query_is_searched_in_itself(real_fold):
    for split in real_fold[1].values():
        for query, reference in (split[i] for i in range(len(split))):
            assert query.video_id not in reference.sources
            assert reference.labels.count(query.label) == 1


def jumps(features):
    """Distance between the poses of neighbouring steps, ``[num_steps - 1]``."""
    return np.linalg.norm(np.diff(features[:, :26].numpy(), axis=0), axis=1)


def test_joins_neither_stand_still_nor_outrun_real_motion(real_fold, real_clips):
    """Steps at a join move, and no faster than the fastest steps of many clips do."""
    fastest = [
        np.linalg.norm(np.diff(clip.pose.reshape(len(clip), 26), axis=0), axis=1).max() for clip in real_clips
    ]
    at_joins, speeds = [], []
    for reference in real_fold[1]["test"].references:
        moved = jumps(reference.features)
        velocity = np.linalg.norm(reference.features[:, 26:52].numpy(), axis=1)
        for join in (reference.segments[:-1, 1] / SECONDS_PER_STEP).int().tolist():
            at_joins.append(moved[join - 3 : join + 3].max())
            speeds.append(velocity[join - 2 : join + 2].min())
    assert min(speeds) > 0.05
    assert np.median(at_joins) < np.quantile(fastest, 0.75)
    assert np.quantile(at_joins, 0.95) < np.quantile(fastest, 0.95)


def test_a_cross_fade_spreads_the_jump_of_a_hard_cut(real_clips):
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(40):
        pair = [real_clips[i] for i in rng.choice(len(real_clips), size=2)]
        hard = join_clips(pair, SECONDS_PER_STEP, "hard", fade_steps=0)
        soft = join_clips(pair, SECONDS_PER_STEP, "soft", fade_steps=4)
        cut = len(pair[0])
        ratios.append(jumps(soft.features)[cut - 6 : cut + 2].max() / jumps(hard.features)[cut - 1])
    assert np.median(ratios) < 0.3
