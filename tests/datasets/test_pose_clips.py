import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.datasets.conftest import moving_clip
from vreloc_pyg.datasets.pose_clips import PoseClip, draw_look
from vreloc_pyg.sequences.pose import PENN_SKELETON, normalize_pose, pose_features


def test_a_clip_as_a_query():
    clip = moving_clip(17, "run", "a3", 3, person="p")
    query = clip.query(0.1, PENN_SKELETON)
    assert (query.label, query.video_id, query.seconds_per_step) == ("run", "a3", 0.1)
    assert (query.sources, moving_clip(17, "run", "a3", 3).sources) == (("p",), ())
    expected = pose_features(normalize_pose(clip.pose, PENN_SKELETON))
    assert np.array_equal(query.features.numpy(), expected)


@given(st.integers(2, 40), st.floats(0.5, 2))
def test_at_another_speed_a_steady_motion_keeps_its_ends_and_has_that_speed(num_steps, speed):
    pose = np.arange(num_steps)[:, None, None] * np.ones((1, 3, 2))
    played = PoseClip("v", "run", pose).at_speed(speed).pose
    assert len(played) == max(2, round(num_steps / speed))
    np.testing.assert_allclose(played[[0, -1]], pose[[0, -1]])
    np.testing.assert_allclose(np.diff(played, axis=0), (num_steps - 1) / (len(played) - 1))


@given(st.integers(1, 60), st.floats(0, 0.2), st.integers(0, 99))
def test_what_is_left_of_a_clip_is_never_empty_and_lacks_no_more_than_the_margins(num_steps, margin, seed):
    clip, rng = moving_clip(num_steps, "run", "v", seed), np.random.default_rng(seed)
    for first, last in (clip.trimmed(margin, rng), clip.cut(margin, rng)):
        assert 0 <= first < last <= num_steps
        assert max(first, num_steps - last) <= round(margin * num_steps)


def test_a_clip_is_cut_where_it_moves():
    pose = np.zeros((40, 13, 2))
    pose[2:] = 1.0  # moves at steps 1 and 2 only
    cuts = [PoseClip("v", "run", pose).cut(0.2, np.random.default_rng(seed))[0] for seed in range(50)]
    assert set(cuts) == {1, 2}


@given(st.integers(0, 99))
def test_a_look_is_undone_and_treats_both_sides_alike(seed):
    look = draw_look(PENN_SKELETON, 0.2, 15, np.random.default_rng(seed))
    pose = np.random.default_rng(seed).normal(size=(4, 13, 2))
    np.testing.assert_allclose(look.undone(look(pose)), pose, atol=1e-12)
    assert np.array_equal(look.reach, look.reach[list(PENN_SKELETON.mirror)])
    assert np.abs(np.log(np.linalg.norm(look.matrix, axis=1))).max() <= 0.2 + 1e-12


def test_without_a_spread_a_look_changes_nothing():
    look = draw_look(PENN_SKELETON, 0, 0, np.random.default_rng(0))
    pose = np.random.default_rng(1).normal(size=(4, 13, 2))
    assert look(pose) == pytest.approx(pose)
