"""Background motion that leads from one clip to the next without showing where they meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

FloatArray = NDArray[np.float64]

#: Steps over which one motion passes into another.
FADE = 8
#: Width in steps of a pause.
PAUSE = 3.0
#: Width in steps of the filter that parts a motion from its jitter.
SMOOTHING = 0.8


def smooth(pose: FloatArray) -> FloatArray:
    """A pose sequence ``[N, J, D]`` without its jitter."""
    return np.asarray(gaussian_filter1d(pose, SMOOTHING, axis=0, mode="nearest"))


def continued(pose: FloatArray, last: int, count: int) -> FloatArray:
    """The ``count`` velocities after step ``last`` of a clip; past its end its velocities run back again."""
    moved = np.diff(pose, axis=0)
    if len(moved) == 0:
        return np.zeros((count, *pose.shape[1:]))
    turned = np.concatenate([moved[last:], moved[::-1]])
    return np.resize(turned, (count, *pose.shape[1:]))


def equal_power(count: int) -> tuple[FloatArray, FloatArray]:
    """Weights of the motion that ends and of the one that begins, ``[count, 1, 1]``; squares add up to 1.

    Of independent motions so weighted the mean energy stays the same. Weights that add up to 1 would halve
    it, and clips would meet where everything is still.
    """
    angle = (np.arange(count) + 1) / (count + 1) * np.pi / 2
    return np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]


def minimum_jerk(count: int) -> FloatArray:
    """Share of a smooth shift that is done after each of ``count`` steps, ``[count, 1, 1]``.

    The fifth-degree polynomial of least squared jerk (Flash and Hogan, *The coordination of arm movements*,
    1985): its speed and acceleration are zero at both ends.
    """
    s = (np.arange(1, count + 1) / count)[:, None, None]
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))


def paused(path: FloatArray, at: float, depth: float) -> FloatArray:
    """A path ``[N, J, D]`` that slows down in the middle and goes on: so do people between two actions.

    Without pauses of its own a background would tell where clips rest: at their ends.

    Args:
        path: starts and ends as fast as before.
        at: where it is slowest, in [0, 1] of what is not within :data:`FADE` of an end.
        depth: 0 for no pause, 1 for coming to rest.
    """
    longer = len(path) + round(depth * PAUSE * np.sqrt(2 * np.pi))
    slowest = FADE + at * max(longer - 2 * FADE, 0)
    rate = 1 - depth * np.exp(-0.5 * ((np.arange(longer - 1) + 0.5 - slowest) / PAUSE) ** 2)
    places = np.concatenate([[0.0], rate.cumsum()]) * (len(path) - 1) / rate.sum()
    low = np.minimum(places.astype(int), max(len(path) - 2, 0))
    share = (places - low)[:, None, None]
    return np.asarray((1 - share) * path[low] + share * path[np.minimum(low + 1, len(path) - 1)])


def bridge(
    before: FloatArray,
    last: int,
    after: FloatArray,
    first: int,
    filmed: FloatArray,
) -> FloatArray:
    """Poses between step ``last`` of one clip and step ``first`` of the next, ``[N, J, D]``.

    Velocities of a filmed motion, which are as unsteady and uneven as those of the clips. Over :data:`FADE`
    steps at both ends they are mixed with what the clips themselves show there beyond those steps. A
    minimum-jerk shift over the whole bridge makes it arrive.

    Args:
        before, after: clips, ``[N, J, D]`` each.
        last, first: steps of theirs that the bridge joins.
        filmed: velocities, ``[N + 1, J, D]``, N at least twice :data:`FADE`.
    """
    moved = filmed.copy()
    ends, begins = equal_power(FADE)
    moved[:FADE] = ends * continued(before, last, FADE) + begins * moved[:FADE]
    arriving = -continued(after[::-1], len(after) - 1 - first, FADE)[::-1]
    moved[-FADE:] = ends * moved[-FADE:] + begins * arriving
    missing = after[first] - before[last] - moved.sum(0)
    path = before[last] + moved.cumsum(0) + minimum_jerk(len(moved)) * missing
    return path[:-1]
