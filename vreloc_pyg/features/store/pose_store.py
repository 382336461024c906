"""Joints in a feature store, read as pose features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.features.store.feature_store import FeatureStore
from vreloc_pyg.sequences.pose import Skeleton, fill_missing, normalize_pose, pose_features


class PoseStore(FeatureStore):
    """Pose features of a store that holds joints, ``[N, J D]`` joint by joint, in any unit.

    Every video is centred and scaled as a whole (:func:`.normalize_pose`). A joint that is NaN was not seen
    and is interpolated in time.

    Args:
        joints: the store.
        skeleton: what its numbers mean.
    """

    def __init__(self, joints: FeatureStore, skeleton: Skeleton) -> None:
        self._joints = joints
        self._skeleton = skeleton
        super().__init__(joints.path, replace(joints.metadata, dim=skeleton.num_features))

    def _refresh(self) -> None:
        super()._refresh()
        self._joints._refresh()

    def ids(self) -> list[str]:
        return self._joints.ids()

    def frame_rate(self, video_id: str) -> float | None:
        return self._joints.frame_rate(video_id)

    def _find(self, video_id: str) -> str | None:
        return self._joints._find(video_id)

    def _shape(self, key: str) -> tuple[int, int]:
        steps, width = self._joints._shape(key)
        expected = self._skeleton.num_joints * self._skeleton.num_dims
        if width != expected:
            raise FeatureError(
                f"Expected F = {expected}, as joints, for {key!r} in {self.path} (got {width})"
            )
        return steps, self._skeleton.num_features

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        steps, _ = self._shape(key)
        whole = self._cache.get(key)  # a clip is scaled by all of its frames: they are read once
        if whole is None:
            rows = np.asarray(self._joints._rows(key, 0, steps), dtype=np.float64)
            joints = rows.reshape(steps, self._skeleton.num_joints, self._skeleton.num_dims)
            try:
                joints = fill_missing(joints, np.logical_not(np.isnan(joints).any(axis=-1)))
                pose = pose_features(normalize_pose(joints, self._skeleton))
            except FeatureError as error:
                raise FeatureError(f"The joints of {key!r} in {self.path} are unusable: {error}") from None
            whole = torch.from_numpy(pose)
            self._cache.put(key, whole)
        return whole.numpy()[start:stop]
