"""UTKinect-Action3D (Xia, Chen and Aggarwal, CVPRW 2012; https://cvrc.ece.utexas.edu/KinectDatasets/HOJ3D.html).

20 untrimmed recordings (10 people, twice each) of 10 actions as 3-D skeletons, and *utkinect-reloc*, the
relocalization data set this package builds on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.datasets.class_splits import stretches_without
from vreloc_pyg.datasets.folds import SELECTION, ClassFold, class_folds
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.task import Loaded, Task
from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_lines
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import seconds_to_steps
from vreloc_pyg.sequences.pose import KINECT_SKELETON, normalize_pose, pose_features

FRAMES_PER_STEP = 4
FRAME_RATE = 30.0
SECONDS_PER_STEP = FRAMES_PER_STEP / FRAME_RATE
#: Frame ids step by 2 to 16.
MOST_FRAMES_A_LINE = 1000

CLASSES = (
    "walk", "sitDown", "standUp", "pickUp", "carry", "throw", "push", "pull", "waveHands", "clapHands",
)  # fmt: skip

_RECORDING = re.compile(r"s\d\d_e\d\d")
_ACTION = re.compile(r"(\w+):\s*(\S+)\s+(\S+)\s*")


class ActionInstance(NamedTuple):
    """One annotated action: its class, first and last frame id as printed, and line number in the file."""

    label: str
    first_frame: float
    last_frame: float
    line: int


class UTKinect:
    """Reader of the official layout: ``joints_sNN_eNN.txt`` beside ``actionLabel.txt``.

    The labels give *frame ids*, which step by 2 to 16 in the joint files and sometimes repeat: duplicates
    are dropped and the joints interpolated at every fourth frame id, so that a step lasts 4/30 s.
    Instances whose line holds NaN are left out, as the data set's page says.

    Args:
        root: the folder with the files, or one above it named ``joints``. Where it holds an
            ``actionLabel_modified.txt``, with mistyped frame ids corrected, that is read.

    Raises:
        DataError: if a file is missing, or a line, which is named, cannot be read.
    """

    skeleton = KINECT_SKELETON

    def __init__(self, root: str | Path) -> None:
        folder = Path(root) / "joints" if (Path(root) / "joints").is_dir() else Path(root)
        corrected = folder / "actionLabel_modified.txt"
        path = corrected if corrected.exists() else folder / "actionLabel.txt"
        self.recordings = [
            read_recording(folder / f"joints_{video_id}.txt", video_id, instances, path)
            for video_id, instances in read_action_labels(path).items()
        ]


def read_action_labels(path: Path) -> dict[str, list[ActionInstance]]:
    """Instances of every recording in an ``actionLabel.txt``."""
    annotations: dict[str, list[ActionInstance]] = {}
    instances: list[ActionInstance] | None = None
    for number, line in read_lines(path):
        text = line.strip()
        if _RECORDING.fullmatch(text):
            instances = annotations.setdefault(text, [])
            continue
        match = _ACTION.fullmatch(text)
        try:
            if match is None or instances is None:
                raise ValueError
            first, last = float(match[2]), float(match[3])
        except ValueError:
            raise DataError(
                f"{path}, line {number}: expected 'sNN_eNN' or 'action: first last' (got {line!r})"
            ) from None
        if np.isfinite(first) and np.isfinite(last):
            instances.append(ActionInstance(match[1], first, last, number))
    if not annotations:
        raise DataError(f"{path} names no recording; expected lines such as 's01_e01'")
    return annotations


def read_recording(
    path: Path, video_id: str, instances: Sequence[ActionInstance], label_path: Path
) -> Reference:
    """Read one joint file as an untrimmed reference with its instances in seconds from its first frame.

    Its source is the person, ``s01`` to ``s10``, so that nobody is searched in a recording of their own.
    """
    table = _read_table(path, 1 + KINECT_SKELETON.num_joints * KINECT_SKELETON.num_dims)
    frames, rows = np.unique(table[:, 0], return_index=True)
    if frames[-1] - frames[0] > MOST_FRAMES_A_LINE * len(frames):
        raise DataError(f"{path}: frame ids from {frames[0]:g} to {frames[-1]:g} in {len(frames)} lines")
    grid = np.arange(frames[0], frames[-1] + 1, FRAMES_PER_STEP)
    joints = np.stack([np.interp(grid, frames, column) for column in table[rows, 1:].T], axis=1)
    joints = joints.reshape(len(grid), KINECT_SKELETON.num_joints, KINECT_SKELETON.num_dims)
    duration = len(grid) * SECONDS_PER_STEP
    segments = []
    for instance in instances:
        start = (instance.first_frame - frames[0]) / FRAME_RATE
        end = min((instance.last_frame - frames[0]) / FRAME_RATE, duration)
        if not 0 <= start < end:
            raise DataError(
                f"{label_path}, line {instance.line}: {instance.label} [{instance.first_frame:g}, "
                f"{instance.last_frame:g}] lies outside frames [{frames[0]:g}, {frames[-1]:g}] of {path.name}"
            )
        segments.append((start, end))
    features = pose_features(normalize_pose(joints, KINECT_SKELETON))
    return Reference(
        features=torch.from_numpy(features),
        seconds_per_step=SECONDS_PER_STEP,
        segments=torch.tensor(segments, dtype=torch.float64),
        labels=tuple(instance.label for instance in instances),
        video_id=video_id,
        sources=(video_id[:3],),
    )


def _read_table(path: Path, width: int) -> NDArray[np.float64]:
    """The lines of a joint file, ``[N, width]``."""
    rows = []
    for number, line in read_lines(path):
        try:
            row = np.array(line.split(), dtype=np.float64)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        if len(row) != width or not np.isfinite(row).all():
            raise DataError(
                f"{path}, line {number}: expected {width} finite numbers (got {len(row)} numbers)"
            )
        rows.append(row)
    if len(rows) < 2:
        raise DataError(f"{path}: expected at least two lines (got {len(rows)})")
    return np.stack(rows)


def cut_query(reference: Reference, index: int) -> Query:
    """Instance ``index`` of a reference as a query clip."""
    step, segment = reference.seconds_per_step, reference.segments[index : index + 1]
    ((start, end),) = seconds_to_steps(segment, step, reference.num_steps).tolist()
    about = (step, reference.labels[index], reference.video_id, reference.sources)
    return Query(reference.features[start:end], *about)


def utkinect_folds(seed: int = 0) -> list[ClassFold]:
    """Five folds of 6 training, 2 validation and 2 test classes; every class is tested exactly once."""
    return class_folds(CLASSES, num_folds=5, num_validation=2, seed=seed)


def utkinect_reloc(
    recordings: Sequence[Reference], fold: int, references_per_query: int = 5, seed: int = 0
) -> dict[str, RelocalizationSplit]:
    """The data set *utkinect-reloc*: one fold's ``train``, ``validation`` and ``test`` split.

    Queries are the instances of the split's classes; each is paired with recordings of other people.
    Validation and test references are the whole recordings; training references are the stretches
    without held-out classes.

    Args:
        recordings: ``UTKinect(root).recordings``.
        fold: 0 to 4.
        references_per_query: recordings searched with each query; one in training.
        seed: decides folds and draws.
    """
    classes = utkinect_folds(seed)[fold]
    rng = np.random.default_rng([seed, fold])
    splits = {}
    for name in ("train", "validation", "test"):
        labels = getattr(classes, name)
        queries = [
            cut_query(recording, index)
            for recording in recordings
            for index, label in enumerate(recording.labels)
            if label in labels
        ]
        references, count = list(recordings), references_per_query
        if name == "train":
            references = [part for recording in recordings for part in stretches_without(recording, labels)]
            count = 1
        pairs = []
        for number, query in enumerate(queries):
            others = [
                index
                for index, reference in enumerate(references)
                if query.label in reference.labels and not reference.shares_source(query)
            ]
            chosen = rng.choice(others, size=min(count, len(others)), replace=False)
            pairs += [(number, int(index)) for index in chosen]
        splits[name] = RelocalizationSplit(f"utkinect-fold{fold}-{name}", queries, references, pairs)
    return splits


TASK = Task(
    "utkinect",
    lambda request: Loaded(
        utkinect_reloc(UTKinect(request.root).recordings, request.fold, seed=request.seed)
    ),
    folds=5,
    windows=SlidingWindows(shortest=5, longest=80),
    skeleton=UTKinect.skeleton,
    aliases=("utkinect-reloc",),
    reads_features=False,
    caveats=(
        "Features are 3-D poses, not C3D: not comparable with published numbers.",
        "References are untrimmed recordings: nothing was joined.",
        SELECTION,
    ),
)
