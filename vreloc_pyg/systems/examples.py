"""Training examples that several systems learn from, and batches of clips of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.segments import temporal_iou


class Example(NamedTuple):
    """A query, and a reference that shows its action.

    Args:
        query: features, ``[q, F]``.
        reference: features, ``[r, F]``.
        answers: instances of the query's class in the reference, in steps, ``[G, 2]`` int64.
        instances: all annotated instances of the reference, ``[G', 2]`` int64.
    """

    query: Tensor
    reference: Tensor
    answers: Tensor
    instances: Tensor


def draw_example(pool: TrainingPool, rng: np.random.Generator, augmentation: Augmentation | None) -> Example:
    """Draw a query and a reference of its class from another video; ``rng`` decides the draw.

    An augmentation changes the features. Speeds are drawn too, and change velocities where features hold
    some, but clips keep their number of steps.
    """
    query = pool.draw_query(rng)
    return make_example(query, pool.draw_match(query, rng), rng, augmentation)


def make_example(
    query: Query, reference: Reference, rng: np.random.Generator, augmentation: Augmentation | None
) -> Example:
    """The example of a query and a reference that were drawn; see :func:`draw_example`."""
    own, theirs = query.features, reference.features
    if augmentation is not None:
        change = augmentation.draw_episode(own.size(1), rng)
        own, theirs = change(augmentation.draw_query(own.size(1), rng)(own)), change(theirs)
    everything = torch.cat([reference.steps_of(label) for label in sorted(set(reference.labels))])
    return Example(own, theirs, reference.steps_of(query.label), everything)


def draw_hard_window(reference: Reference, answers: Tensor, rng: np.random.Generator) -> Tensor | None:
    """A window that is wrong for one reason only: its bounds, or which action it shows.

    One of those of :class:`.GradedSampler` with a tIoU below .5 with every answer ``[G, 2]``: another
    instance with its ends moved a little, a window across two actions, or the answer moved. In steps, ``[2]``
    int64; ``None`` where all three that were drawn overlap an answer more.
    """
    windows = HARD_WINDOWS.windows(reference, answers, rng)[1:]
    wrong = windows[temporal_iou(windows.double(), answers.double()).amax(1) < 0.5]
    return wrong[int(rng.integers(len(wrong)))] if len(wrong) else None


#: One window of each kind, the first of which is right.
HARD_WINDOWS = GradedSampler(num_candidates=4, shortest=2)


def segments_up_to(num_steps: int, longest: int) -> Tensor:
    """Every segment of a video of up to ``longest`` steps, the shortest first and of those the earliest.

    Half-open step intervals, ``[M, 2]`` int64, M at most ``num_steps * longest``.
    """
    lengths = torch.arange(1, min(longest, num_steps) + 1).unsqueeze(1)
    fits = torch.arange(num_steps) + lengths <= num_steps  # [L, r]
    row, start = fits.nonzero(as_tuple=True)
    return torch.stack([start, start + row + 1], dim=1)


class PaddedClips(NamedTuple):
    """Clips of a batch.

    Args:
        features: zeros behind short clips, ``[B, T, F]`` with T the longest.
        lengths: in steps, ``[B]`` int64.
        mask: which steps exist, ``[B, T]`` bool.
    """

    features: Tensor
    lengths: Tensor
    mask: Tensor


def pad_clips(clips: Sequence[Tensor]) -> PaddedClips:
    """Clips ``[T_i, F]`` of different lengths as one tensor."""
    lengths = torch.tensor([len(clip) for clip in clips], device=clips[0].device)
    features = pad_sequence(list(clips), batch_first=True)
    steps = torch.arange(features.size(1), device=features.device)
    return PaddedClips(features, lengths, steps < lengths.unsqueeze(1))
