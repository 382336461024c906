"""A synthetic relocalization task that needs no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.task import Loaded, Task
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.settings import CheckedSettings, NotNegative, Positive, Whole, Within

FloatArray = NDArray[np.float64]

Several = Annotated[int, Within("[2, inf)")]


@dataclass(frozen=True)
class Synthetic(CheckedSettings):
    """Untrimmed videos of actions made of sub-actions, over background.

    A class is a sequence of sub-actions from a vocabulary that all classes share. An instance plays them
    at its own speed, may leave one out or swap two, and lies over background among instances of other
    classes. Half of the latent dimensions carry the *look* of the video (an offset and a slow drift) and
    say nothing of the action; a fixed random rotation mixes both. So single frames of different
    classes are often more alike than frames of the same class, as in Figure 2 of the paper.

    Args:
        num_train_classes, num_validation_classes, num_test_classes: classes of each split; disjoint.
        num_train, num_validation, num_test: queries, and references, of each split.
        num_features: F, even.
        num_sub_actions: size of the shared vocabulary.
        look: standard deviation of a video's look relative to the sub-actions.
        noise: standard deviation of the noise of every step.
        seconds_per_step: duration of one step in seconds.
        seed: decides everything.

    Example:
        >>> splits = Synthetic(num_train=20, num_validation=8, num_test=8).splits()
        >>> query, reference = splits["test"][0]
        >>> query.features.size(1)
        32
    """

    num_train_classes: Several = 20
    num_validation_classes: Several = 5
    num_test_classes: Several = 8
    num_train: int = 600
    num_validation: int = 60
    num_test: int = 100
    num_features: Several = 32
    num_sub_actions: Annotated[int, Within("[5, inf)")] = 24
    look: NotNegative = 1.2
    noise: NotNegative = 0.3
    seconds_per_step: Positive = 0.5
    seed: Whole = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_features % 2:
            raise SettingsError(f"Expected an even num_features (got {self.num_features})")
        for name in ("num_train", "num_validation", "num_test"):
            classes, count = getattr(self, f"{name}_classes"), getattr(self, name)
            if count < classes:
                raise SettingsError(f"Expected {name} >= {name}_classes (got {count} and {classes})")

    def splits(self) -> dict[str, RelocalizationSplit]:
        """The splits ``train``, ``validation`` and ``test``, one query and one reference a pair."""
        rng = np.random.default_rng(self.seed)
        world = _World(self, rng)
        splits, first = {}, 0
        for name in ("train", "validation", "test"):
            count = getattr(self, f"num_{name}_classes")
            classes = range(first, first + count)
            first += count
            size = getattr(self, f"num_{name}")
            queries, references = [], []
            for number in range(size):
                target = classes[number % count]
                queries.append(world.query(target, f"{name}-query-{number:04d}", rng))
                references.append(world.reference(target, classes, f"{name}-{number:04d}", rng))
            pairs = [(i, i) for i in range(size)]
            splits[name] = RelocalizationSplit(name, queries, references, pairs)
        return splits


class _World:
    """The vocabulary, the classes and the rotation that one seed decides."""

    def __init__(self, settings: Synthetic, rng: np.random.Generator) -> None:
        self.settings = settings
        self.width = settings.num_features // 2
        self.sub_actions = rng.normal(size=(settings.num_sub_actions, 2, self.width))  # start and end pose
        self.background = rng.normal(size=(6, self.width))
        num_classes = settings.num_train_classes + settings.num_validation_classes + settings.num_test_classes
        self.classes = [
            rng.choice(settings.num_sub_actions, size=int(rng.integers(3, 6)), replace=False)
            for _ in range(num_classes)
        ]
        self.rotation = np.linalg.qr(rng.normal(size=(settings.num_features, settings.num_features)))[0]

    def query(self, label: int, video_id: str, rng: np.random.Generator) -> Query:
        features = self._film(self._instance(label, rng), rng)
        return Query(features, self.settings.seconds_per_step, f"class-{label:02d}", video_id)

    def reference(self, target: int, classes: range, video_id: str, rng: np.random.Generator) -> Reference:
        others = [label for label in classes if label != target]
        labels = [int(label) for label in rng.choice(others, size=int(rng.integers(1, 4)))]
        labels.insert(int(rng.integers(len(labels) + 1)), target)
        parts, bounds, length = [self._pause(rng)], [], 0
        length += len(parts[0])
        for label in labels:
            instance, pause = self._instance(label, rng), self._pause(rng)
            bounds.append((length, length + len(instance)))
            parts += [instance, pause]
            length += len(instance) + len(pause)
        step = self.settings.seconds_per_step
        return Reference(
            self._film(np.concatenate(parts), rng),
            step,
            torch.tensor(bounds, dtype=torch.float64) * step,
            tuple(f"class-{label:02d}" for label in labels),
            video_id,
        )

    def _instance(self, label: int, rng: np.random.Generator) -> FloatArray:
        """One performance of a class, ``[num_steps, width]``: order, speed and presence vary."""
        order = list(self.classes[label])
        if rng.random() < 0.2:
            at = int(rng.integers(len(order) - 1))
            order[at], order[at + 1] = order[at + 1], order[at]
        if rng.random() < 0.2:
            order.pop(int(rng.integers(len(order))))
        speed = rng.uniform(0.7, 1.5)
        parts = []
        for sub_action in order:
            steps = max(2, round(rng.integers(4, 9) / speed))
            progress = np.linspace(0, 1, steps)[:, None]
            start, end = self.sub_actions[sub_action]
            parts.append((1 - progress) * start + progress * end)
        return np.concatenate(parts)

    def _pause(self, rng: np.random.Generator) -> FloatArray:
        """A stretch of background, ``[num_steps, width]``."""
        start, end = self.background[rng.choice(len(self.background), size=2)]
        progress = np.linspace(0, 1, int(rng.integers(4, 20)))[:, None]
        return (1 - progress) * start + progress * end

    def _film(self, action: FloatArray, rng: np.random.Generator) -> torch.Tensor:
        """Add a look and noise to the action and mix them, ``[num_steps, F]`` float32."""
        steps = len(action)
        drift = np.cumsum(rng.normal(size=(steps, self.width)), axis=0) / np.sqrt(steps)
        look = self.settings.look * (rng.normal(size=(1, self.width)) + 0.5 * drift)
        latent = np.concatenate([action, look], axis=1)
        latent += self.settings.noise * rng.normal(size=latent.shape)
        return torch.from_numpy((latent @ self.rotation).astype(np.float32))


TASK = Task(
    "synthetic",
    lambda request: Loaded(Synthetic(seed=request.seed).splits()),
    windows=SlidingWindows(shortest=5, longest=64),
    needs_root=False,
    reads_features=False,
    caveats=("Data are generated: the table shows that systems work, not how well they would do.",),
)
