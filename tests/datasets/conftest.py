"""Data sets in their official layouts, small and random."""

import numpy as np
import pytest
from scipy.io import savemat

from vreloc_pyg.datasets.penn_action import CLASSES as PENN_CLASSES


def penn_clip(num_frames=20, label="bowl", seed=0):
    """Content of a Penn Action label file: pixels, all joints seen."""
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(20, 200, size=(2, 13)), rng.uniform(20, 200, size=(2, 13))
    progress = np.linspace(0, 1, num_frames)[:, None]
    x, y = ((1 - progress) * start[i] + progress * end[i] for i in range(2))
    return {"x": x, "y": y, "visibility": np.ones((num_frames, 13)), "action": label}


def write_penn_action(root, clips):
    """Write ``labels/0001.mat ...`` and return the folder above."""
    (root / "labels").mkdir()
    for number, clip in enumerate(clips, start=1):
        savemat(root / "labels" / f"{number:04d}.mat", clip)
    return root


def write_recording(folder, video_id, frame_ids, seed=0):
    """Write a UTKinect joint file of random joints, and return its table."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(len(frame_ids), 20, 3)).cumsum(axis=0)
    table = np.concatenate([np.array(frame_ids)[:, None], joints.reshape(len(frame_ids), 60)], axis=1)
    lines = [" ".join([str(int(row[0])), *(f"{value:.6f}" for value in row[1:])]) for row in table]
    (folder / f"joints_{video_id}.txt").write_text("\n".join(lines) + "\n")
    return table


def write_labels(folder, instances, name="actionLabel.txt"):
    """Write annotations ``{video_id: [(label, first, last), ...]}``."""
    lines = []
    for video_id, actions in instances.items():
        lines += [video_id, *(f"{label}: {first} {last}" for label, first, last in actions)]
    (folder / name).write_text("\n".join(lines) + "\n")


@pytest.fixture(name="penn_clip")
def penn_clip_fixture():
    return penn_clip


@pytest.fixture(name="write_penn_action")
def write_penn_action_fixture():
    return write_penn_action


@pytest.fixture(name="write_recording")
def write_recording_fixture():
    return write_recording


@pytest.fixture(name="write_labels")
def write_labels_fixture():
    return write_labels


@pytest.fixture
def penn_root(tmp_path):
    """A Penn Action folder with three short clips of every class."""
    clips = [
        penn_clip(24 + 2 * copy, label, seed=10 * index + copy)
        for index, label in enumerate(PENN_CLASSES)
        for copy in range(3)
    ]
    return write_penn_action(tmp_path, clips)
