"""Proposals that were computed elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_lines
from vreloc_pyg.proposals.lists import VideoProposals, read_proposal_list, read_thumos_list
from vreloc_pyg.proposals.saved import load_network_proposals
from vreloc_pyg.proposals.source import ProposalSource, Video, origin
from vreloc_pyg.segments import clip_segments


class ListedProposals:
    """The proposals of a list, as a source.

    A reference that was cut from a longer video gets those of the video that lie in it.

    Args:
        videos: by video id; a leading ``v_`` does not matter.
        durations_s: durations in seconds of the whole videos, for references that are a part of one.
    """

    def __init__(
        self, videos: Mapping[str, VideoProposals], durations_s: Mapping[str, float] | None = None
    ) -> None:
        self.videos = {video_id.removeprefix("v_"): found for video_id, found in videos.items()}
        self.durations_s = {} if durations_s is None else durations_s

    def propose(self, video: Video) -> Tensor:
        """Listed steps, ``[M, 2]`` int64, or the whole video; :class:`DataError` if it is not listed."""
        source = origin(video)
        found = self.videos.get(source.removeprefix("v_"))
        if found is None:
            raise DataError(f"The proposal list has no video {source!r}")
        whole = video.num_steps * video.seconds_per_step if source == video.video_id else None
        seconds = found.seconds(self.durations_s.get(source, whole)) - video.offset_s
        duration_s = video.num_steps * video.seconds_per_step
        inside = seconds[(seconds[:, 1] > 0) & (seconds[:, 0] < duration_s)]
        steps = clip_segments(inside / video.seconds_per_step, video.num_steps, 1.0).round().long()
        steps[:, 1] = torch.maximum(steps[:, 1], steps[:, 0] + 1)
        if len(steps) == 0:
            return torch.tensor([[0, video.num_steps]])
        return torch.tensor(list(dict.fromkeys(map(tuple, steps.tolist()))))

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for video_id, found in sorted(self.videos.items()):
            digest.update(f"{video_id} {found.num_frames} {found.frame_rate}".encode())
            digest.update(found.bounds.numpy().tobytes())
        return f"list {digest.hexdigest()} {sorted(self.durations_s.items())}"


def load_proposals(
    path: str | Path,
    durations_s: Mapping[str, float] | None = None,
    frame_rates: Mapping[str, float] | float = 1.0,
) -> ProposalSource:
    """The source at a path: a saved network, or a list in either layout; :class:`DataError` if it is none.

    Args:
        path: a folder, see :func:`.load_network_proposals`, or a text file.
        durations_s: see :class:`ListedProposals`.
        frame_rates: of a list of ``video start end``; 1 where it is in seconds.
    """
    path = Path(path)
    if path.is_dir():
        return load_network_proposals(path)
    ours = any(line.lstrip().startswith("#") for _, line in read_lines(path)[:1])
    found = read_proposal_list(path) if ours else read_thumos_list(path, frame_rates)
    return ListedProposals(found, durations_s)
