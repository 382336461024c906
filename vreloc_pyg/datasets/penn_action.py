"""Penn Action (Zhang, Zhu and Derpanis, ICCV 2013; http://dreamdragon.github.io/PennAction/).

2,326 web clips of 15 actions with 13 human-annotated joints a frame, and *penn-action-reloc*, the
relocalization data set this package builds on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vreloc_pyg.datasets.composer import COMPOSED, POSES_2D, Composer, compose_fold
from vreloc_pyg.datasets.folds import SELECTION, ClassFold, class_folds
from vreloc_pyg.datasets.matlab_files import read_mat
from vreloc_pyg.datasets.pose_clips import PoseClip
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.task import Loaded, Task
from vreloc_pyg.errors import DataError
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import PENN_SKELETON, fill_missing, normalize_pose

#: Every second frame of clips at nominally 30 frames per second.
FRAMES_PER_STEP = 2
SECONDS_PER_STEP = FRAMES_PER_STEP / 30

CLASSES = (
    "baseball_pitch", "baseball_swing", "bench_press", "bowl", "clean_and_jerk", "golf_swing",
    "jump_rope", "jumping_jacks", "pullup", "pushup", "situp", "squat", "strum_guitar",
    "tennis_forehand", "tennis_serve",
)  # fmt: skip


class PennAction:
    """Reader of the official layout, ``ROOT/labels/0001.mat`` to ``2326.mat``.

    Raises:
        DataError: if there are no label files, or one, which is named, is corrupt or incomplete.
    """

    skeleton = PENN_SKELETON

    def __init__(self, root: str | Path) -> None:
        files = sorted(Path(root, "labels").glob("*.mat"))
        if not files:
            raise DataError(
                f"Found no Penn Action label files {Path(root, 'labels')}/*.mat; "
                "expected the official layout with the folder 'labels'"
            )
        self.clips = [read_clip(file) for file in files]


def read_clip(path: Path) -> PoseClip:
    """Read one ``.mat`` label file at every second frame.

    Joints annotated as invisible at (1, 1) have no position; they are interpolated in time.
    """
    content = read_mat(path, ("x", "y", "visibility", "action"))
    try:
        x, y, visibility = (np.asarray(content[key], dtype=np.float64) for key in ("x", "y", "visibility"))
        label = str(content["action"].item())
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} lacks or damages one of x, y, visibility, action ({error})") from None
    if not (x.shape == y.shape == visibility.shape) or x.ndim != 2 or x.shape[1] != PENN_SKELETON.num_joints:
        raise DataError(
            f"{path}: expected x, y and visibility as [frames, {PENN_SKELETON.num_joints}] "
            f"(got {x.shape}, {y.shape}, {visibility.shape})"
        )
    joints: NDArray[np.float64] = np.stack([x, y], axis=-1)[::FRAMES_PER_STEP]
    if not np.isfinite(joints).all():
        raise DataError(f"{path}: x or y holds NaN or infinite values")
    visible = visibility[::FRAMES_PER_STEP] > 0
    placed = visible | (joints > 1).any(-1)
    if not placed.any():
        raise DataError(f"{path}: no joint has a position in any frame")
    return PoseClip(path.stem, label, normalize_pose(fill_missing(joints, placed), PENN_SKELETON))


def penn_folds(seed: int = 0) -> list[ClassFold]:
    """Five folds of 10 training, 2 validation and 3 test classes; every class is tested exactly once."""
    return class_folds(CLASSES, num_folds=5, num_validation=2, seed=seed)


def penn_action_reloc(
    clips: Sequence[PoseClip],
    fold: int,
    num_train: int = 1000,
    num_validation: int = 120,
    num_test: int = 210,
    seed: int = 0,
    composer: Composer | None = None,
) -> dict[str, RelocalizationSplit]:
    """The data set *penn-action-reloc*, version 2: one fold's ``train``, ``validation`` and ``test`` split.

    Args:
        clips: ``PennAction(root).clips``.
        fold: 0 to 4.
        num_train, num_validation, num_test: number of composed references, each with its query; half as many
            pairs of validation and test have a reference without the action.
        seed: decides folds, queries and references.
        composer: how references are composed.
    """
    sizes = {"train": num_train, "validation": num_validation, "test": num_test}
    return compose_fold(
        "penn", clips, penn_folds(seed)[fold], sizes, PENN_SKELETON, SECONDS_PER_STEP, (seed, fold), composer
    )


TASK = Task(
    "penn_action",
    lambda request: Loaded(
        penn_action_reloc(PennAction(request.root).clips, request.fold, seed=request.seed)
    ),
    folds=5,
    windows=SlidingWindows(),
    skeleton=PennAction.skeleton,
    aliases=("penn-action-reloc",),
    reads_features=False,
    caveats=(POSES_2D, COMPOSED, SELECTION),
)
