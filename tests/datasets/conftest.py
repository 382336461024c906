"""Data sets in their official layouts, small and random."""

import hashlib
import json

import numpy as np
import pytest
from scipy.io import savemat

from vreloc_pyg.datasets.penn_action import CLASSES as PENN_CLASSES
from vreloc_pyg.datasets.pose_clips import PoseClip
from vreloc_pyg.datasets.utkinect import CLASSES as KINECT_CLASSES

#: Classes of the splits of :func:`write_video_reloc`.
RELOC_LABELS = {"train": (1, 2), "val": (3, 4), "test": (5, 6)}


def penn_clip(num_frames=20, label="bowl", seed=0):
    """Content of a Penn Action label file: pixels, all joints seen."""
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(20, 200, size=(2, 13)), rng.uniform(20, 200, size=(2, 13))
    progress = np.linspace(0, 1, num_frames)[:, None]
    x, y = ((1 - progress) * start[i] + progress * end[i] for i in range(2))
    return {"x": x, "y": y, "visibility": np.ones((num_frames, 13)), "action": label}


def moving_clip(num_steps, label, video_id, seed, person=""):
    """A clip of 13 joints that sway about their places, in a way of their own for every label."""
    rng, own = np.random.default_rng(seed), np.random.default_rng(list(label.encode()))
    places, sway = own.normal(size=(1, 13, 2)), own.normal(size=(3, 13, 2)) / 2
    turns = np.linspace(0, 2 * np.pi * rng.uniform(0.9, 1.1), num_steps)[:, None, None]
    pose = places + sum(part * np.sin((k + 1) * turns + k) for k, part in enumerate(sway))
    return PoseClip(video_id, label, pose + 0.02 * rng.normal(size=(num_steps, 13, 2)), person)


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


def reloc_items(name, count=6):
    """Items of one of Feng et al.'s splits: two of each video, which are of two classes in turn."""
    return [
        {
            "id": f"{name}{i // 2}",
            "label": RELOC_LABELS[name][i % 2],
            "location": [i, i + 20],
            "groundtruth": [2, 6 + i],
        }
        for i in range(count)
    ]


def write_video_reloc(root, lengths=True, count=6, **changed):
    """Write the files of Feng et al., with the items of a split changed, and return their folder."""
    root.mkdir(exist_ok=True)
    for name in RELOC_LABELS:
        (root / f"{name}.json").write_text(json.dumps(changed.get(name, reloc_items(name, count))))
    if lengths:
        videos = [f"{name}{i}" for name in RELOC_LABELS for i in range(count // 2)]
        (root / "length.json").write_text(
            json.dumps({key: {"n_feat": 40, "n_frames": 645} for key in videos})
        )
    return root


def split_checksum(split):
    """Digest of which clips make which pair, how long they are and where the answers are; of no features."""
    lines = []
    for q, r in [*split.pairs, *split.absent]:
        query, reference = split.queries[q], split.references[r]
        bounds = ",".join(f"{value:.4f}" for value in reference.segments.flatten().tolist())
        about = [query.video_id, query.num_steps, reference.num_steps, *reference.sources, *reference.labels]
        lines.append(f"{' '.join(map(str, about))} {bounds}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.fixture
def penn_root(tmp_path):
    """A Penn Action folder with three short clips of every class."""
    clips = [
        penn_clip(24 + 2 * copy, label, seed=10 * index + copy)
        for index, label in enumerate(PENN_CLASSES)
        for copy in range(3)
    ]
    return write_penn_action(tmp_path, clips)


@pytest.fixture
def kinect_root(tmp_path):
    """A UTKinect folder: three people who perform every action twice."""
    frames = list(range(0, 804, 4))
    actions = [(label, 40 * i, 40 * i + 28) for i, label in enumerate(KINECT_CLASSES + KINECT_CLASSES)]
    ids = ["s01_e01", "s02_e01", "s03_e01"]
    for seed, video_id in enumerate(ids):
        write_recording(tmp_path, video_id, frames, seed)
    write_labels(tmp_path, dict.fromkeys(ids, actions))
    return tmp_path
