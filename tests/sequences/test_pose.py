from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.sequences.pose import (
    KINECT_SKELETON,
    PENN_SKELETON,
    fill_missing,
    normalize_pose,
    pose_features,
)

SKELETONS = [PENN_SKELETON, KINECT_SKELETON]
both_skeletons = pytest.mark.parametrize("skeleton", SKELETONS, ids=["penn", "kinect"])


def random_joints(skeleton, num_frames=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_frames, skeleton.num_joints, skeleton.num_dims))


def features_of(joints, skeleton):
    return pose_features(normalize_pose(joints, skeleton))


def mirrored_joints(joints, skeleton):
    """The same scene in a mirror: the sideways coordinate changes sign, a left joint becomes a right one."""
    swapped = list(skeleton.mirror)
    mirrored = joints[:, swapped].copy()
    mirrored[..., 0] = 640 - mirrored[..., 0]
    return mirrored


@both_skeletons
def test_mirror_pairs_left_and_right(skeleton):
    mirror = np.array(skeleton.mirror)
    assert sorted(mirror) == list(range(skeleton.num_joints))
    assert np.array_equal(mirror[mirror], np.arange(skeleton.num_joints))
    assert sorted(mirror[list(skeleton.centre)]) == sorted(skeleton.centre)  # the origin stays


@both_skeletons
def test_widths_and_groups(skeleton):
    joints = random_joints(skeleton)
    features = features_of(joints, skeleton)
    assert features.dtype == np.float32
    assert features.shape == (7, skeleton.num_features)
    positions, velocities = skeleton.feature_groups()
    size = skeleton.num_joints * skeleton.num_dims
    assert (positions, velocities) == ((0, size), (size, 2 * size))
    assert skeleton.num_features == 2 * size == (52 if skeleton is PENN_SKELETON else 120)
    grouped = replace(skeleton, groups=((0, 3), (5, 9)))
    assert grouped.feature_groups() == ((0, 3), (5, 9))


@both_skeletons
def test_mirrored_features_are_features_of_the_mirrored_joints(skeleton):
    joints = random_joints(skeleton)
    index, sign = skeleton.mirror_features()
    mirrored = features_of(joints, skeleton)[:, index] * np.array(sign)
    expected = features_of(mirrored_joints(joints, skeleton), skeleton)
    np.testing.assert_allclose(mirrored, expected, atol=1e-5)
    assert not np.allclose(mirrored, features_of(joints, skeleton), atol=0.1)
    twice = mirrored[:, index] * np.array(sign)
    assert np.array_equal(twice, features_of(joints, skeleton))


def test_unseen_joints_are_interpolated_in_time():
    joints = np.zeros((5, 2, 2))
    joints[:, 0] = [[9, 9], [0, 10], [9, 9], [9, 9], [6, 4]]  # seen at frames 1 and 4 only
    joints[:, 1] = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    visible = np.array([[False, True], [True, True], [False, True], [False, True], [True, True]])
    before = joints.copy()
    filled = fill_missing(joints, visible)
    np.testing.assert_allclose(filled[:, 0], [[0, 10], [0, 10], [2, 8], [4, 6], [6, 4]])
    assert np.array_equal(filled[:, 1], joints[:, 1])
    assert np.array_equal(joints, before)


def test_a_joint_never_seen_is_put_amid_the_interpolated_others():
    joints = np.array([[[0, 0], [0, 9], [7, 7]], [[9, 9], [2, 9], [7, 7]], [[4, 8], [4, 9], [7, 7]]])
    visible = np.array([[True, True, False], [False, True, False], [True, True, False]])
    np.testing.assert_allclose(fill_missing(joints, visible)[:, 2], [[0, 4.5], [2, 6.5], [4, 8.5]])
    with pytest.raises(FeatureError, match="No joint is visible"):
        fill_missing(np.zeros((3, 2, 2)), np.zeros((3, 2), dtype=bool))


@given(st.sampled_from(SKELETONS), st.integers(1, 8), st.integers(0, 1000), st.floats(0.01, 100))
def test_a_normalised_pose_does_not_depend_on_place_and_size(skeleton, num_frames, seed, scale):
    joints = random_joints(skeleton, num_frames, seed)
    pose = normalize_pose(joints, skeleton)
    walk = np.random.default_rng(seed + 1).normal(size=(num_frames, 1, skeleton.num_dims))
    np.testing.assert_allclose(normalize_pose(scale * (joints + walk), skeleton), pose, atol=1e-9)


@both_skeletons
def test_a_normalised_pose_is_centred_on_the_hips_and_of_size_one(skeleton):
    pose = normalize_pose(random_joints(skeleton), skeleton)
    np.testing.assert_allclose(pose[:, list(skeleton.centre)].mean(1), 0, atol=1e-12)
    sizes = [np.sqrt(np.mean([joint @ joint for joint in frame])) for frame in pose]
    assert np.median(sizes) == pytest.approx(1)

    point = np.full((3, 13, 2), 5.0)  # a person shrunk to a point stays finite
    assert np.array_equal(normalize_pose(point, PENN_SKELETON), np.zeros((3, 13, 2)))


def test_refuses_joints_of_another_shape_or_not_finite():
    for shape in ((5, 13), (5, 12, 2), (5, 13, 3), (0, 13, 2)):
        with pytest.raises(FeatureError, match=r"joints as \[N, 13, 2\] \(got \("):
            normalize_pose(np.zeros(shape), PENN_SKELETON)
    for value in (np.nan, np.inf):
        joints = np.zeros((5, 13, 2))
        joints[3, 2, 1] = value
        with pytest.raises(FeatureError, match="NaN or infinite"):
            normalize_pose(joints, PENN_SKELETON)


def test_positions_are_joint_by_joint_and_velocities_five_times_central_differences():
    pose = np.random.default_rng(0).normal(size=(6, 13, 2))
    features = pose_features(pose)
    np.testing.assert_array_equal(features[0, :4], pose[0, :2].flatten().astype(np.float32))
    velocity = features[:, 26:52].reshape(6, 13, 2)
    for t in range(6):
        before, after = max(t - 1, 0), min(t + 1, 5)
        expected = 5 * (pose[after] - pose[before]) / (after - before)
        np.testing.assert_allclose(velocity[t], expected, rtol=1e-5, atol=1e-6)
    # A single frame stands still.
    features = pose_features(np.ones((1, 13, 2)))
    assert features[0, 26:52].tolist() == [0.0] * 26
