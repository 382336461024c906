"""The contract every data set meets: clips, references and the pairs to evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.lazy import LazyFeatures
from vreloc_pyg.segments import check_segments, seconds_to_steps

Clip = TypeVar("Clip", "Query", "Reference")


@dataclass(frozen=True)
class Query:
    """A short clip showing one action.

    Args:
        features: ``[num_steps, F]`` float32.
        seconds_per_step: duration of one step in seconds.
        label: the action class; systems never see it.
        video_id: the video the clip was cut from, so that it is not searched in itself.
        sources: what else must not be searched with it: people, scenes or longer videos it comes from.

    Raises:
        FeatureError: if the features are empty, not two-dimensional or not finite.
    """

    features: Tensor
    seconds_per_step: float
    label: str
    video_id: str
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_features(self.features, f"query {self.video_id!r}")
        check_step(self.seconds_per_step, self.video_id)

    @property
    def num_steps(self) -> int:
        return len(self.features)

    @property
    def duration_s(self) -> float:
        return self.num_steps * self.seconds_per_step

    def unlabelled(self) -> Query:
        """The same clip as a system may see it: without its class."""
        return changed(self, label="")


@dataclass(frozen=True)
class Reference:
    """An untrimmed video and the action instances annotated in it.

    Args:
        features: ``[num_steps, F]`` float32.
        seconds_per_step: duration of one step in seconds.
        segments: start and end of every instance in seconds, ``[G, 2]`` float64.
        labels: the class of every instance.
        video_id: an identifier, unique within a data set.
        sources: ids of the videos this one was cut from or made of, and of what else it shares with others:
            people or scenes; empty where it is one whole video.
        offset_s: where it begins in the video it was cut from, in seconds.
        cut_from: id of the one video that this is a part of; empty where it is whole, or composed.
        joins: where a composed reference was put together, in steps; only audit rows are told.

    Raises:
        FeatureError: if the features are empty, not two-dimensional or not finite.
        SegmentError: if an instance is empty, reversed or outside the video.
    """

    features: Tensor
    seconds_per_step: float
    segments: Tensor
    labels: tuple[str, ...]
    video_id: str
    sources: tuple[str, ...] = ()
    offset_s: float = 0.0
    cut_from: str = ""
    joins: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_features(self.features, f"reference {self.video_id!r}")
        self._check_annotations()

    def _check_annotations(self) -> None:
        check_step(self.seconds_per_step, self.video_id)
        segments = torch.as_tensor(self.segments, dtype=torch.float64).reshape(-1, 2)
        if len(segments) != len(self.labels):
            raise DataError(
                f"Reference {self.video_id!r} has {len(segments)} segments but {len(self.labels)} labels"
            )
        check_segments(segments, self.duration_s, what=f"annotation of {self.video_id!r}")
        object.__setattr__(self, "segments", segments)

    @property
    def num_steps(self) -> int:
        return len(self.features)

    @property
    def duration_s(self) -> float:
        return self.num_steps * self.seconds_per_step

    def segments_of(self, label: str) -> Tensor:
        """Instances of one class in seconds, ``[G', 2]``."""
        return self.segments[[i for i, other in enumerate(self.labels) if other == label]]

    def steps_of(self, label: str) -> Tensor:
        """Instances of one class in steps, ``[G', 2]`` int64."""
        return seconds_to_steps(self.segments_of(label), self.seconds_per_step, self.num_steps)

    def unannotated(self) -> Reference:
        """The same video as a system may see it: without its instances."""
        return changed(self, segments=torch.empty(0, 2, dtype=torch.float64), labels=(), joins=())

    def shares_source(self, query: Query) -> bool:
        """Whether any video, person or scene of the query is in this video too."""
        return not {self.video_id, *self.sources}.isdisjoint((query.video_id, *query.sources))


class _Stored:
    """What clips have in common whose features are read whenever they are asked for."""

    stored: LazyFeatures
    seconds_per_step: float
    video_id: str

    def __init__(self, stored: LazyFeatures, seconds_per_step: float, video_id: str, **about: object) -> None:
        vars(self).update(stored=stored, seconds_per_step=seconds_per_step, video_id=video_id, **about)
        if stored.num_steps < 1:
            raise FeatureError(f"Expected features of {self._name} with at least one step (got 0)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stored!r}, {self.video_id!r})"

    @property
    def _name(self) -> str:
        return f"{'query' if isinstance(self, Query) else 'reference'} {self.video_id!r}"

    @property
    def features(self) -> Tensor:
        return check_features(self.stored.read(), self._name)

    @property
    def num_steps(self) -> int:
        return self.stored.num_steps


class StoredQuery(_Stored, Query):
    """A :class:`Query` whose features are read whenever they are asked for, and checked then."""

    def __init__(
        self,
        stored: LazyFeatures,
        seconds_per_step: float,
        label: str,
        video_id: str,
        sources: tuple[str, ...] = (),
    ) -> None:
        super().__init__(stored, seconds_per_step, video_id, label=label, sources=sources)
        check_step(seconds_per_step, video_id)


class StoredReference(_Stored, Reference):
    """A :class:`Reference` whose features are read whenever they are asked for, and checked then."""

    def __init__(
        self,
        stored: LazyFeatures,
        seconds_per_step: float,
        segments: Tensor,
        labels: tuple[str, ...],
        video_id: str,
        sources: tuple[str, ...] = (),
        offset_s: float = 0.0,
    ) -> None:
        about = {"segments": segments, "labels": labels, "sources": sources, "offset_s": offset_s}
        super().__init__(stored, seconds_per_step, video_id, **about)
        self._check_annotations()


@dataclass(frozen=True)
class RelocalizationSplit:
    """Queries, references, and which pairs of them are evaluated.

    Args:
        name: for example ``"train"`` or ``"test"``.
        queries: the clips.
        references: the untrimmed videos.
        pairs: ``(query index, reference index)``; the reference holds the query's class. Unless a published
            protocol says otherwise, it shares no source video with it.
        absent: pairs whose reference does *not* hold the query's class, to tell whether a system knows.

    Raises:
        DataError: if a pair points outside the lists, its reference lacks the query's class, or that of an
            absent pair holds it.
    """

    name: str
    queries: Sequence[Query]
    references: Sequence[Reference]
    pairs: Sequence[tuple[int, int]]
    absent: Sequence[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        for index, (q, r) in enumerate([*self.pairs, *self.absent]):
            if not (0 <= q < len(self.queries) and 0 <= r < len(self.references)):
                raise DataError(f"Pair {index} of split {self.name!r} points outside its lists: {(q, r)}")
            holds = self.queries[q].label in self.references[r].labels
            if holds != (index < len(self.pairs)):
                found = "an instance" if holds else "no instance"
                raise DataError(
                    f"Pair {index} of split {self.name!r}: reference {self.references[r].video_id!r} "
                    f"holds {found} of {self.queries[q].label!r}"
                )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Classes of the queries, sorted."""
        return tuple(sorted({query.label for query in self.queries}))

    @property
    def num_features(self) -> int:
        """Width F of the features."""
        return self.queries[0].features.size(1)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Query, Reference]:
        q, r = self.pairs[index]
        return self.queries[q], self.references[r]


def changed(clip: Clip, **values: object) -> Clip:
    """A copy of a query or reference with other values; unlike ``replace`` it reads no stored features."""
    other = copy(clip)
    vars(other).update(values)
    return other


def cut(clip: Clip, start: int, stop: int) -> Clip:
    """A copy of a clip with only some of its steps, half-open; nothing is read of a stored one."""
    if isinstance(clip, (StoredQuery, StoredReference)):
        return changed(clip, stored=clip.stored.part(start, stop))
    return changed(clip, features=clip.features[start:stop])


def backwards(query: Query, velocities: slice = slice(0, 0)) -> Query:
    """The query played backwards; columns of ``velocities`` change their sign."""
    features = query.features.flip(0)
    features[:, velocities] *= -1
    return Query(features, query.seconds_per_step, query.label, query.video_id, query.sources)


def another_class(split: RelocalizationSplit) -> list[Query]:
    """For each pair of a split, a query of another class than the pair's own.

    What a system still finds with it, it finds by where actions begin and end, not by which is meant. Query
    ``i`` is exchanged for the first of another class, counted round from half the queries on. A split of one
    class is a :class:`DataError`.
    """
    count = len(split.queries)
    others: dict[int, Query] = {}
    for index in {query for query, _ in split.pairs}:
        label = split.queries[index].label
        turned = (split.queries[(count // 2 + index + step) % count] for step in range(count))
        other = next((query for query in turned if query.label != label), None)
        if other is None:
            raise DataError(
                f"Split {split.name!r} holds one class only, {label!r}: there is no query of another class"
            )
        others[index] = other
    return [others[query] for query, _ in split.pairs]


def check_features(features: Tensor, what: str, width: int | None = None) -> Tensor:
    """Return ``features [num_steps, F]`` unchanged, or raise :class:`FeatureError` saying what is wrong."""
    if features.dim() != 2 or features.size(0) == 0 or features.size(1) == 0:
        raise FeatureError(
            f"Expected features of {what} as [num_steps, F] with at least one step "
            f"(got shape {tuple(features.shape)})"
        )
    if width is not None and features.size(1) != width:
        raise FeatureError(f"Expected features of {what} with F = {width} (got F = {features.size(1)})")
    if not torch.isfinite(features).all():
        step = int((~torch.isfinite(features)).any(1).nonzero()[0, 0])
        raise FeatureError(f"Features of {what} hold NaN or infinite values, first at step {step}")
    return features


def check_step(seconds_per_step: float, what: str) -> None:
    """Raise :class:`DataError` unless ``seconds_per_step`` is positive and finite."""
    if not 0 < seconds_per_step < float("inf"):
        raise DataError(f"Expected positive seconds_per_step of {what!r} (got {seconds_per_step})")
