"""Proposal lists: the layout of SSN's released files, and THUMOS's ``video start end``.

A list of SSN (https://github.com/yjxiong/action-detection) holds for every video

.. code-block:: text

    # 1
    video_id
    number of frames          (1 in normalised lists)
    frames per second         (1 in normalised lists)
    number of instances
    label start end           (a line for each instance)
    number of proposals
    label iou overlap start end

where ``iou`` is the proposal's best tIoU with an instance, ``overlap`` the share of the proposal that this
instance covers, and ``label`` the instance's; 0 where the proposal touches none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.files import read_lines, write_text
from vreloc_pyg.segments import temporal_iou


@dataclass(frozen=True)
class VideoProposals:
    """The proposals of one video.

    Args:
        video_id: without folders.
        bounds: starts and ends, ``[M, 2]`` float64, in frames, or as shares of the video's duration.
        num_frames, frame_rate: of the list; both 1 where bounds are shares.
        instances, labels: the annotated segments in the same unit, ``[G, 2]``, and their classes as written.
        num_empty: further ones that are empty or reversed, which nothing can find.
        matches: best tIoU and covered share of each proposal as written, ``[M, 2]``; ``None``: not written.
    """

    video_id: str
    bounds: Tensor
    num_frames: float = 1.0
    frame_rate: float = 1.0
    instances: Tensor = field(default_factory=lambda: torch.empty(0, 2, dtype=torch.float64))
    labels: tuple[str, ...] = ()
    matches: Tensor | None = None
    num_empty: int = 0

    def seconds(self, duration_s: float | None = None) -> Tensor:
        """Bounds in seconds, ``[M, 2]``; where they are shares of the duration it must be given."""
        if not self.num_frames == self.frame_rate == 1:
            return self.bounds / self.frame_rate
        if duration_s is None:
            raise DataError(f"The proposals of {self.video_id!r} are shares of a duration that is not known")
        return self.bounds * duration_s

    def computed_matches(self) -> tuple[Tensor, Tensor]:
        """Best tIoU and covered share ``[M, 2]``, and the index of the instance, -1 for none, ``[M]``."""
        if len(self.instances) == 0:
            return torch.zeros(len(self.bounds), 2, dtype=torch.float64), torch.full((len(self.bounds),), -1)
        best, index = temporal_iou(self.bounds, self.instances).max(dim=1)
        chosen = self.instances[index]
        start, end = self.bounds.unbind(1)
        shared = torch.minimum(end, chosen[:, 1]) - torch.maximum(start, chosen[:, 0])
        covered = shared.clamp(min=0) / (end - start)
        return torch.stack([best, covered], dim=1), torch.where(best > 0, index, -1)


class _Lines:
    """The lines of a list, taken one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = [(number, line.split()) for number, line in read_lines(path)]
        self.next = 0

    def left(self) -> bool:
        return self.next < len(self.lines)

    def take(self, what: str) -> tuple[int, list[str]]:
        """Number and words of the next line."""
        if not self.left():
            last = self.lines[-1][0] if self.lines else 0
            raise DataError(f"{self.path}, line {last}: the list is cut off, expected {what}")
        self.next += 1
        return self.lines[self.next - 1]

    def numbers(self, what: str, count: int) -> tuple[int, list[float]]:
        """Number of the next line, and the numbers it holds."""
        number, words = self.take(what)
        return number, self.parsed(number, words, what, count)

    def parsed(self, number: int, words: list[str], what: str, count: int) -> list[float]:
        """So many finite numbers of words of a line."""
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(abs(value) < float("inf") for value in values):
            raise DataError(f"{self.path}, line {number}: expected {what} (got {' '.join(words)!r})")
        return values

    def count(self, what: str) -> int:
        """A number that is whole and not negative."""
        number, (value,) = self.numbers(what, 1)
        if value < 0 or value != int(value):
            raise DataError(f"{self.path}, line {number}: expected {what} (got {value:g})")
        return int(value)

    def segment(self, number: int, start: float, end: float) -> tuple[float, float]:
        if not 0 <= start < end:
            raise DataError(
                f"{self.path}, line {number}: the segment [{start:g}, {end:g}] is empty, reversed or negative"
            )
        return start, end


def read_proposal_list(path: str | Path) -> dict[str, VideoProposals]:
    """Read a list in SSN's layout; :class:`DataError` with the line of what is wrong."""
    lines = _Lines(Path(path))
    if not lines.left():
        raise DataError(f"The proposal list {path} is empty")
    videos: dict[str, VideoProposals] = {}
    while lines.left():
        number, words = lines.take("#")
        if not words[0].startswith("#"):
            raise DataError(f"{path}, line {number}: expected # and a number (got {' '.join(words)!r})")
        number, words = lines.take("a video id")
        video_id = words[0].rstrip("/").rsplit("/", 1)[-1]
        if video_id in videos:
            raise DataError(f"{path}, line {number}: the video {video_id!r} is there twice")
        at, (frames,) = lines.numbers("a number of frames", 1)
        _, (rate,) = lines.numbers("frames per second", 1)
        if frames <= 0 or rate <= 0:
            raise DataError(f"{path}, line {at}: expected positive frames and frames per second")
        instances, labels, bounds, matches = [], [], [], []
        num_empty = 0
        for _ in range(lines.count("a number of instances")):
            number, (label, start, end) = lines.numbers("an instance: label start end", 3)
            if not start < end:  # released lists hold a few
                num_empty += 1
                continue
            instances.append(lines.segment(number, start, end))
            labels.append(f"{label:g}")
        for _ in range(lines.count("a number of proposals")):
            what = "a proposal: label iou overlap start end"
            number, (_, iou, overlap, start, end) = lines.numbers(what, 5)
            bounds.append(lines.segment(number, start, end))
            matches.append((iou, overlap))
        videos[video_id] = VideoProposals(
            video_id,
            torch.tensor(bounds, dtype=torch.float64).reshape(-1, 2),
            frames,
            rate,
            torch.tensor(instances, dtype=torch.float64).reshape(-1, 2),
            tuple(labels),
            torch.tensor(matches, dtype=torch.float64).reshape(-1, 2),
            num_empty,
        )
    return videos


def write_proposal_list(path: str | Path, videos: Iterable[VideoProposals]) -> Path:
    """Write a list in SSN's layout, whole or not at all; matches are computed.

    Labels that are no numbers are written as the rank of their name among all, from 1.
    """
    videos = list(videos)
    names = sorted({label for video in videos for label in video.labels})
    numeric = all(label.replace(".", "", 1).isdigit() for label in names)
    codes = {label: label if numeric else str(rank) for rank, label in enumerate(names, start=1)}
    lines: list[str] = []
    for index, video in enumerate(videos, start=1):
        lines += [f"# {index}", video.video_id, f"{video.num_frames:g}", f"{video.frame_rate:g}"]
        lines.append(str(len(video.instances)))
        lines += [
            f"{codes[label]} {start:.4f} {end:.4f}"
            for label, (start, end) in zip(video.labels, video.instances.tolist(), strict=True)
        ]
        matches, owners = video.computed_matches()
        lines.append(str(len(video.bounds)))
        for (start, end), (iou, overlap), owner in zip(
            video.bounds.tolist(), matches.tolist(), owners.tolist(), strict=True
        ):
            label = "0" if owner < 0 else codes[video.labels[owner]]
            lines.append(f"{label} {iou:.4f} {overlap:.4f} {start:.4f} {end:.4f}")
    return write_text(path, "\n".join(lines) + "\n")


def read_thumos_list(
    path: str | Path, frame_rates: Mapping[str, float] | float = 1.0
) -> dict[str, VideoProposals]:
    """Read lines of ``video start end``, and a score that is ignored where there is a fourth word.

    Args:
        path: the file.
        frame_rates: frames per second, of every video, or one of all; 1 where the list is in seconds.
    """
    lines = _Lines(Path(path))
    found: dict[str, list[tuple[float, float]]] = {}
    while lines.left():
        number, words = lines.take("video start end")
        start, end = lines.parsed(number, words[1:3], "video start end", 2)
        bounds = found.setdefault(words[0], [])
        if start != end:  # released lists hold a few of no length, which can match nothing
            bounds.append(lines.segment(number, start, end))
    if not found:
        raise DataError(f"The proposal list {path} is empty")
    rates = dict.fromkeys(found, frame_rates) if isinstance(frame_rates, (int, float)) else frame_rates
    missing = sorted(set(found) - set(rates))
    if missing:
        raise DataError(f"{path}: {len(missing)} videos have no frame rate, first {missing[0]!r}")
    return {
        video: VideoProposals(
            video, torch.tensor(bounds, dtype=torch.float64).reshape(-1, 2), float("nan"), float(rates[video])
        )
        for video, bounds in found.items()
    }
