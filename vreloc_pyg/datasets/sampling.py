"""Drawing training episodes: a query, and candidate windows whose overlap with the answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.datasets.cropping import crop_reference
from vreloc_pyg.datasets.own_parts import draw_own_part
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.settings import CheckedSettings, Count, NotNegative, Share


class Candidates(NamedTuple):
    """Windows of one reference.

    Args:
        reference: the video.
        windows: half-open step intervals, ``[C, 2]`` int64.
        truths: the instance of the query's class that each window overlaps most, in steps, ``[C, 2]``; the
            window itself where the reference shows another action.
        overlaps: tIoU of window and truth, 0 for another action, ``[C]`` float32.
    """

    reference: Reference
    windows: Tensor
    truths: Tensor
    overlaps: Tensor


class Episode(NamedTuple):
    """A query and its candidates; the first candidate of the first reference is the positive one."""

    query: Query
    candidates: list[Candidates]


class EpisodeSampler(Protocol):
    """Anything that draws an episode from a split."""

    def draw(self, pool: TrainingPool, rng: np.random.Generator) -> Episode:
        """One episode; the same state of ``rng`` gives the same one."""


class TrainingPool:
    """A training split, indexed for drawing.

    Args:
        split: queries and references; its pairs are not used.
        crop: probability of :func:`~vreloc_pyg.datasets.cropping.crop_reference` for an answering reference.

    Raises:
        DataError: if no query has a reference of its class from another video.
    """

    def __init__(self, split: RelocalizationSplit, crop: float = 0.0) -> None:
        self.split = split
        self.crop = crop
        self.by_label: dict[str, list[int]] = {}
        for index, reference in enumerate(split.references):
            for label in sorted(set(reference.labels)):
                self.by_label.setdefault(label, []).append(index)
        self.matches: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        self.usable = [i for i, query in enumerate(split.queries) if self._matches(query)]
        if not self.usable:
            raise DataError(
                f"No query of split {split.name!r} has a reference of its class from another video"
            )

    def draw_query(self, rng: np.random.Generator) -> Query:
        """A query that some reference of another video can answer."""
        return self.split.queries[self.usable[int(rng.integers(len(self.usable)))]]

    def draw_match(self, query: Query, rng: np.random.Generator) -> Reference:
        """A reference that shows the query's class and none of its frames."""
        matches = self._matches(query)
        reference = self.split.references[matches[int(rng.integers(len(matches)))]]
        return crop_reference(reference, rng, self.crop) if self.crop else reference

    def draw_other(self, query: Query, match: Reference, rng: np.random.Generator) -> tuple[Reference, str]:
        """A reference other than ``match`` with none of the query's frames, and another class it shows."""
        labels = [label for label in self.by_label if label != query.label]
        first = int(rng.integers(len(labels))) if labels else 0
        for label in labels[first:] + labels[:first]:
            found = [self.split.references[index] for index in self.by_label[label]]
            found = [
                other
                for other in found
                if other.video_id != match.video_id and not other.shares_source(query)
            ]
            if found:
                return found[int(rng.integers(len(found)))], label
        raise DataError(
            f"Split {self.split.name!r} shows no other class than {query.label!r} in a further reference; "
            "triplets need one"
        )

    def _matches(self, query: Query) -> list[int]:
        """Indices of the references that can answer a query, found once: episodes ask again and again."""
        key = query.label, query.video_id, query.sources
        if key not in self.matches:
            self.matches[key] = [
                index
                for index in self.by_label.get(query.label, ())
                if not self.split.references[index].shares_source(query)
            ]
        return self.matches[key]


@dataclass(frozen=True)
class TripletSampler(CheckedSettings):
    """Triplets (query, positive, negative) as in the paper (section 5.2.1).

    The positive is the proposal of greatest tIoU with any instance of the query's class; the negative is
    the proposal of greatest tIoU with any instance of *another* class, in another reference. Of equally
    good proposals the first counts.

    Args:
        proposals: candidate windows of a reference.
        positive_jitter: instead, the positive is an instance with both ends moved by a normal deviate of
            this share of its length.
        same_reference_negative: probability that the negative is instead a proposal of the positive reference
            with a tIoU below .5.
    """

    proposals: ProposalSource = field(default_factory=SlidingWindows)
    positive_jitter: NotNegative = 0.0
    same_reference_negative: Share = 0.0

    def draw(self, pool: TrainingPool, rng: np.random.Generator) -> Episode:
        """Draw a triplet; both groups hold one window."""
        query = pool.draw_query(rng)
        reference = pool.draw_match(query, rng)
        instances = reference.steps_of(query.label)
        if self.positive_jitter:
            instance = instances[int(rng.integers(len(instances)))]
            moved = _move_ends(instance.expand(1, 2), self.positive_jitter, rng)
            positive = _inside(moved, reference.num_steps, 1)
        else:
            positive = _best(self.proposals.propose(reference), instances)
        groups = [_candidates(reference, positive, instances)]
        if rng.random() < self.same_reference_negative:
            windows = self.proposals.propose(reference)
            low = (temporal_iou(windows.double(), instances.double()).amax(1) < 0.5).nonzero().flatten()
            if len(low):
                negative = windows[low[int(rng.integers(len(low)))]].expand(1, 2)
                return Episode(query, [*groups, _candidates(reference, negative, instances)])
        other, label = pool.draw_other(query, reference, rng)
        negative = _best(self.proposals.propose(other), other.steps_of(label))
        nothing = Candidates(other, negative, negative, torch.zeros(1))
        return Episode(query, [*groups, nothing])


@dataclass(frozen=True)
class GradedSampler(CheckedSettings):
    """Many windows of the positive reference, from nearly right to plainly wrong.

    A quarter each: the answer with its ends moved a little; any annotated instance with its ends moved a
    little; windows centred on an end of any instance (they straddle two actions); the answer moved and
    stretched much. What is class-agnostic here, being one complete action, carries over to new classes.

    Args:
        num_candidates: windows an episode, a multiple of 4.
        jitter: standard deviation of a small move of an end, as a share of the length.
        shortest: least length of a window in steps.
        own_parts: probability that the query is instead a part of the reference itself, played otherwise:
            self-supervised, see :func:`.draw_own_part`.
    """

    num_candidates: Count = 24
    jitter: NotNegative = 0.15
    shortest: Count = 6
    own_parts: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_candidates % 4:
            raise SettingsError(f"Expected num_candidates as a multiple of 4 (got {self.num_candidates})")

    def draw(self, pool: TrainingPool, rng: np.random.Generator) -> Episode:
        """Draw an episode of one group of ``num_candidates`` windows."""
        if self.own_parts and rng.random() < self.own_parts:
            query, reference, answers = draw_own_part(pool.split.references, rng)
        else:
            query = pool.draw_query(rng)
            reference = pool.draw_match(query, rng)
            answers = reference.steps_of(query.label)
        return Episode(query, [_candidates(reference, self.windows(reference, answers, rng), answers)])

    def windows(self, reference: Reference, answers: Tensor, rng: np.random.Generator) -> Tensor:
        """The windows of an episode, ``[num_candidates, 2]`` int64, a quarter of each kind in that order.

        ``answers`` are the instances of what the query shows in steps, ``[G, 2]`` int64.
        """
        count = self.num_candidates // 4
        answer = answers[int(rng.integers(len(answers)))].expand(count, 2)
        everything = torch.cat([reference.steps_of(label) for label in sorted(set(reference.labels))])
        instances = everything[torch.from_numpy(rng.integers(len(everything), size=count))]
        either_end = torch.from_numpy(rng.integers(2, size=count))
        at_an_end = instances.gather(1, either_end[:, None]).double()  # [count, 1]
        windows = torch.cat(
            [
                _move_ends(answer, self.jitter, rng),
                _move_ends(instances, self.jitter, rng),
                _stretch(at_an_end, _lengths(instances), 0.5, rng),
                _stretch(_centres(answer, 0.6, rng), _lengths(answer), 0.5, rng),
            ]
        )
        return _inside(windows, reference.num_steps, self.shortest)


def _lengths(windows: Tensor) -> Tensor:
    return (windows[:, 1:] - windows[:, :1]).double()  # [M, 1]


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def _move_ends(windows: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Both ends moved independently by a normal deviate of a share of the length."""
    return windows + share * _lengths(windows) * _normal((len(windows), 2), rng)


def _centres(windows: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Centres ``[M, 1]`` moved by a normal deviate of a share of the length."""
    centres = windows.double().mean(1, keepdim=True)
    return centres + share * _lengths(windows) * _normal((len(windows), 1), rng)


def _stretch(centres: Tensor, lengths: Tensor, log_deviation: float, rng: np.random.Generator) -> Tensor:
    """Windows about ``centres`` whose lengths are multiplied by a log-normal factor."""
    half = lengths * torch.exp(log_deviation * _normal((len(centres), 1), rng)) / 2
    return torch.cat([centres - half, centres + half], dim=1)


def _inside(windows: Tensor, num_steps: int, shortest: int) -> Tensor:
    """Windows rounded to steps, kept inside the video and at least ``shortest`` steps long if it is."""
    shortest = min(shortest, num_steps)
    start = windows[:, 0].round().long().clamp(0, num_steps - shortest)
    end = windows[:, 1].round().long().clamp(max=num_steps)
    return torch.stack([start, torch.maximum(end, start + shortest)], dim=1)


def _best(windows: Tensor, instances: Tensor) -> Tensor:
    """The window of greatest tIoU with any of the instances ``[G, 2]``, ``[1, 2]``."""
    overlap = temporal_iou(windows.double(), instances.double()).amax(1)
    return windows[overlap.argmax()].unsqueeze(0)


def _candidates(reference: Reference, windows: Tensor, instances: Tensor) -> Candidates:
    overlaps, nearest = temporal_iou(windows.double(), instances.double()).max(dim=1)
    return Candidates(reference, windows, instances[nearest], overlaps.float())
