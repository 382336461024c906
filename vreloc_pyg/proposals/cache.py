"""Proposals kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.files import replacing
from vreloc_pyg.numpy_files import read_npy
from vreloc_pyg.proposals.source import ProposalSource, Video


class CachedProposals:
    """A source whose proposals are computed once for each video and kept in a folder, which may be shared.

    A file's name is a hash of everything that made its proposals. What cannot be read back is computed again.
    """

    def __init__(self, source: ProposalSource, folder: str | Path) -> None:
        self.source = source
        self.folder = Path(folder)
        self._fingerprint = source.fingerprint()

    def propose(self, video: Video) -> Tensor:
        """The source's proposals, ``[M, 2]`` int64."""
        path = self.folder / f"{self._key(video)}.npy"
        try:
            kept = read_npy(path)
            if kept.ndim == 2 and kept.dtype == np.int64 and _lie_in(kept, video.num_steps):
                return torch.from_numpy(np.array(kept))
        except DataError:
            pass
        windows = self.source.propose(video)
        with replacing(path) as unfinished:
            np.save(unfinished, windows.numpy())
        return windows

    def fingerprint(self) -> str:
        return self._fingerprint

    def _key(self, video: Video) -> str:
        digest = hashlib.sha256(self._fingerprint.encode())
        about = (video.video_id, video.cut_from, video.offset_s, video.num_steps, video.seconds_per_step)
        digest.update(repr(about).encode())
        digest.update(video.features.contiguous().numpy().tobytes())
        return digest.hexdigest()


def _lie_in(windows: NDArray[np.int64], num_steps: int) -> bool:
    """Whether an array ``[M, 2]`` of a file holds windows of a video; anything may lie in a shared folder."""
    if windows.shape[1] != 2 or len(windows) == 0:
        return False
    start, end = windows.T
    return bool((start >= 0).all() and (start < end).all() and (end <= num_steps).all())
