"""JHMDB (Jhuang et al., ICCV 2013; http://jhmdb.is.tue.mpg.de): real web clips with 15 annotated joints.

The clips are the base of *jhmdb-reloc*, a relocalization data set this package builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vreloc_pyg.datasets.composer import COMPOSED, POSES_2D, Composer, compose_fold
from vreloc_pyg.datasets.folds import SELECTION, ClassFold, class_folds
from vreloc_pyg.datasets.pose_clips import PoseClip
from vreloc_pyg.datasets.reading import only_file
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.task import Loaded, Task
from vreloc_pyg.errors import DataError
from vreloc_pyg.numpy_files import read_npz
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import JHMDB_SKELETON, fill_missing, normalize_pose

#: One step a frame, at 25 frames per second.
SECONDS_PER_STEP = 1 / 25
#: Shorter clips show no whole action.
FEWEST_STEPS = 12
#: Frames at the end of a clip that are left out: there joints stand still that are not moved any more.
LAST_FRAMES = 3
KEYS = ("joints", "starts", "labels", "part")
#: NumPy's kinds of what each of these may hold: numbers, whole numbers, text, and numbers or names of parts.
KINDS = ("fiu", "iu", "U", "fiuU")


class JHMDB:
    """Reader of the joints of all clips in one file, ``puppet_joints.npz``.

    Its arrays are ``joints [N, 15, 2]``, the steps of all clips one after the other; ``starts [C]``, the
    first step of each clip (a further one, the end of the last, may follow); ``labels [C]``; and
    ``part [C]``, 0 and 1 of the official training and test part, which share no source video. A part stands
    for the person of a clip: a query is searched in references of the other part only.

    Args:
        root: the file, or the folder that holds it.

    Raises:
        DataError: if the file is missing, damaged, or its arrays do not fit each other.
    """

    skeleton = JHMDB_SKELETON

    def __init__(self, root: str | Path) -> None:
        path = only_file(Path(root), "puppet_joints.npz", "*.npz")
        arrays = read_npz(path, KEYS)
        for name, kinds, array in zip(KEYS, KINDS, arrays, strict=True):
            if array.dtype.kind not in kinds or (name != "joints" and array.ndim != 1):
                raise DataError(
                    f"{path}: {name} cannot be {array.dtype} of shape {array.shape}; expected joints "
                    "[N, 15, 2] and starts [C] as numbers, labels [C] as text, part [C] as either"
                )
        joints, starts, labels, part = arrays
        if joints.ndim != 3 or joints.shape[1:] != (JHMDB_SKELETON.num_joints, JHMDB_SKELETON.num_dims):
            raise DataError(f"{path}: expected joints as [N, 15, 2] (got {joints.shape})")
        ends = np.append(starts, len(joints))[1 : len(labels) + 1]
        starts = starts[: len(labels)]
        if (
            len(starts) != len(labels)
            or len(part) != len(labels)
            or (np.diff(np.append(starts, ends[-1:])) < 0).any()
        ):
            raise DataError(
                f"{path}: expected one ascending start, label and part a clip "
                f"(got {len(starts)} starts, {len(labels)} labels, {len(part)} parts)"
            )
        self.clips = [
            PoseClip(
                f"{label}-{number:03d}",
                str(label),
                normalize_pose(moving(joints[start : end - LAST_FRAMES].astype(np.float64)), JHMDB_SKELETON),
                f"part {group}",
            )
            for number, (start, end, label, group) in enumerate(zip(starts, ends, labels, part, strict=True))
            if end - LAST_FRAMES - start >= FEWEST_STEPS
        ]
        self.classes = tuple(sorted({clip.label for clip in self.clips}))


def moving(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joints ``[N, 15, 2]`` interpolated over frames in which one was left where it was in the frame before.

    Annotators moved a joint every few frames. A body that stands exactly still is one that was not annotated,
    and would tell these clips from anything that is put between them.
    """
    moved = np.ones(joints.shape[:2], dtype=bool)
    moved[1:] = (np.diff(joints, axis=0) != 0).any(-1)
    return fill_missing(joints, moved)


def jhmdb_folds(classes: Sequence[str], seed: int = 0) -> list[ClassFold]:
    """Five folds with 2 or 3 test classes and 2 for validation; every class is tested exactly once."""
    return class_folds(sorted(set(classes)), num_folds=5, num_validation=2, seed=seed)


def jhmdb_reloc(
    clips: Sequence[PoseClip],
    fold: int,
    num_train: int = 1000,
    num_validation: int = 120,
    num_test: int = 150,
    seed: int = 0,
    composer: Composer | None = None,
) -> dict[str, RelocalizationSplit]:
    """The data set *jhmdb-reloc*: one fold's splits; arguments as of :func:`.penn_action_reloc`."""
    classes = jhmdb_folds([clip.label for clip in clips], seed)[fold]
    sizes = {"train": num_train, "validation": num_validation, "test": num_test}
    return compose_fold(
        "jhmdb", clips, classes, sizes, JHMDB_SKELETON, SECONDS_PER_STEP, (seed, fold), composer
    )


TASK = Task(
    "jhmdb",
    lambda request: Loaded(jhmdb_reloc(JHMDB(request.root).clips, request.fold, seed=request.seed)),
    folds=5,
    windows=SlidingWindows(shortest=8, longest=80),
    skeleton=JHMDB.skeleton,
    aliases=("jhmdb-reloc",),
    reads_features=False,
    caveats=(POSES_2D, COMPOSED, SELECTION),
)
