"""The contract every data set meets: clips, references and the pairs to evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.lazy import LazyFeatures
from vreloc_pyg.segments import check_segments, seconds_to_steps


@dataclass(frozen=True)
class Query:
    """A short clip showing one action.

    Args:
        features: ``[num_steps, F]`` float32.
        seconds_per_step: duration of one step in seconds.
        label: the action class; systems never see it.
        video_id: the video the clip was cut from, so that it is not searched in itself.

    Raises:
        FeatureError: if the features are empty, not two-dimensional or not finite.
    """

    features: Tensor
    seconds_per_step: float
    label: str
    video_id: str

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
        return replace(self, label="")


@dataclass(frozen=True)
class Reference:
    """An untrimmed video and the action instances annotated in it.

    Args:
        features: ``[num_steps, F]`` float32.
        seconds_per_step: duration of one step in seconds.
        segments: start and end of every instance in seconds, ``[G, 2]`` float64.
        labels: the class of every instance.
        video_id: an identifier, unique within a data set.
        sources: ids of the videos this one was cut from or made of; empty where it is one whole video.
        offset_s: where it begins in the video it was cut from, in seconds.

    Raises:
        FeatureError: if the features are empty, not two-dimensional or not finite.
        SegmentError: if an instance is empty, reversed or outside the video.
    """

    features: Tensor
    seconds_per_step: float
    segments: Tensor
    labels: tuple[str, ...]
    video_id: str
    sources: tuple[str, ...] = field(default=())
    offset_s: float = 0.0

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
        return replace(self, segments=torch.empty(0, 2), labels=())

    def comes_from(self, video_id: str) -> bool:
        """Whether any of this video's frames are from ``video_id``."""
        return video_id == self.video_id or video_id in self.sources


class StoredQuery(Query):
    """A query whose features are read whenever they are asked for.

    Args:
        stored: the clip's features.
        seconds_per_step, label, video_id: see :class:`Query`.

    Raises:
        FeatureError: if the clip has no steps; on reading, if its features are not finite.
    """

    stored: LazyFeatures

    def __init__(self, stored: LazyFeatures, seconds_per_step: float, label: str, video_id: str) -> None:
        _store(self, stored=stored, seconds_per_step=seconds_per_step, label=label, video_id=video_id)
        check_length(stored.num_steps, f"query {video_id!r}")
        check_step(seconds_per_step, video_id)

    def unlabelled(self) -> Query:
        return StoredQuery(self.stored, self.seconds_per_step, "", self.video_id)

    def __repr__(self) -> str:
        return f"StoredQuery({self.stored!r}, {self.label!r}, {self.video_id!r})"

    @property
    def features(self) -> Tensor:
        return check_features(self.stored.read(), f"query {self.video_id!r}", self.stored.num_features)

    @property
    def num_steps(self) -> int:
        return self.stored.num_steps


class StoredReference(Reference):
    """A reference whose features are read whenever they are asked for.

    Args:
        stored: the video's features.
        seconds_per_step, segments, labels, video_id, sources, offset_s: see :class:`Reference`.

    Raises:
        FeatureError: if the video has no steps; on reading, if its features are not finite.
        SegmentError: as :class:`Reference`.
    """

    stored: LazyFeatures

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
        _store(self, stored=stored, seconds_per_step=seconds_per_step, segments=segments, labels=labels)
        _store(self, video_id=video_id, sources=sources, offset_s=offset_s)
        check_length(stored.num_steps, f"reference {video_id!r}")
        self._check_annotations()

    def unannotated(self) -> Reference:
        identity = (self.video_id, self.sources, self.offset_s)
        return StoredReference(self.stored, self.seconds_per_step, torch.empty(0, 2), (), *identity)

    def __repr__(self) -> str:
        return f"StoredReference({self.stored!r}, {self.video_id!r})"

    @property
    def features(self) -> Tensor:
        return check_features(self.stored.read(), f"reference {self.video_id!r}", self.stored.num_features)

    @property
    def num_steps(self) -> int:
        return self.stored.num_steps


def _store(instance: object, **values: object) -> None:
    """Set fields of a frozen dataclass, as its own constructor does."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


@dataclass(frozen=True)
class RelocalizationSplit:
    """Queries, references, and which pairs of them are evaluated.

    Args:
        name: for example ``"train"`` or ``"test"``.
        queries: the clips.
        references: the untrimmed videos.
        pairs: ``(query index, reference index)``; the reference holds the query's class. Unless a published
            protocol says otherwise, it shares no source video with it.

    Raises:
        DataError: if a pair points outside the lists or its reference lacks the query's class.
    """

    name: str
    queries: Sequence[Query]
    references: Sequence[Reference]
    pairs: Sequence[tuple[int, int]]

    def __post_init__(self) -> None:
        for index, (q, r) in enumerate(self.pairs):
            if not (0 <= q < len(self.queries) and 0 <= r < len(self.references)):
                raise DataError(f"Pair {index} of split {self.name!r} points outside its lists: {(q, r)}")
            if self.queries[q].label not in self.references[r].labels:
                raise DataError(
                    f"Pair {index} of split {self.name!r}: reference {self.references[r].video_id!r} "
                    f"holds no instance of {self.queries[q].label!r}"
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


def check_length(num_steps: int, what: str) -> int:
    """Return ``num_steps`` unchanged, or raise :class:`FeatureError` unless it is positive."""
    if num_steps < 1:
        raise FeatureError(f"Expected features of {what} with at least one step (got {num_steps})")
    return num_steps


def check_step(seconds_per_step: float, what: str) -> float:
    """Return ``seconds_per_step`` unchanged, or raise :class:`DataError` unless it is positive and finite."""
    if not 0 < seconds_per_step < float("inf"):
        raise DataError(f"Expected positive seconds_per_step of {what!r} (got {seconds_per_step})")
    return seconds_per_step
