"""Where candidate segments come from."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Video(Protocol):
    """What a source of proposals may look at; a :class:`~vreloc_pyg.datasets.Reference` is one."""

    @property
    def video_id(self) -> str:
        """An identifier, unique within a data set."""

    @property
    def cut_from(self) -> str:
        """Id of the video that it is a part of; empty where it is whole."""

    @property
    def offset_s(self) -> float:
        """Where it begins in the video it was cut from, in seconds."""

    @property
    def num_steps(self) -> int:
        """Length in steps."""

    @property
    def seconds_per_step(self) -> float:
        """Duration of a step in seconds."""

    @property
    def features(self) -> Tensor:
        """``[num_steps, F]`` float32."""


def origin(video: Video) -> str:
    """Id of the video that a reference was cut from; its own where it was not cut from one."""
    return video.cut_from or video.video_id


class ProposalSource(Protocol):
    """Anything that proposes candidate segments of a video."""

    def propose(self, video: Video) -> Tensor:
        """Distinct candidates: half-open step intervals in the video, ``[M, 2]`` int64, at least one."""

    def fingerprint(self) -> str:
        """Everything that decides the candidates of a video, as text: equal texts, equal candidates."""
