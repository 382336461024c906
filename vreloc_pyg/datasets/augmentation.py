"""Random changes to training clips that keep the action."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.pose import Skeleton
from vreloc_pyg.settings import Below1, CheckedSettings, Count, NotNegative, Whole


@dataclass(frozen=True)
class FeatureChange:
    """One drawn change: a linear map of the features and a playing speed.

    Args:
        matrix: ``[F, F]``; features become ``x @ matrix``.
        speed: above 1 the clip plays faster; its length is to be divided by this.
    """

    matrix: Tensor
    speed: float = 1.0

    def __call__(self, features: Tensor) -> Tensor:
        """Change features ``[..., F]``."""
        return features @ self.matrix


@dataclass(frozen=True)
class Augmentation(CheckedSettings):
    """Distributions of the changes to a training episode, a query and its candidate windows.

    One change is drawn for the whole episode (another camera, other people) and one more for its query
    (another performance).

    Args:
        feature_dropout: probability that a feature, or a joint of a pose, is zero in the whole episode.
        speed: the log of a playing speed is uniform within +- this.
        scale: the log of a scale is uniform within +- this.
        rotation: a pose is rotated in its first two coordinates by up to +- this, in degrees.
        joints, dims: J and D of pose features (:func:`vreloc_pyg.sequences.pose.pose_features`); J = 0 for
            other features, which are not rotated and whose ``speed`` changes lengths only.
    """

    feature_dropout: Below1 = 0.0
    speed: NotNegative = 0.0
    scale: NotNegative = 0.0
    rotation: NotNegative = 0.0
    joints: Whole = 0
    dims: Count = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rotation and self.joints == 0:
            raise SettingsError("Only pose features can be rotated: expected joints >= 1 with rotation > 0")

    def draw_episode(self, num_features: int, rng: np.random.Generator) -> FeatureChange:
        """A change for the query and all candidates."""
        change = self.draw_query(num_features, rng)
        if self.joints:
            kept = rng.random(self.joints) >= self.feature_dropout
            kept = np.tile(np.repeat(kept, self.dims), 2)
        else:
            kept = rng.random(num_features) >= self.feature_dropout
        return FeatureChange(change.matrix * torch.from_numpy(kept.astype(np.float32)), change.speed)

    def draw_query(self, num_features: int, rng: np.random.Generator) -> FeatureChange:
        """A further change for the query alone."""
        speed, scale = math.exp(rng.uniform(-1, 1) * self.speed), math.exp(rng.uniform(-1, 1) * self.scale)
        if not self.joints:
            return FeatureChange(scale * torch.eye(num_features), speed)
        expected = 2 * self.joints * self.dims
        if num_features != expected:
            raise SettingsError(
                f"Expected {expected} pose features for joints={self.joints}, dims={self.dims} "
                f"(got {num_features})"
            )
        angle = math.radians(rng.uniform(-1, 1) * self.rotation)
        turn = torch.eye(self.dims)
        turn[:2, :2] = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        matrix = torch.eye(num_features)
        for joint in range(2 * self.joints):  # positions, then velocities
            block = slice(joint * self.dims, (joint + 1) * self.dims)
            matrix[block, block] = turn * (scale if joint < self.joints else scale * speed)
        return FeatureChange(matrix, speed)


def usual_changes(num_features: int, skeleton: Skeleton | None) -> Augmentation:
    """Mild changes for ``num_features`` features of any kind; poses, which have a skeleton, are rotated too.

    Raises:
        SettingsError: if the features are not those of the skeleton.
    """
    mild = Augmentation(feature_dropout=0.1, speed=0.25, scale=0.1)
    if skeleton is None:
        return mild
    skeleton.check_width(num_features)
    return replace(mild, rotation=15.0, joints=skeleton.num_joints, dims=skeleton.num_dims)
