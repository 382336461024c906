"""What a query or a reference may be: a video, a file of features, or the name of a video in a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError, VideoError
from vreloc_pyg.features.metadata import FeatureMetadata, check_metadata
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.features.store.directory import read_features
from vreloc_pyg.segments import seconds_to_steps
from vreloc_pyg.video.decoding import video_duration
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.feature_cache import FeatureCache, VideoFeatures
from vreloc_pyg.video.place import Place

#: Called with a file's name, the frames read since the last call, and how many there are, if that is known.
Progress = Callable[[str, int, int | None], object]


@dataclass
class Sources:
    """Reads features of whatever is named.

    Args:
        extractor: makes the network for videos, the first time that one is read.
        cache: of features of videos.
        trained_on: what features must have been made with, if that is known.
        store: features of videos by name.
        seconds_per_step: duration of a step of a file, and of a store that does not say.
        progress: called with the file, frames that were read since the last call, and how many there are.
    """

    extractor: Callable[[], VideoExtractor]
    cache: FeatureCache
    trained_on: FeatureMetadata | None = None
    store: FeatureStore | None = None
    seconds_per_step: float | None = None
    progress: Progress | None = None

    def check_person(self, source: str | Path, person: Place | None) -> None:
        """Raise :class:`DataError` or :class:`SettingsError` where nobody can be chosen in a source."""
        if person is None:
            return
        if is_features(source) or self._is_stored(source):
            raise DataError(f"{source} holds features: the person at {person} can be chosen in a video only")
        self._network.following(person)

    def read(
        self,
        source: str | Path,
        start_s: float = 0.0,
        end_s: float | None = None,
        person: Place | None = None,
    ) -> VideoFeatures:
        """Features of a part of a source; by default all of it, and of whoever moves most.

        Raises:
            VideoError: if a video cannot be read, or lacks the part.
            DataError: if there is nothing of that name, or nobody says how long its steps last.
            FeatureError: if they were made in another way than those the model was trained on.
        """
        if is_features(source):
            return self._part(read_features(source), self._step(), source, start_s, end_s)
        if self._is_stored(source):
            assert self.store is not None
            self._check(self.store.metadata, f"the features of {self.store.path}")
            rate, frames = self.store.frame_rate(str(source)), self.store.metadata.frames_per_step
            step_s = self._step() if rate is None or frames is None else frames / rate
            return self._part(self.store.read(str(source)), step_s, source, start_s, end_s)
        network = self._network if person is None else self._network.following(person)
        return extract_video(
            source, network, start_s, end_s, self.cache, progress=self._told(source, start_s, end_s)
        )

    def _told(
        self, source: str | Path, start_s: float, end_s: float | None
    ) -> Callable[[int], object] | None:
        """What is called with frames of one source."""
        tell = self.progress
        if tell is None:
            return None
        until = video_duration(source) if end_s is None else end_s
        total = None if until is None else round((until - start_s) * self._network.frame_rate)
        return lambda frames: tell(Path(source).name, frames, total)

    def lasting(self, source: str | Path) -> float | None:
        """Duration of a source in seconds as far as it is known without reading all of it.

        Raises:
            VideoError, DataError: if there is nothing to be read.
        """
        if is_features(source) or self._is_stored(source):
            return None
        if self.store is not None and not Path(source).exists():
            close = get_close_matches(str(source), self.store.ids(), 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise DataError(f"There is no file {source}, and {self.store.path} holds no such video{hint}")
        return video_duration(source)

    def made_with(self, source: str | Path) -> FeatureMetadata:
        """What the features of a source were made with, as far as that is known."""
        if is_features(source):
            return FeatureMetadata()
        if self._is_stored(source):
            assert self.store is not None
            return self.store.metadata
        return self._network.metadata

    @cached_property
    def _network(self) -> VideoExtractor:
        network = self.extractor()
        self._check(network.metadata, f"features of {network.name}")
        return network

    def _is_stored(self, source: str | Path) -> bool:
        return self.store is not None and not Path(source).is_file() and str(source) in self.store

    def _check(self, metadata: FeatureMetadata, what: str) -> None:
        if self.trained_on is not None:
            check_metadata(self.trained_on, metadata, what)

    def _step(self) -> float:
        if self.seconds_per_step is None:
            raise DataError("Nobody says how long a step of these features lasts: give --seconds-per-step")
        if not 0 < self.seconds_per_step < float("inf"):
            raise DataError(f"Expected positive seconds_per_step (got {self.seconds_per_step})")
        return self.seconds_per_step

    def _part(
        self, features: Tensor, step_s: float, source: str | Path, start_s: float, end_s: float | None
    ) -> VideoFeatures:
        lasting = len(features) * step_s
        end_s = lasting if end_s is None else end_s
        if start_s > 0 or end_s < lasting:
            if not 0 <= start_s < end_s or start_s >= lasting:
                raise VideoError(
                    f"{source} lasts {lasting:g} s: it has no part from {start_s:g} to {end_s:g} s"
                )
            first, last = seconds_to_steps(torch.tensor([start_s, end_s]), step_s, len(features)).tolist()
            features = features[first:last]
        return VideoFeatures(features, step_s, len(features) * step_s)


def is_features(source: str | Path) -> bool:
    """Whether a source is a file of features."""
    return Path(source).suffix.lower() == ".npy"
