"""Poses from pixels: features of the person in a video, as the networks trained on Penn Action read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.errors import VideoError
from vreloc_pyg.sequences.pose import PENN_SKELETON, body_size, fill_missing, normalize_pose, pose_features
from vreloc_pyg.video.camera_motion import background_shift
from vreloc_pyg.video.decoding import Frame, read_frames
from vreloc_pyg.video.extractor import ExtractorSpec, VideoExtractor
from vreloc_pyg.video.place import Place
from vreloc_pyg.video.pose_track import Poses, track_poses
from vreloc_pyg.video.pose_weights import POSE_WEIGHTS, PoseNetworks

#: Frames per second: the steps of the Penn Action task.
FRAME_RATE = 15.0
#: Pixels of a frame's shorter side, if it has more.
SHORTER_SIDE = 360
#: Of BlazePose's 33 landmarks, those of :data:`.PENN_SKELETON`: nose, then left and right shoulder, elbow,
#: wrist, hip, knee, ankle.
PENN_LANDMARKS = (0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
#: Where a person is seen in a smaller share of the time, that is said.
MOSTLY = 0.95
#: How poses become features; another number where that has changed, so that no features are mixed.
VERSION = 2


class PoseExtractor(VideoExtractor):
    """Poses of the person in a video, 15 a second: 52 features, as of Penn Action.

    Each appearance of a person is centred and scaled as a whole (:func:`.normalize_pose`). In gaps of half a
    second at most, joints are interpolated; steps without a person beyond that are zeros
    (:func:`person_seen`), which no pose is.

    Args:
        networks: BlazePose's.
        frame_rate: frames, and steps, per second.
        path: whether the way of the hips (:func:`hip_path`) is added, as 4 further columns.
    """

    frames_per_step = 1
    #: Where the person is at first; ``None``: whoever moves most. See :meth:`following`.
    person: Place | None = None

    def __init__(self, networks: PoseNetworks, frame_rate: float = FRAME_RATE, path: bool = False) -> None:
        super().__init__(frame_rate, SHORTER_SIDE, None, clip_steps=1, context_steps=0)
        self.name, self.dim = ("pose-path", 56) if path else ("pose", 52)
        self.networks, self.path, self.weights = networks, path, networks.digest

    def following(self, person: Place) -> PoseExtractor:
        """The same networks, of the person at a place; who is lost is looked for where they were last."""
        other = copy(self)
        other.person, other.whom = person, f" person {person}"
        return other

    def fingerprint(self) -> str:
        return f"{self.name} {(self.weights, self.grid, VERSION)}{self.whom}"

    def read(self, path: str | Path, start_s: float = 0.0, end_s: float | None = None) -> Poses:
        """All 33 landmarks of the person in a video or a part of it, in pixels of its frames.

        Frames whose shorter side is longer than 360 pixels are made smaller to that.

        Raises:
            VideoError: if the file cannot be read, or the range does not lie in it.
        """
        return self.track(read_frames(path, self.grid, start_s, end_s))

    @torch.inference_mode()
    def track(self, frames: Iterable[Frame]) -> Poses:
        """The person in the frames ``[H, W, 3]`` of a video, taken at this extractor's rate."""
        shift = background_shift if self.path else None
        networks = self.networks
        return track_poses(frames, networks.detector, networks.landmarks, self.frame_rate, shift, self.person)

    def stream(
        self,
        frames: Iterable[Frame],
        video: str = "the video",
        problems: list[str] | None = None,
        joints: list[Tensor] | None = None,
    ) -> Iterator[Tensor]:
        """All features of a video at once, ``[N, dim]``: of the frames, only the poses are kept.

        Raises:
            VideoError: if nobody is seen.
        """
        size = np.ones(2)  # width and height

        def measured() -> Iterator[Frame]:
            for frame in frames:
                size[:] = frame.shape[1::-1]
                yield frame

        poses = self.track(measured())
        share = float(poses.present.mean()) if len(poses.present) else 0.0
        if share == 0 and self.person is not None:
            raise VideoError(
                f"No person is seen at {self.person} in {video}: give another place, as shares of the "
                "picture's width and height, or none to follow whoever moves most"
            )
        if share == 0:
            raise VideoError(
                f"No person is seen in {video}: poses tell nothing of it. Choose another extractor, "
                "such as --extractor i3d"
            )
        if share < MOSTLY and problems is not None:
            problems.append(f"A person is seen in {share:.0%} of {video}")
        if joints is not None:
            places = poses.landmarks[:, list(PENN_LANDMARKS), :2] / size
            joints.append(torch.from_numpy(places).contiguous())
        features = features_of(poses)
        yield torch.cat([features, hip_path(poses, self.frame_rate)], 1) if self.path else features

    def _compute(self, frames: Tensor) -> Tensor:
        return torch.cat(list(self.stream(iter(frames.numpy()))))


def features_of(poses: Poses) -> Tensor:
    """Positions and velocities of Penn Action's 13 joints, ``[N, 52]``; zeros where nobody is seen."""
    features = np.zeros((len(poses.present), PENN_SKELETON.num_features), np.float32)
    for first, end in poses.appearances:
        joints = _joints(poses, first, end)
        features[first:end] = pose_features(normalize_pose(joints, PENN_SKELETON))
    return torch.from_numpy(features)


def hip_path(poses: Poses, rate: float) -> Tensor:
    """The way of the hips in body sizes, ``[N, 4]``: what centring on them takes away.

    Per step, times 5 as the velocities of the joints are, to the side and down; then from half a second
    before to half a second after. What the camera's own motion adds is subtracted where the background tells
    it. Zeros where nobody is seen.

    Args:
        poses: with the shifts of the background.
        rate: steps per second.
    """
    found = np.zeros((len(poses.present), 4), np.float32)
    half = max(1, round(rate / 2))
    for first, end in poses.appearances:
        joints = _joints(poses, first, end)
        hips = joints[:, list(PENN_SKELETON.centre)].mean(1) - np.cumsum(poses.shifts[first:end], axis=0)
        hips /= body_size(joints, PENN_SKELETON)
        steps = np.arange(len(hips))
        if len(hips) > 1:
            found[first:end, :2] = 5 * np.gradient(hips, axis=0)
        found[first:end, 2:] = hips[(steps + half).clip(max=len(hips) - 1)] - hips[(steps - half).clip(0)]
    return torch.from_numpy(found)


def person_seen(features: Tensor) -> Tensor:
    """Steps ``[N]`` of pose features ``[N, F]`` that show a person, or a gap too short to matter."""
    return features.ne(0).any(1)


def _joints(poses: Poses, first: int, end: int) -> np.ndarray:
    """Penn Action's joints in one appearance, ``[n, 13, 2]``, gaps interpolated."""
    joints = poses.landmarks[first:end, list(PENN_LANDMARKS), :2]
    seen = np.repeat(poses.present[first:end, None], len(PENN_LANDMARKS), axis=1)
    return fill_missing(joints, seen)


POSE_EXTRACTOR = ExtractorSpec(PoseExtractor, POSE_WEIGHTS, FRAME_RATE)
POSE_PATH_EXTRACTOR = ExtractorSpec(partial(PoseExtractor, path=True), POSE_WEIGHTS, FRAME_RATE)
