"""References composed of single clips, so that nothing but the motion tells where one begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.datasets.bridges import FADE, bridge, paused, smooth
from vreloc_pyg.datasets.cast import TRIALS, Cast
from vreloc_pyg.datasets.folds import SPLITS, ClassFold
from vreloc_pyg.datasets.pose_clips import PoseClip, draw_look
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.pose import Skeleton, normalize_pose, pose_features
from vreloc_pyg.settings import CheckedSettings, NotNegative, Share, Whole, Within

POSES_2D = "Features are 2-D poses, not C3D: not comparable with published numbers."
#: What a reader of a table over composed references must know.
COMPOSED = (
    "References are composed of clips. The audit rows say what that gives away: how far one comes who looks "
    "for the joins, or for lengths and places, instead of the action."
)

FloatArray = NDArray[np.float64]
Range = tuple[Whole, Whole]
Bridged = Annotated[int, Within(f"[{2 * FADE}, inf)")]


@dataclass(frozen=True)
class Composer(CheckedSettings):
    """How references are composed.

    A reference is one or more target clips of the query's class, of other videos and another person than the
    query's, among clips of other classes; before, between and after them lies background, stretches of other
    clips' motion played backwards that lead from one clip to the next
    (:func:`~vreloc_pyg.datasets.bridges.bridge`). All clips are given one look, and each its own speed. The
    body's place and size are normalised after joining, as they are in a recording. A clip is cut at random at
    both ends before it is joined, and its annotated segment leaves out a further random part, as does a
    query's: where clips meet is not where the answer ends.

    Args:
        num_distractors: least and most clips of other classes.
        bridge_steps: least and most steps of background between two clips, but for a pause.
        cut: greatest share of a clip's length that is cut off at each end before it is joined.
        margin: greatest share of what is left that the annotation leaves out at each end.
        speed: the log of a clip's speed is uniform within +- this.
        size, turn: scales of a look within a factor of exp(size), and turned by up to so many degrees.
        several: probability that a reference holds a second target.
    """

    num_distractors: Range = (3, 6)
    bridge_steps: tuple[Bridged, Bridged] = (16, 40)
    cut: Annotated[float, Within("[0, 0.2]")] = 0.1
    margin: Annotated[float, Within("[0, 0.2]")] = 0.06
    speed: NotNegative = 0.25
    size: NotNegative = 0.15
    turn: NotNegative = 10.0
    several: Share = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_distractors", "bridge_steps"):
            low, high = getattr(self, name)
            if low > high:
                raise SettingsError(f"Expected {name} as least and most (got {low} and {high})")

    def split(
        self,
        name: str,
        clips: Sequence[PoseClip],
        size: int,
        skeleton: Skeleton,
        seconds_per_step: float,
        seed: int,
        num_absent: int = 0,
    ) -> RelocalizationSplit:
        """Queries and one composed reference for each, balanced over the classes.

        Distractors are of the *other classes of this split*, so that nothing in a reference was seen in
        training, and of the target's own person where that person shows them.

        Args:
            name: name of the split; part of every reference's identifier.
            clips: of this split's classes.
            size: number of query/reference pairs.
            skeleton, seconds_per_step: of the clips.
            seed: decides every draw.
            num_absent: further references without the action of a query; they make the absent pairs.

        Raises:
            DataError: if there are fewer than two classes, or a class has no two clips that may be a query
                and its target.
        """
        rng = np.random.default_rng(seed)
        cast = Cast(name, clips, rng, self.speed, self.bridge_steps[1] + 2)
        queries: list[Query] = []
        references: list[Reference] = []
        for number in range(size + num_absent):
            query = cast.query(number if number < size else number - size)
            wanted = 0 if number >= size else 1 + int(rng.random() < self.several)
            if wanted:
                first, last = query.trimmed(self.cut, rng)
                kept = replace(query, pose=query.pose[first:last])
                queries.append(kept.query(seconds_per_step, skeleton))
            # As many clips without a target as with one, so that their number does not tell.
            others = int(rng.integers(self.num_distractors[0], self.num_distractors[1] + 1)) + (wanted == 0)
            chosen = cast.choose(query, others, wanted)
            pose, segments, joins = self._join(chosen, query.label, cast, skeleton)
            shared = dict.fromkeys(source for one in chosen for source in (one.video_id, *one.sources))
            references.append(
                Reference(
                    torch.from_numpy(pose_features(normalize_pose(pose, skeleton))),
                    seconds_per_step,
                    torch.tensor(segments, dtype=torch.float64) * seconds_per_step,
                    tuple(clip.label for clip in chosen),
                    f"{name}-{number:04d}",
                    sources=tuple(shared),
                    joins=tuple(joins),
                )
            )
        pairs = [(i, i) for i in range(size)]
        missing = [(i, size + i) for i in range(num_absent)]
        return RelocalizationSplit(name, queries, references, pairs, missing)

    def _join(
        self, clips: Sequence[PoseClip], target: str, cast: Cast, skeleton: Skeleton
    ) -> tuple[FloatArray, list[tuple[int, int]], list[int]]:
        """Joined poses ``[N, J, D]``, the annotated steps of every clip, and where clips were joined."""
        rng = cast.rng
        look = draw_look(skeleton, self.size, self.turn, rng)
        played = [clip.at_speed(cast.draw_speed()) for clip in clips]
        # Background before the first clip comes from a pose, and leads to one after the last.
        around = [replace(one, pose=look(one.pose)) for one in (cast.moment(), *played, cast.moment())]
        cuts = [one.cut(self.cut, rng) for one in around]
        parts: list[FloatArray] = []
        joins: list[int] = []
        segments: list[tuple[int, int]] = []
        length = 0
        for index in range(1, len(around)):
            clip, (first, last) = around[index], cuts[index]
            before, end = around[index - 1].pose, cuts[index - 1][1] - 1
            steps = rng.integers(self.bridge_steps[0], self.bridge_steps[1] + 1, size=TRIALS) + 2
            here, there = (look.undone(pose) for pose in (before[end], clip.pose[first]))
            filmed = look(cast.background(here, there, steps, target))
            path = bridge(before, end, clip.pose, first, np.diff(filmed, axis=0))
            parts.append(paused(path, *rng.uniform(size=2)))
            length += len(parts[-1])
            if index < len(around) - 1:
                kept = replace(clip, pose=clip.pose[first:last])
                inner = kept.trimmed(self.margin, rng)
                segments.append((length + inner[0], length + inner[1]))
                joins += [length, length + len(kept)]
                parts.append(kept.pose)
                length += len(kept)
        # As if one camera had filmed it: steps that were interpolated, mixed or left as they were tremble
        # differently, so their own jitter is smoothed away, and other clips' takes its place.
        return smooth(np.concatenate(parts)) + cast.jitter(length), segments, joins


def compose_fold(
    name: str,
    clips: Sequence[PoseClip],
    classes: ClassFold,
    sizes: Mapping[str, int],
    skeleton: Skeleton,
    seconds_per_step: float,
    seed: tuple[int, int],
    composer: Composer | None = None,
) -> dict[str, RelocalizationSplit]:
    """The splits of one class fold, of ``sizes`` pairs each; half as many absent pairs but in training.

    ``seed`` is that of the data set, then the number of the fold; the rest is as of :meth:`Composer.split`.
    """
    composer = composer or Composer()
    return {
        split: composer.split(
            f"{name}-fold{seed[1]}-{split}",
            [clip for clip in clips if clip.label in getattr(classes, split)],
            sizes[split],
            skeleton,
            seconds_per_step,
            seed=10_000 * seed[0] + 100 * seed[1] + index,
            num_absent=0 if split == "train" else sizes[split] // 2,
        )
        for index, split in enumerate(SPLITS)
    }
