"""Proposals kept on disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.proposals.source import ProposalSource, Video


class CachedProposals:
    """A source whose proposals are computed once for each video.

    A file's name is a hash of everything that made its proposals: the source's fingerprint, and the video's
    id, offset, length and features. What cannot be read back is computed again.

    Args:
        source: where proposals come from.
        folder: where they are kept; it may be shared by several sources and processes.
    """

    def __init__(self, source: ProposalSource, folder: str | Path) -> None:
        self.source = source
        self.folder = Path(folder)
        self._fingerprint = source.fingerprint()

    def propose(self, video: Video) -> Tensor:
        """The source's proposals, ``[M, 2]`` int64."""
        path = self.folder / f"{self._key(video)}.npy"
        try:
            windows = torch.from_numpy(np.load(path, allow_pickle=False))
            if windows.dim() == 2 and windows.dtype == torch.int64:
                return windows
        except (OSError, ValueError, EOFError):
            pass
        windows = self.source.propose(video)
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.stem}.{os.getpid()}.npy")
        try:
            np.save(unfinished, windows.numpy())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return windows

    def fingerprint(self) -> str:
        """The source's."""
        return self._fingerprint

    def _key(self, video: Video) -> str:
        digest = hashlib.sha256(self._fingerprint.encode())
        about = (video.video_id, video.sources, video.offset_s, video.num_steps, video.seconds_per_step)
        digest.update(repr(about).encode())
        digest.update(video.features.contiguous().numpy().tobytes())
        return digest.hexdigest()
