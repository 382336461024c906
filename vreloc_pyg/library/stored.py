"""Features of a library, as the stages below it read features."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.library.library import Library


class LibraryStore(FeatureStore):
    """A library as a feature store: its videos by the names that it knows them by."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._entries = {entry.name: entry for entry in library.entries()}
        super().__init__(library.folder, library.metadata)

    def ids(self) -> list[str]:
        return sorted(self._entries)

    def _find(self, video_id: str) -> str | None:
        return video_id if video_id in self._entries else None

    def _shape(self, key: str) -> tuple[int, int]:
        entry = self._entries[key]
        return entry.num_steps, self.metadata.dim or self._library.read(entry, 0, 1).size(1)

    def _rows(self, key: str, start: int, stop: int) -> NDArray[Any]:
        found = self._library.read(self._entries[key], start, stop).numpy()
        if self.metadata.dim not in (None, found.shape[1]):
            raise DataError(f"{key} has features of width {found.shape[1]}, not {self.metadata.dim}")
        return found

    def frame_rate(self, video_id: str) -> float | None:
        frames = self.metadata.frames_per_step
        return None if frames is None else frames / self._entries[self._key(video_id)].seconds_per_step
