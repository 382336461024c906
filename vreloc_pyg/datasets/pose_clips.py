"""Pose sequences of single clips, and references composed of several of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.pose import pose_features


@dataclass(frozen=True)
class PoseClip:
    """A trimmed clip as a normalised pose sequence.

    Args:
        video_id, label: of the clip.
        pose: normalised joints at the data set's step rate, ``[N, J, D]``.
        visible: whether a joint was seen, ``[N, J]``.
    """

    video_id: str
    label: str
    pose: NDArray[np.float64]
    visible: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pose)

    def query(self, seconds_per_step: float) -> Query:
        """The clip as a query."""
        features = torch.from_numpy(pose_features(self.pose))
        return Query(features, seconds_per_step, self.label, self.video_id)


def join_clips(
    clips: Sequence[PoseClip], seconds_per_step: float, video_id: str, fade_steps: int = 4
) -> Reference:
    """Join clips, each an annotated instance, into one reference by cross-fades in normalised joint space.

    The last ``fade_steps`` poses of a clip, at most half of the shorter neighbour, are blended into the first
    of the next, and velocities are computed after joining, so that no step stands still or jumps at a join.
    In slow actions the fade can still be the fastest motion. Visibility is taken from the clip of the larger
    weight. A clip's segment runs from the middle of the fade before it to the middle of the fade after it.
    """
    pose, visible = clips[0].pose, clips[0].visible
    cuts = [0.0]
    for clip in clips[1:]:
        fade = min(fade_steps, len(clip) // 2, int(len(pose) - cuts[-1]) // 2)
        weight = (np.arange(1, fade + 1) / (fade + 1))[:, None, None]
        split = len(pose) - fade
        blend = (1 - weight) * pose[split:] + weight * clip.pose[:fade]
        late = weight[..., 0] > 0.5
        seen = np.where(late, clip.visible[:fade], visible[split:])
        cuts.append(split + fade / 2)
        pose = np.concatenate([pose[:split], blend, clip.pose[fade:]])
        visible = np.concatenate([visible[:split], seen, clip.visible[fade:]])
    cuts.append(float(len(pose)))
    bounds = torch.tensor(list(itertools.pairwise(cuts)), dtype=torch.float64)
    return Reference(
        features=torch.from_numpy(pose_features(pose)),
        seconds_per_step=seconds_per_step,
        segments=bounds * seconds_per_step,
        labels=tuple(clip.label for clip in clips),
        video_id=video_id,
        sources=tuple(clip.video_id for clip in clips),
    )


def compose_split(
    name: str,
    clips: Sequence[PoseClip],
    num_references: int,
    seconds_per_step: float,
    seed: int,
    num_distractors: tuple[int, int] = (3, 7),
) -> RelocalizationSplit:
    """Queries and one composed reference for each, balanced over the classes.

    A reference is a target clip of the query's class, another video than the query's, among clips of the
    *other classes of this split*: nothing in it was seen in training, and it holds one right answer.

    Args:
        name: name of the split; part of every reference's identifier.
        clips: the clips of this split's classes.
        num_references: number of query/reference pairs.
        seconds_per_step: duration of one step in seconds.
        seed: decides every draw.
        num_distractors: least and most clips of other classes, both inclusive.

    Raises:
        DataError: if there are fewer than two classes, or than two clips of one.
    """
    rng = np.random.default_rng(seed)
    by_class: dict[str, list[PoseClip]] = {}
    for clip in clips:
        by_class.setdefault(clip.label, []).append(clip)
    classes = sorted(by_class)
    if len(classes) < 2 or min(map(len, by_class.values())) < 2:
        found = ", ".join(f"{label}: {len(by_class[label])}" for label in classes)
        raise DataError(
            f"Split {name!r} needs at least two classes with two clips each (got {found or 'none'})"
        )
    order = {label: rng.permutation(len(by_class[label])) for label in classes}
    queries, references = [], []
    for number in range(num_references):
        label = classes[number % len(classes)]
        members = by_class[label]
        query = int(order[label][number // len(classes) % len(members)])
        target = int(rng.choice([i for i in range(len(members)) if i != query]))
        others = [other for other in classes if other != label]
        count = int(rng.integers(num_distractors[0], num_distractors[1] + 1))
        parts = []
        for other in rng.choice(others, size=count):
            parts.append(by_class[other][int(rng.integers(len(by_class[other])))])
        parts.insert(int(rng.integers(count + 1)), members[target])
        queries.append(members[query].query(seconds_per_step))
        references.append(join_clips(parts, seconds_per_step, f"{name}-{number:04d}"))
    pairs = [(i, i) for i in range(num_references)]
    return RelocalizationSplit(name, queries, references, pairs)
