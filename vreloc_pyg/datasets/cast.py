"""Which clips a composed reference is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vreloc_pyg.datasets.bridges import FADE, smooth
from vreloc_pyg.datasets.pose_clips import PoseClip
from vreloc_pyg.errors import DataError

FloatArray = NDArray[np.float64]

#: Stretches of motion that are kept for backgrounds, and tried for each.
STRETCHES, TRIALS = 1500, 200


class Cast:
    """The clips of a split, by class and person, and who is drawn next.

    Args:
        name: of the split, for messages.
        clips: of its classes.
        rng: decides every draw.
        speed: the log of a clip's playing speed is uniform within +- this.
        longest: of a stretch of background, in steps.

    Raises:
        DataError: if there are fewer than two classes, or a class has no two clips that may be a query and
            its target.
    """

    def __init__(
        self, name: str, clips: Sequence[PoseClip], rng: np.random.Generator, speed: float, longest: int
    ) -> None:
        self.rng = rng
        self.clips = clips
        self.speed = speed
        self.by_class: dict[str, list[PoseClip]] = {}
        for clip in clips:
            self.by_class.setdefault(clip.label, []).append(clip)
        self.classes = sorted(self.by_class)
        alone = [label for label, own in self.by_class.items() if not any(map(self.targets_for, own))]
        if len(self.classes) < 2 or alone:
            found = ", ".join(f"{label}: {len(self.by_class[label])}" for label in self.classes)
            raise DataError(
                f"Split {name!r} needs at least two classes, each with two clips of different people "
                f"(got {found or 'none'})"
            )
        self.order = {}
        for label in self.classes:
            usable = [clip for clip in self.by_class[label] if self.targets_for(clip)]
            self.order[label] = [usable[i] for i in rng.permutation(len(usable))]
        drawn = [self._stretch(longest) for _ in range(STRETCHES)]
        self.stretches = np.stack([pose for _, pose in drawn])  # [S, longest, J, D]
        self.stretch_classes = np.array([label for label, _ in drawn])

    def draw_speed(self) -> float:
        """A playing speed."""
        return float(np.exp(self.rng.uniform(-self.speed, self.speed)))

    def targets_for(self, query: PoseClip) -> list[PoseClip]:
        """Clips of the query's class that are of another video, and of another person where that is known."""
        return [
            clip
            for clip in self.by_class[query.label]
            if clip.video_id != query.video_id and not (clip.person and clip.person == query.person)
        ]

    def query(self, number: int) -> PoseClip:
        """The query of a pair; classes take turns."""
        label = self.classes[number % len(self.classes)]
        own = self.order[label]
        return own[number // len(self.classes) % len(own)]

    def choose(self, query: PoseClip, distractors: int, num_targets: int) -> list[PoseClip]:
        """The clips of one reference in their order.

        Targets are of one person, as many as that person has, up to ``num_targets``; distractors are of that
        person too where they can be.
        """
        targets = self._drawn(self.targets_for(query), 1)
        person = targets[0].person
        again = [clip for clip in self.targets_for(query) if clip.person == person and clip is not targets[0]]
        targets = [*targets, *self._drawn(again, num_targets - 1)][:num_targets]
        others = [label for label in self.classes if label != query.label]
        clips = []
        for label in self.rng.choice(others, size=distractors + num_targets - len(targets)):
            own = self.by_class[str(label)]
            same = [clip for clip in own if clip.person == person]
            other = [clip for clip in own if clip.person != query.person]
            clips += self._drawn(same or other or own, 1)
        for clip in targets:
            clips.insert(int(self.rng.integers(len(clips) + 1)), clip)
        return clips

    def moment(self) -> PoseClip:
        """A few steps of any clip."""
        clip = self.clips[int(self.rng.integers(len(self.clips)))]
        at = int(self.rng.integers(max(len(clip) - FADE, 0) + 1))
        return replace(clip, pose=clip.pose[at : at + FADE])

    def background(
        self, here: FloatArray, there: FloatArray, steps: NDArray[np.int64], avoided: str
    ) -> FloatArray:
        """Of some stretches of motion the one that must be shifted least to join two poses, ``[N, J, D]``.

        Args:
            here, there: poses, ``[J, D]``.
            steps: how many steps each of the stretches that are tried may last, ``[TRIALS]`` int.
            avoided: a class whose motion is not taken: that of the query.
        """
        usable = np.flatnonzero(self.stretch_classes != avoided)
        tried = usable[self.rng.integers(len(usable), size=len(steps))]
        ends = self.stretches[tried, 0] - here, self.stretches[tried, steps - 1] - there
        # The slower it is shifted the less is added to how fast it was filmed.
        best = int((sum((end**2).sum((1, 2)) for end in ends) / steps**2).argmin())
        return np.asarray(self.stretches[tried[best], : steps[best]])

    def jitter(self, steps: int) -> FloatArray:
        """So many steps of clips' own jitter, ``[steps, J, D]``."""
        parts: list[FloatArray] = []
        while sum(map(len, parts)) < steps:
            pose = self.clips[int(self.rng.integers(len(self.clips)))].pose
            parts.append((pose - smooth(pose))[int(self.rng.integers(len(pose))) :])
        return np.concatenate(parts)[:steps]

    def _drawn(self, clips: Sequence[PoseClip], count: int) -> list[PoseClip]:
        order = self.rng.permutation(len(clips))[: max(count, 0)]
        return [clips[i] for i in order]

    def _stretch(self, steps: int) -> tuple[str, FloatArray]:
        """Some steps of a clip backwards, at a speed of their own; a short clip is played to and fro."""
        label = self.classes[int(self.rng.integers(len(self.classes)))]
        [clip] = self._drawn(self.by_class[label], 1)
        filmed = round(steps * self.draw_speed()) + 1
        at = int(self.rng.integers(max(len(clip) - filmed, 0) + 1))
        part = clip.pose[at : at + filmed][::-1]
        turned = np.concatenate([part, part[-2:0:-1]])
        whole = replace(clip, pose=np.resize(turned, (filmed, *turned.shape[1:])))
        return label, whole.resampled(steps).pose
