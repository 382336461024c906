"""Pose features: joint positions to one vector per time step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.settings import CheckedSettings, Count, Whole, Within

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Skeleton(CheckedSettings):
    """What the numbers of a joint array mean.

    Args:
        num_joints: J.
        num_dims: D, 2 for image and 3 for world coordinates; the first one is to the side.
        centre: joints, counted from 0, whose mean is the origin, usually both hips.
        mirror: for every joint, the joint it becomes when left and right are swapped.
        groups: ranges of columns of :func:`pose_features` that belong together. (default: all positions, and
            all velocities)
    """

    num_joints: Count
    num_dims: Annotated[int, Within("[2, 3]")]
    centre: tuple[Whole, ...]
    mirror: tuple[Whole, ...]
    groups: tuple[tuple[Whole, Whole], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        last = self.num_joints - 1  # which a file may claim to be 10^18: nothing as long is made of it
        if not self.centre or not all(0 <= one <= last for one in self.centre):
            raise SettingsError(f"Expected centre as joints from 0 to {last} (got {self.centre})")
        joints = [*range(len(self.mirror))]
        whole = len(joints) == self.num_joints and sorted(self.mirror) == joints
        if not whole or [self.mirror[one] for one in self.mirror] != joints:
            raise SettingsError(
                f"Expected mirror as all joints 0 to {last}, of which some change places in twos "
                f"(got {self.mirror})"
            )
        if {self.mirror[one] for one in self.centre} != set(self.centre):
            raise SettingsError(
                f"Expected a centre that stays where it is in a mirror, such as both hips (got {self.centre})"
            )
        if any(not low < high <= self.num_features for low, high in self.groups):
            raise SettingsError(
                f"Expected groups as ranges of the {self.num_features} columns of pose features "
                f"(got {self.groups})"
            )

    @property
    def num_features(self) -> int:
        """Width of :func:`pose_features`: positions and velocities."""
        return 2 * self.num_joints * self.num_dims

    def check_width(self, num_features: int) -> None:
        """Raise :class:`SettingsError` unless features are as wide as those of this skeleton."""
        if num_features != self.num_features:
            raise SettingsError(f"Expected {self.num_features} pose features (got {num_features})")

    def feature_groups(self) -> tuple[tuple[int, int], ...]:
        """Ranges of columns that belong together, such as positions and velocities."""
        if self.groups:
            return self.groups
        size = self.num_joints * self.num_dims
        return (0, size), (size, 2 * size)

    def mirror_features(self) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Index and sign such that ``x[:, index] * sign`` are the features of the mirrored pose.

        Left and right joints change places and the first coordinate, to the side, changes sign.
        """
        joints, dims = self.num_joints, self.num_dims
        index: list[int] = []
        sign: list[float] = []
        for first in (0, joints * dims):  # positions, then velocities
            for joint in self.mirror:
                index += [first + joint * dims + dim for dim in range(dims)]
                sign += [-1.0] + [1.0] * (dims - 1)
        return tuple(index), tuple(sign)


#: 13 joints in the image: head, then left/right shoulder, elbow, wrist, hip, knee, ankle.
PENN_SKELETON = Skeleton(13, 2, (7, 8), (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11))

#: 15 joints in the image: neck, belly, face, then right/left shoulder, hip, elbow, knee, wrist, ankle.
JHMDB_SKELETON = Skeleton(15, 2, (5, 6), (0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13))

#: 20 joints of the first Kinect in metres: hip centre, spine, neck, head, both arms, both legs.
KINECT_SKELETON = Skeleton(
    20, 3, (12, 16), (0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15)
)


def check_mirror(index: Sequence[int], sign: Sequence[float]) -> None:
    """Raise :class:`SettingsError` unless index and sign of a mirror image are of one length."""
    if len(index) != len(sign):
        raise SettingsError(
            f"Expected mirror_index and mirror_sign of one length (got {len(index)} and {len(sign)})"
        )


def check_groups(groups: Sequence[tuple[int, int]]) -> None:
    """Raise :class:`SettingsError` unless groups of feature columns are half-open ranges that hold some."""
    if any(not 0 <= low < high for low, high in groups):
        raise SettingsError(f"Expected feature_groups as ranges of columns (got {groups})")


def mirror_image(features: Tensor, index: Sequence[int], sign: Sequence[float]) -> Tensor:
    """The mirror image of features ``[..., F]`` by the F values of :meth:`Skeleton.mirror_features`."""
    if features.size(-1) != len(index):
        raise SettingsError(
            f"The mirror image is defined for {len(index)} features (got {features.size(-1)})"
        )
    return features[..., list(index)] * features.new_tensor(sign)


def fill_missing(joints: FloatArray, visible: NDArray[np.bool_]) -> FloatArray:
    """Replace unseen joints by linear interpolation in time; one never seen is put at the mean of the others.

    Args:
        joints, visible: ``[N, J, D]`` and ``[N, J]``.
    """
    filled = np.where(visible[..., None], joints, np.nan).astype(np.float64)
    frames = np.arange(len(joints))
    for joint in range(joints.shape[1]):
        seen = visible[:, joint]
        if seen.any() and not seen.all():
            for dim in range(joints.shape[2]):
                filled[:, joint, dim] = np.interp(frames, frames[seen], filled[seen, joint, dim])
    never = ~visible.any(0)
    if never.all():
        raise FeatureError("No joint is visible in any frame of the clip")
    filled[:, never] = filled[:, ~never].mean(1, keepdims=True)
    return filled


def normalize_pose(joints: FloatArray, skeleton: Skeleton) -> FloatArray:
    """Centre every frame on the hips and divide by the clip's body size.

    Body size is the median over frames of the root mean square distance of the joints from the centre,
    which is steadier than the trunk's length when the trunk points at the camera.

    Args:
        joints: ``[N, J, D]`` in any unit; the answer has none.
    """
    expected = (skeleton.num_joints, skeleton.num_dims)
    if joints.ndim != 3 or joints.shape[1:] != expected or len(joints) == 0:
        raise FeatureError(f"Expected joints as [N, {expected[0]}, {expected[1]}] (got {joints.shape})")
    if not np.isfinite(joints).all():
        raise FeatureError("Joints hold NaN or infinite values")
    centred = joints - joints[:, list(skeleton.centre)].mean(1, keepdims=True)
    return centred / body_size(joints, skeleton)


def body_size(joints: FloatArray, skeleton: Skeleton) -> float:
    """What :func:`normalize_pose` divides by, in the unit of the joints ``[N, J, D]``."""
    centred = joints - joints[:, list(skeleton.centre)].mean(1, keepdims=True)
    return max(float(np.median(np.sqrt((centred**2).sum(-1).mean(-1)))), 1e-6)


def pose_features(pose: FloatArray) -> NDArray[np.float32]:
    """Positions and velocities of a normalised pose sequence, ``[N, 2 J D]``.

    These are all positions (joint-major), then all velocities per step (central differences, times 5 so that
    their spread is near that of the positions). Whether a joint was seen is not among them: who annotates
    clips switches that where one ends, which tells more of the clip than of the action.

    Args:
        pose: of :func:`normalize_pose`, ``[N, J, D]``.
    """
    num_steps = len(pose)
    velocity = 5 * np.gradient(pose, axis=0) if num_steps > 1 else np.zeros_like(pose)
    return np.concatenate(
        [pose.reshape(num_steps, -1), velocity.reshape(num_steps, -1)], axis=1, dtype=np.float32
    )
