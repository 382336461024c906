"""What every feature store does: read rows of a video when they are asked for, and keep some of them."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError, VrelocError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.files import parse_json
from vreloc_pyg.settings import settings_from_dict

#: The most that a store keeps in memory.
CACHE_BYTES = 2**28


class ByteCache:
    """The most recently used arrays, as many as fit into ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._arrays: OrderedDict[object, Tensor] = OrderedDict()

    def get(self, key: object) -> Tensor | None:
        """The tensor of a key, or ``None``."""
        found = self._arrays.get(key)
        if found is not None:
            self._arrays.move_to_end(key)
        return found

    def put(self, key: object, value: Tensor) -> None:
        """Keep a tensor, unless it alone is larger than the cache."""
        if value.nbytes > self.max_bytes or key in self._arrays:
            return
        self._arrays[key] = value
        self.num_bytes += value.nbytes
        while self.num_bytes > self.max_bytes:
            _, dropped = self._arrays.popitem(last=False)
            self.num_bytes -= dropped.nbytes


class FeatureStore(ABC):
    """Features of many videos in the file or folder ``path``, read when they are asked for."""

    def __init__(self, path: str | Path, metadata: FeatureMetadata) -> None:
        self.path = Path(path)
        self.metadata = metadata
        self._refresh()

    def _refresh(self) -> None:
        """Forget what belongs to another process."""
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._cache = ByteCache(CACHE_BYTES)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("_lock", "_cache")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._refresh()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def __contains__(self, video_id: str) -> bool:
        return self._find(video_id) is not None

    def __len__(self) -> int:
        return len(self.ids())

    @abstractmethod
    def ids(self) -> list[str]:
        """Ids of the videos, sorted."""

    @abstractmethod
    def _find(self, video_id: str) -> str | None:
        """The key of a video in the file, or ``None``."""

    @abstractmethod
    def _shape(self, key: str) -> tuple[int, int]:
        """Steps and width of a video, without reading its features."""

    @abstractmethod
    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        """Rows of a video."""

    def frame_rate(self, video_id: str) -> float | None:
        """Frames per second that the extractor saw of a video, where it is known."""
        return self.metadata.frame_rate

    @cached_property
    def num_features(self) -> int:
        """F; of the first video where the metadata does not say."""
        return self.metadata.dim or self._shape(self._key(self.ids()[0]))[1]

    def num_steps(self, video_id: str) -> int:
        """Length of a video in steps, without reading its features."""
        return self._shape(self._key(video_id))[0]

    def width(self, video_id: str) -> int:
        """F of a video, without reading its features."""
        return self._shape(self._key(video_id))[1]

    def missing(self, video_ids: Iterable[str]) -> list[str]:
        """Those of the videos that the store lacks, sorted."""
        return sorted({video_id for video_id in video_ids if video_id not in self})

    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Steps ``start`` to ``stop`` of a video, ``[n, F]`` float32; the caller may change them.

        Raises:
            DataError: if the store lacks the video, or its file is damaged.
            FeatureError: if steps lie outside the video, are not finite, or of another width than others.
        """
        if os.getpid() != self._process:
            self._refresh()
        key = self._key(video_id)
        with self._lock:
            num_steps, width = self._shape(key)
            stop = num_steps if stop is None else stop
            if not 0 <= start < stop <= num_steps:
                raise FeatureError(
                    f"Expected steps of {video_id!r} in {self.path} within [0, {num_steps}] "
                    f"(got [{start}, {stop}))"
                )
            if width != self.num_features:
                raise FeatureError(
                    f"Expected F = {self.num_features} for {video_id!r} in {self.path} (got {width})"
                )
            found = self._cache.get((key, start, stop))
            if found is None:
                rows = self._rows(key, start, stop).reshape(stop - start, width)
                with np.errstate(over="ignore"):  # what is too large for float32 is infinite there
                    array = np.ascontiguousarray(rows, dtype=np.float32)
                found = torch.from_numpy(array)
                if not torch.isfinite(found).all():
                    step = start + int((~torch.isfinite(found)).any(1).nonzero()[0, 0])
                    raise FeatureError(
                        f"Features of {video_id!r} in {self.path} hold NaN or infinite values, at step {step}"
                    )
                self._cache.put((key, start, stop), found)
            return found.clone()

    def _key(self, video_id: str) -> str:
        key = self._find(video_id)
        if key is None:
            raise DataError(f"The feature store {self.path} has no video {video_id!r}")
        return key

    def _check_shape(self, shape: tuple[int, ...], kind: str, what: str) -> tuple[int, int]:
        """Steps and width of an array; an error unless it is a matrix of numbers with at least one row.

        Joints ``[num_steps, J, 2]`` or ``[num_steps, J, 3]`` count as a matrix of 2 or 3 J columns.
        """
        if len(shape) == 3 and shape[2] in (2, 3):
            shape = shape[0], shape[1] * shape[2]
        if len(shape) != 2 or 0 in shape or kind not in "fiu":
            raise FeatureError(
                f"Expected {what} in {self.path} as a matrix [num_steps, F] of numbers with a step "
                f"(got shape {shape})"
            )
        return shape[0], shape[1]


@dataclass(frozen=True)
class FeatureSlice:
    """Half-open steps of a stored video, read when they are asked for."""

    store: FeatureStore
    video_id: str
    start: int
    stop: int

    @property
    def num_steps(self) -> int:
        return self.stop - self.start

    def read(self) -> Tensor:
        """``[num_steps, F]`` float32."""
        return self.store.read(self.video_id, self.start, self.stop)

    def part(self, start: int, stop: int) -> FeatureSlice:
        """Some of these steps."""
        return FeatureSlice(self.store, self.video_id, self.start + start, self.start + stop)


def read_metadata(text: str, path: str | Path) -> FeatureMetadata:
    """Metadata as JSON, of ``path`` or :class:`DataError`."""
    try:
        return settings_from_dict(FeatureMetadata, parse_json(text, path))
    except (VrelocError, TypeError, AttributeError) as error:
        raise DataError(f"Cannot read the feature metadata of {path}: {error}") from None
