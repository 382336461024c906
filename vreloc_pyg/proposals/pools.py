"""The pools of proposals that SSN trains on: a diagnostic, since they know the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.proposals.source import ProposalSource, Video
from vreloc_pyg.segments import temporal_iou


@dataclass(frozen=True)
class SSNPools:
    """A sample of a source's proposals by their overlap with the annotated instances.

    Foreground has a tIoU above .7 with some instance, incomplete one below .3 while more than half of the
    proposal lies in an instance, background one below .01; they are drawn 1 : 1 : 6
    (https://github.com/yjxiong/action-detection, SSN's training). Few wrong candidates are left that look
    right, so a table on these pools says how much of a result is owed to the choice of candidates. It is
    never a result: candidates are chosen by the answers.

    Args:
        source: the proposals.
        answers: annotated instances of every video in seconds, ``[G, 2]``.
        size: how many are drawn, a multiple of 8; pools with fewer give all they have.
        seed: decides the draw with the video's id.
    """

    source: ProposalSource
    answers: Mapping[str, Tensor]
    size: int = 64
    seed: int = 0

    def propose(self, video: Video) -> Tensor:
        """Drawn proposals, ``[M, 2]`` int64; all of the source's where pools are empty."""
        windows = self.source.propose(video)
        instances = self.answers.get(video.video_id)
        if instances is None or len(instances) == 0:
            return windows
        instances = instances / video.seconds_per_step
        spans = windows.double()
        overlap = temporal_iou(spans, instances)  # [M, G]
        best = overlap.amax(1)
        starts = torch.maximum(spans[:, None, 0], instances[None, :, 0])
        inside = (torch.minimum(spans[:, None, 1], instances[None, :, 1]) - starts).clamp(min=0).amax(1)
        covered = inside / (spans[:, 1] - spans[:, 0])
        pools = (best > 0.7, (best < 0.3) & (covered > 0.5), best < 0.01)
        digest = hashlib.sha256(f"{self.seed} {video.video_id}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        drawn = []
        for pool, share in zip(pools, (1, 1, 6), strict=True):
            members = pool.nonzero().flatten().numpy()
            count = min(len(members), share * self.size // 8)
            drawn.append(np.sort(rng.choice(members, count, replace=False)))
        chosen = np.unique(np.concatenate(drawn))
        return windows[torch.from_numpy(chosen)] if len(chosen) else windows

    def fingerprint(self) -> str:
        """The source's, and the settings."""
        return f"pools {self.size} {self.seed} of {self.source.fingerprint()}"
