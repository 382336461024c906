import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.bridges import FADE, bridge, continued, equal_power, minimum_jerk, paused, smooth


def walk(num_steps, seed):
    return np.random.default_rng(seed).normal(size=(num_steps, 3, 2)).cumsum(0)


def test_velocities_go_on_as_filmed_and_turn_back_at_the_end():
    pose = np.array([0.0, 1, 3, 6, 10])[:, None, None]  # velocities 1, 2, 3, 4
    assert continued(pose, 2, 2).ravel().tolist() == [3, 4]
    assert continued(pose, 4, 3).ravel().tolist() == [4, 3, 2]
    assert continued(pose, 3, 7).ravel().tolist() == [4, 4, 3, 2, 1, 4, 4]
    assert continued(pose[:1], 0, 2).ravel().tolist() == [0, 0]


@given(st.integers(1, 20))
def test_weights_keep_the_energy(count):
    ends, begins = equal_power(count)
    np.testing.assert_allclose(ends**2 + begins**2, 1)
    assert np.array_equal(ends[::-1], begins) or np.allclose(ends[::-1], begins)
    assert (np.diff(ends.ravel()) < 0).all()


def test_a_minimum_jerk_shift_is_whole_at_the_end_and_rests_at_both():
    share = minimum_jerk(1000).ravel()
    assert share[-1] == 1
    assert share[499] == pytest.approx(0.5, abs=1e-3)
    assert max(share[0], 1 - share[-2]) < 1e-5
    assert np.diff(share).max() * 1000 == pytest.approx(1.875, abs=1e-2)  # Flash and Hogan's peak speed


@given(st.integers(2 * FADE, 40), st.integers(2, 30), st.integers(2, 30), st.integers(0, 99))
def test_a_bridge_lies_between_its_ends_without_a_jump(steps, before, after, seed):
    """With the step it leads to it is as continuous as the motions it is made of."""
    one, other, filmed = walk(before, seed), walk(after, seed + 1), walk(steps + 2, seed + 2)
    last, first = (before - 1) // 2, after // 2
    path = bridge(one, last, other, first, np.diff(filmed, axis=0))
    assert path.shape == (steps, 3, 2)
    joined = np.concatenate([one[last : last + 1], path, other[first : first + 1]])
    fastest = max(np.abs(np.diff(pose, axis=0)).max(initial=0) for pose in (one, other, filmed))
    shift = np.abs(other[first] - one[last]).max() + (steps + 1) * 2 * fastest
    assert np.abs(np.diff(joined, axis=0)).max() <= 1.5 * fastest + 1.9 * shift / (steps + 1)


def test_a_bridge_of_one_motion_is_that_motion():
    """Clips cut out of one long walk, and the walk itself between them: little is left to shift."""
    pose = np.linspace(0, 9, 61)[:, None, None] * np.ones((1, 3, 2))
    path = bridge(pose[:21], 20, pose[40:], 0, np.diff(pose[20:41], axis=0))
    middle = slice(FADE, len(path) - FADE)
    np.testing.assert_allclose(path[middle], pose[21:40][middle], atol=0.4)


@given(st.integers(2 * FADE, 40), st.floats(0, 1), st.floats(0, 1))
def test_a_pause_keeps_the_way_and_slows_it_down_inside(steps, at, depth):
    path = np.linspace(0, 1, steps)[:, None, None] * np.ones((1, 3, 2))
    slow = paused(path, at, depth)
    assert len(slow) >= steps
    np.testing.assert_allclose(slow[[0, -1]], path[[0, -1]], atol=1e-12)
    speed = np.diff(slow[:, 0, 0]) * (steps - 1)
    assert (speed > -1e-12).all()
    assert speed[[0, -1]] == pytest.approx(1, abs=0.25)
    assert speed.min() == pytest.approx(1 - depth, abs=0.15)


def test_smoothing_takes_jitter_and_leaves_a_slow_motion():
    slow = np.sin(np.linspace(0, 3, 60))[:, None, None]
    jitter = np.random.default_rng(0).normal(size=slow.shape)
    assert np.abs(smooth(slow) - slow)[3:-3].max() < 0.01
    assert smooth(jitter).std() < 0.7
