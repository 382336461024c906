"""Pose sequences of single clips, and how one is varied."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.sequences.pose import Skeleton, normalize_pose, pose_features

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PoseClip:
    """A trimmed clip as a pose sequence.

    Args:
        video_id, label: of the clip.
        pose: joints at the data set's step rate, ``[N, J, D]``.
        person: who is seen, or what else clips share that no query may share with its reference; ``""``: not
            known.
    """

    video_id: str
    label: str
    pose: FloatArray
    person: str = ""

    def __len__(self) -> int:
        return len(self.pose)

    @property
    def sources(self) -> tuple[str, ...]:
        """What a query of this clip shares with others."""
        return (self.person,) if self.person else ()

    def query(self, seconds_per_step: float, skeleton: Skeleton) -> Query:
        """The clip as a query."""
        features = torch.from_numpy(pose_features(normalize_pose(self.pose, skeleton)))
        return Query(features, seconds_per_step, self.label, self.video_id, self.sources)

    def trimmed(self, margin: float, rng: np.random.Generator) -> tuple[int, int]:
        """Steps left after a random share of the length, up to ``margin``, is cut off each end."""
        first, last = (round(float(share) * len(self)) for share in rng.uniform(0, margin, size=2))
        return first, max(len(self) - last, first + 1)

    def cut(self, margin: float, rng: np.random.Generator) -> tuple[int, int]:
        """First and last step that are played, each drawn from the ``margin`` of the clip at its end.

        Where the body moves is more probable than where it rests: clips begin and end at rest, and a place
        where a motion always rests would tell that clips meet there.
        """
        speed = np.sqrt((np.gradient(self.pose, axis=0) ** 2).sum((1, 2))) if len(self) > 1 else np.ones(1)
        room = max(1, round(margin * len(self)))
        first, last = (
            int(rng.choice(room, p=own / own.sum()))
            for own in (speed[:room] + 1e-6, speed[::-1][:room] + 1e-6)
        )
        return first, max(len(self) - last, first + 1)

    def at_speed(self, speed: float) -> PoseClip:
        """The clip ``speed`` times as fast, interpolated in time."""
        return self.resampled(max(2, round(len(self) / speed)))

    def resampled(self, count: int) -> PoseClip:
        """The clip in so many steps, both ends kept, interpolated in time."""
        places = np.linspace(0, len(self) - 1, count)
        low = np.minimum(places.astype(int), max(len(self) - 2, 0))
        high = np.minimum(low + 1, len(self) - 1)
        share = (places - low)[:, None, None]
        return replace(self, pose=(1 - share) * self.pose[low] + share * self.pose[high])


@dataclass(frozen=True)
class Look:
    """How somebody is built and seen: a map of coordinates, and a factor for each joint's distance.

    Args:
        matrix: ``[D, D]``, a turn and a scale along each axis.
        reach: ``[J]``, the same for a joint and its mirror image.
    """

    matrix: FloatArray
    reach: FloatArray

    def __call__(self, pose: FloatArray) -> FloatArray:
        """Poses ``[..., J, D]`` as this person would be seen in them."""
        return (pose * self.reach[:, None]) @ self.matrix

    def undone(self, pose: FloatArray) -> FloatArray:
        """Poses of this person as they were before."""
        return (pose @ np.linalg.inv(self.matrix)) / self.reach[:, None]


def draw_look(skeleton: Skeleton, size: float, turn: float, rng: np.random.Generator) -> Look:
    """A random look: scales within a factor of ``exp(size)``, turned by up to ``turn`` degrees."""
    dims = skeleton.num_dims
    angle = math.radians(rng.uniform(-turn, turn))
    matrix = np.diag(np.exp(rng.uniform(-size, size, size=dims)))
    turned = np.eye(dims)
    turned[:2, :2] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    reach = np.exp(rng.uniform(-size, size, size=skeleton.num_joints) / 2)
    reach = (reach + reach[list(skeleton.mirror)]) / 2
    return Look(matrix @ turned, reach)
