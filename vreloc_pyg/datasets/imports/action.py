"""What is read from another tool's file: actions, and the frame rates that turn frames into seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from vreloc_pyg.datasets.reading import Notes
from vreloc_pyg.errors import DataError
from vreloc_pyg.video.facts import VideoFacts, read_facts

#: Largest file of annotations that is read, in bytes.
LARGEST = 256 * 2**20
_SUFFIX = re.compile(r"\.(?=\w*[A-Za-z])\w{2,5}$")
_UPLOADED = re.compile(r"(/data/upload/.*/)[0-9a-f]{8}-([^/]+)$")


class Action(NamedTuple):
    """A labelled stretch of a video.

    Args:
        video: the file's name, without folder and suffix.
        start_s, end_s: in seconds.
        label: what is shown.
    """

    video: str
    start_s: float
    end_s: float
    label: str


@dataclass
class Reading:
    """A file that is being read.

    Args:
        path: the file.
        rate: frames per second of videos of which nothing else says it.
        videos: folder where videos are looked for that say it.
        notes: what was left out.
        actions: those read so far.
    """

    path: Path
    rate: Fraction | None = None
    videos: Path | None = None
    notes: Notes = field(default_factory=Notes)
    actions: list[Action] = field(default_factory=list)
    _facts: dict[str, VideoFacts] = field(default_factory=dict)

    def add(self, video: str, start_s: float, end_s: float, label: object, where: str) -> None:
        """One more action; :class:`DataError` with its place if it is none."""
        text = " ".join(str(label).split())
        if not (math.isfinite(start_s) and math.isfinite(end_s) and 0 <= start_s < end_s):
            raise DataError(f"{self.path}, {where}: the stretch [{start_s:g}, {end_s:g}] s is none")
        if not text:
            self.notes.add("stretches without a label, left out", f"{self.path}, {where}")
            return
        self.actions.append(Action(video_id(video), start_s, end_s, text))

    def add_frames(self, video: str, frames: tuple[float, float], label: object, where: str) -> None:
        """One more action of frames ``[first, stop)``."""
        facts = self.facts(video)
        self.add(video, facts.seconds(frames[0]), facts.seconds(frames[1]), label, where)

    def facts(self, video: str) -> VideoFacts:
        """Of a video, from its file, or with the rate that is given.

        Raises:
            DataError: if nobody knows the rate.
        """
        if video not in self._facts:
            self._facts[video] = self._find(video)
        return self._facts[video]

    def _find(self, video: str) -> VideoFacts:
        if self.rate is not None:
            return VideoFacts(self.rate)
        place = local_path(video)
        if place.is_file():
            return read_facts(place)
        if self.videos is not None:
            wanted = video_id(video)
            for found in sorted(self.videos.rglob("*")):
                if found.is_file() and video_id(found.name) == wanted:
                    return read_facts(found)
        raise DataError(
            f"{self.path} counts frames of {video_id(video)!r} and does not say how many there are in a "
            "second: give the frame rate, or the folder of the videos"
        )

    def number(self, value: Any, where: str) -> float:
        """A finite number, or a :class:`DataError` with its place."""
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise DataError(f"{self.path}, {where}: expected a number (got {value!r})")
        return found

    def bad(self, where: str, what: str) -> DataError:
        """An error with its place."""
        return DataError(f"{self.path}, {where}: {what}")


def local_path(video: str) -> Path:
    """The path of a video given as a path or a ``file:`` address."""
    parts = _address(video)
    return Path(unquote(parts.path)) if parts is not None and parts.scheme == "file" else Path(video)


def _address(video: str) -> SplitResult | None:
    """The parts of an address; ``None`` of what is none, such as a path, with a drive or without."""
    try:
        return urlsplit(video) if re.match(r"\w{2,}:", video) else None
    except ValueError:  # such as "http://["
        return None


def video_id(video: str) -> str:
    """The name of a video, of its path or address: without folders, and without the suffix of a file.

    Example:
        >>> video_id("/data/upload/7/1a2b3c4d-kitchen_1.mp4"), video_id("v_1.5")
        ('kitchen_1', 'v_1.5')
    """
    text = _UPLOADED.sub(r"\1\2", video)
    if (parts := _address(text)) is not None:
        text = unquote(parts.query.rpartition("=")[2] or parts.path or parts.netloc)
    name = re.split(r"[/\\]", text)[-1]
    return _SUFFIX.sub("", name) or name
