"""What every learned rival is: a network that ranks segments, how examples are drawn for it, and its loss.

A rival is one file that ends in a :class:`Rival`, and one line in ``RIVALS`` of
:mod:`vreloc_pyg.systems.catalog`; training, checkpoints, evaluation and tables then know it
(docs/adding_a_system.md walks through one).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.settings import RunSettings, settings_from_dict


class Ranked(NamedTuple):
    """Segments of one reference with scores.

    Args:
        windows: half-open step intervals, ``[M, 2]`` int64.
        scores: higher is better, ``[M]``; of equal ones the first wins.
        answers: the segments that the windows stand for, in steps, where a system refines them,
            ``[M, 2]`` float64; ``None``: the windows themselves.
    """

    windows: Tensor
    scores: Tensor
    answers: Tensor | None = None


class RivalNetwork(nn.Module, ABC):
    """A network that ranks segments of a reference for a query.

    Args:
        num_features: F, width of the features.
        settings: an instance of its :attr:`Rival.settings`.
    """

    def __init__(self, num_features: int, settings: Any) -> None:
        super().__init__()
        self.num_features = num_features
        self.settings = settings

    @abstractmethod
    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Score segments of a reference; called in eval mode without gradients.

        Args:
            query: ``[q, F]``.
            reference: ``[r, F]``.
            windows: the benchmark's candidates, ``[M, 2]`` int64, for systems that score such.
        """

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Parameters for the optimiser, in groups of different learning rates; by default one group."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]


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
    """Draw a query and a reference of its class from another video.

    Args:
        pool: the training split.
        rng: decides the draw.
        augmentation: changes to the features; ``None`` for none. Speeds are drawn, and change velocities
            where features hold some, but clips keep their number of steps.
    """
    query = pool.draw_query(rng)
    reference = pool.draw_match(query, rng)
    own, theirs = query.features, reference.features
    if augmentation is not None:
        change = augmentation.draw_episode(own.size(1), rng)
        own, theirs = change(augmentation.draw_query(own.size(1), rng)(own)), change(theirs)
    everything = torch.cat([reference.steps_of(label) for label in sorted(set(reference.labels))])
    return Example(own, theirs, reference.steps_of(query.label), everything)


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


@dataclass(frozen=True)
class RivalTraining(RunSettings):
    """How a rival is trained.

    Args:
        augment: change training features at random, as the preset ``recommended`` does.
        buckets: batches hold references of like lengths, which saves computing on padding; the order of the
            batches stays random.
    """

    augment: bool = False
    buckets: bool = False


#: Indices and signs of a mirror image of features, see :class:`vreloc_pyg.graphs.pairing.Pairing`.
Mirror = tuple[tuple[int, ...], tuple[float, ...]]


def as_published(longest: int, mirror: Mirror | None) -> Mapping[str, Any]:
    """For :attr:`Rival.suit` of a network that takes nothing from the data."""
    return {}


def cap_length(longest: int, mirror: Mirror | None) -> Mapping[str, Any]:
    """For :attr:`Rival.suit` of a network with the setting ``longest``."""
    return {"longest": longest}


@dataclass(frozen=True)
class Rival:
    """A learned system.

    Args:
        name: its row in a table, and what ``vreloc train --system`` calls it: lower case, with hyphens.
        network: its class; ``network(num_features, settings)`` makes one.
        settings: frozen dataclass with a default for every setting of the network.
        loss: of a network in training mode and a list of drawn examples; a scalar.
        draw: draws one example. A system that needs windows, other references or random segments draws them
            here, so that an example is a function of the random state alone.
        training: how it is trained by default.
        source: the paper.
        suit: settings that suit a data set, by the greatest length in steps of an answer there and the mirror
            image of its features, if there is one: a published cap on lengths is that of the paper's data.
    """

    name: str
    network: type[RivalNetwork]
    settings: type[Any]
    loss: Callable[[Any, Sequence[Any]], Tensor]
    draw: Callable[[TrainingPool, np.random.Generator, Augmentation | None], Any] = draw_example
    training: RivalTraining = field(default_factory=RivalTraining)
    source: str = ""
    suit: Callable[[int, Mirror | None], Mapping[str, Any]] = as_published

    def build(self, num_features: int, settings: Mapping[str, Any] | None = None) -> RivalNetwork:
        """A new network.

        Raises:
            SettingsError: for an unknown setting or an impossible value.
        """
        return self.network(num_features, settings_from_dict(self.settings, settings or {}))
