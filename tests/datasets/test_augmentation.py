import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.pose import pose_features

JOINTS, KINDS = 5, ("query", "episode")


def random_pose(dims, num_steps=7):
    rng = np.random.default_rng(0)
    return rng.normal(size=(num_steps, JOINTS, dims))


def features_of(pose):
    return torch.from_numpy(pose_features(pose))


def draw(augmentation, dims, seed, kind="query"):
    method = augmentation.draw_query if kind == "query" else augmentation.draw_episode
    return method(2 * JOINTS * dims, np.random.default_rng(seed))


@given(st.sampled_from([2, 3]), st.integers(0, 500))
def test_a_change_of_features_is_that_of_the_joints(dims, seed):
    augmentation = Augmentation(speed=0.3, scale=0.2, rotation=30, joints=JOINTS, dims=dims)
    change = draw(augmentation, dims, seed)
    # What the change does to one joint, written as a scale and a turn about the third axis.
    block = change.matrix[:dims, :dims].double().numpy()
    scale = np.linalg.norm(block[0])
    angle = math.atan2(block[0, 1], block[0, 0])
    assert abs(math.log(scale)) <= 0.2 + 1e-6
    assert abs(math.degrees(angle)) <= 30 + 1e-4
    assert abs(math.log(change.speed)) <= 0.3
    turn = np.eye(dims)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]

    pose = random_pose(dims)
    moved = np.stack([[scale * turn @ joint for joint in frame] for frame in pose])
    expected = features_of(moved)
    velocities = slice(JOINTS * dims, 2 * JOINTS * dims)
    expected[:, velocities] *= change.speed
    torch.testing.assert_close(change(features_of(pose)), expected, rtol=1e-4, atol=1e-5)


def test_a_clip_that_plays_faster_has_the_velocities_of_fewer_steps():
    """Doubling the speed of a steady motion is what dropping every second step does."""
    start, motion = np.random.default_rng(0).normal(size=(2, 1, JOINTS, 2))
    slow = start + motion * np.arange(12)[:, None, None]
    augmentation = Augmentation(speed=1.0, joints=JOINTS)
    change = draw(augmentation, 2, seed=3)
    fast = start + motion * change.speed * np.arange(12)[:, None, None]
    velocities = slice(JOINTS * 2, 4 * JOINTS)
    expected = features_of(fast)[:, velocities]
    changed = change(features_of(slow))[:, velocities]
    torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-4)


def test_without_distributions_nothing_changes_and_a_query_alone_loses_no_joint():
    unchanged = [(Augmentation(**joints), kind) for joints in ({}, {"joints": JOINTS}) for kind in KINDS]
    for augmentation, kind in [*unchanged, (Augmentation(feature_dropout=0.9, joints=JOINTS), "query")]:
        change = draw(augmentation, 2, seed=1, kind=kind)
        assert torch.equal(change.matrix, torch.eye(JOINTS * 4))
        assert change.speed == 1.0


@given(st.sampled_from([2, 3]), st.integers(0, 500))
def test_a_dropped_joint_loses_position_and_velocity(dims, seed):
    augmentation = Augmentation(feature_dropout=0.4, joints=JOINTS, dims=dims)
    change = draw(augmentation, dims, seed, "episode")
    features = torch.rand(4, 2 * JOINTS * dims) + 0.5  # no zero
    changed = change(features)
    size = JOINTS * dims
    zero = changed == 0
    positions, velocities = zero.split(size, dim=1)
    dropped = positions[0, ::dims]
    assert torch.equal(positions, dropped.repeat_interleave(dims).expand(4, size))
    assert torch.equal(velocities, positions)
    torch.testing.assert_close(changed[~zero], features[~zero])


def test_joints_are_dropped_as_often_as_asked():
    augmentation = Augmentation(feature_dropout=0.25, joints=JOINTS)
    kept = [draw(augmentation, 2, seed, "episode").matrix.diagonal()[: 2 * JOINTS : 2] for seed in range(400)]
    assert float(torch.stack(kept).mean()) == pytest.approx(0.75, abs=0.04)


def test_other_features_are_scaled_and_dropped_one_by_one():
    augmentation = Augmentation(feature_dropout=0.5, speed=0.3, scale=0.2)
    change = augmentation.draw_episode(40, np.random.default_rng(0))
    diagonal = change.matrix.diagonal()
    assert torch.equal(change.matrix, torch.diag(diagonal))
    values = diagonal.unique().tolist()
    assert values[0] == 0
    assert len(values) == 2
    assert 0 < abs(math.log(values[1])) <= 0.2
    assert 5 < int((diagonal == 0).sum()) < 35
    assert 0 < abs(math.log(change.speed)) <= 0.3  # for the length, not for the features


def test_scales_and_speeds_are_symmetric_in_the_logarithm():
    augmentation = Augmentation(speed=0.5, scale=0.2)
    changes = [augmentation.draw_query(3, np.random.default_rng(seed)) for seed in range(400)]
    for logs, bound in (
        ([math.log(change.speed) for change in changes], 0.5),
        ([math.log(change.matrix[0, 0]) for change in changes], 0.2),
    ):
        assert abs(np.mean(logs)) < 0.1 * bound
        assert np.std(logs) == pytest.approx(bound / math.sqrt(3), rel=0.1)  # of a uniform distribution


def test_the_state_of_rng_decides_the_change():
    augmentation = Augmentation(0.3, 0.2, 0.1, 20, JOINTS)
    first, again, other = (draw(augmentation, 2, seed, "episode") for seed in (1, 1, 2))
    assert torch.equal(first.matrix, again.matrix)
    assert first.speed == again.speed
    assert not torch.equal(first.matrix, other.matrix)


def test_refuses_to_rotate_what_is_no_pose():
    with pytest.raises(SettingsError, match="Only pose features can be rotated"):
        Augmentation(rotation=10)


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_features_of_another_width(kind):
    augmentation = Augmentation(joints=JOINTS, dims=3)
    with pytest.raises(SettingsError, match=r"Expected 30 pose features for joints=5, dims=3 \(got 20\)"):
        draw(augmentation, 2, seed=0, kind=kind)
