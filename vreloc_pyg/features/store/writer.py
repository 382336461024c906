"""Writing features, video by video."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store.hdf5 import FORMAT, FORMAT_KEY, HDF5Store, open_file

if TYPE_CHECKING:
    import h5py


class StoreWriter:
    """Writes our HDF5, video by video; a run that was cut off may go on where it stopped.

    The file is written beside its place and renamed when the ``with`` block ends well; until then what is
    done is kept in ``<name>.part``.

    Args:
        path: the file.
        metadata: what the features are made with.
        resume: go on with what an earlier run left.

    Raises:
        FeatureError: if what an earlier run left was made in another way.

    Example:
        >>> with StoreWriter("features.h5", FeatureMetadata("c3d", 500, 16.0)) as writer:  # doctest: +SKIP
        ...     writer.add("a_video", features, frame_rate=25.0)
    """

    def __init__(self, path: str | Path, metadata: FeatureMetadata, resume: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.metadata = metadata
        self.resume = resume
        self._file: h5py.File | None = None

    def __enter__(self) -> StoreWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            self.part.unlink(missing_ok=True)
        self._file = open_file(self.part, "a")
        about = json.dumps(self.metadata.to_dict(), sort_keys=True)
        if self._file.attrs.get("metadata", about) != about:
            self._file.close()
            raise FeatureError(f"{self.part} was begun with other features: delete it, or do not resume")
        self._file.attrs[FORMAT_KEY], self._file.attrs["metadata"] = FORMAT, about
        self._file.require_group("features")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._file is not None
        self._file.close()
        if kind is None:
            self.part.replace(self.path)

    def __contains__(self, video_id: str) -> bool:
        assert self._file is not None
        return video_id in self._file["features"]

    def add(
        self,
        video_id: str,
        features: Tensor,
        frame_rate: float | None = None,
        content: str | None = None,
    ) -> None:
        """Append a video; it appears whole or not at all.

        Args:
            video_id: its key.
            features: ``[num_steps, F]``.
            frame_rate: frames per second the extractor saw.
            content: digest of the file they were made of.

        Raises:
            FeatureError: if the features are no matrix, not finite, or of a width that the metadata deny.
            DataError: if the id is empty or holds a slash, or is there already.
        """
        assert self._file is not None
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
        if frame_rate is not None:
            unfinished.attrs["frame_rate"] = frame_rate
        if content is not None:
            unfinished.attrs["content"] = content
        group.move(".unfinished", video_id)
        self._file.flush()


def write_store(
    path: str | Path, videos: Iterable[tuple[str, Tensor]], metadata: FeatureMetadata
) -> HDF5Store:
    """Write features of videos as our HDF5, whole or not at all, and open it."""
    with StoreWriter(path, metadata) as writer:
        for video_id, features in videos:
            writer.add(video_id, features)
    return HDF5Store(path)
