"""Writing features, video by video."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store.hdf5 import FORMAT, FORMAT_KEY, HDF5Store, is_hdf5, mark_known, open_file
from vreloc_pyg.files import locked

if TYPE_CHECKING:
    import h5py


class StoreWriter:
    """Writes our HDF5, video by video.

    The file is written beside its place, as ``<name>.part``, and renamed when the ``with`` block ends well;
    a second writer of one path is refused.
    With ``resume`` a run goes on with what an earlier one left; :class:`FeatureError` if that was made in
    another way.

    Example:
        >>> with StoreWriter("features.h5", FeatureMetadata("c3d", 500, 16.0)) as writer:  # doctest: +SKIP
        ...     writer.add("a_video", features, frame_rate=25.0)
    """

    _file: h5py.File  # within the ``with`` block
    _held: ExitStack

    def __init__(self, path: str | Path, metadata: FeatureMetadata, resume: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.metadata = metadata
        self.resume = resume

    def __enter__(self) -> StoreWriter:
        with ExitStack() as held:
            held.enter_context(locked(self.part))
            if not self.resume or not is_hdf5(self.part):  # a process that was killed may leave a torn one
                self.part.unlink(missing_ok=True)
            self._file = held.enter_context(open_file(self.part, "a"))
            about = json.dumps(self.metadata.to_dict(), sort_keys=True)
            if self._file.attrs.get("metadata", about) != about:
                raise FeatureError(f"{self.part} was begun with other features: delete it, or do not resume")
            self._file.attrs[FORMAT_KEY], self._file.attrs["metadata"] = FORMAT, about
            self._file.require_group("features")
            self._held = held.pop_all()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._held:
            self._file.close()
            if kind is None:
                self.part.replace(self.path)
                mark_known(self.path)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._file["features"]

    def add(
        self, video_id: str, features: Tensor, frame_rate: float | None = None, content: str | None = None
    ) -> None:
        """Append a video; it appears whole or not at all.

        Args:
            video_id: its key, without a slash.
            features: ``[num_steps, F]``, finite, F as the metadata say; else a :class:`FeatureError`.
            frame_rate: frames per second that the extractor saw.
            content: digest of the video's file.
        """
        if not video_id or "/" in video_id or video_id in self:
            raise DataError(f"Cannot add {video_id!r} to {self.path}: empty, with a slash, or there already")
        array = features.detach().cpu().float().numpy()
        wrong = array.ndim != 2 or 0 in array.shape or self.metadata.dim not in (None, array.shape[-1])
        if wrong or not np.isfinite(array).all():
            raise FeatureError(
                f"Expected finite features of {video_id!r} as [num_steps, {self.metadata.dim or 'F'}] "
                f"(got shape {array.shape})"
            )
        group = self._file["features"]
        if ".unfinished" in group:  # of a run that was cut off
            del group[".unfinished"]
        unfinished = group.create_dataset(".unfinished", data=array)
        for key, value in (("frame_rate", frame_rate), ("content", content)):
            if value is not None:
                unfinished.attrs[key] = value
        group.move(".unfinished", video_id)
        self._file.flush()

    def copy(self, store: HDF5Store, but: Container[str] = ()) -> None:
        """Append the videos of another store, without those in ``but``."""
        for video_id in store.ids():
            if video_id not in but:
                self.add(video_id, store.read(video_id), store.frame_rate(video_id), store.content(video_id))


def write_store(
    path: str | Path, videos: Iterable[tuple[str, Tensor]], metadata: FeatureMetadata
) -> HDF5Store:
    """Write features of videos as our HDF5, whole or not at all, and open it."""
    with StoreWriter(path, metadata) as writer:
        for video_id, features in videos:
            writer.add(video_id, features)
    return HDF5Store(path)
