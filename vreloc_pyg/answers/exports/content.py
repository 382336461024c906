"""What an export is made of: moments, what is known of their videos, and text that every format can hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vreloc_pyg.moments import Moment
from vreloc_pyg.video.facts import VideoFacts

#: Shown where a moment has no label, in formats that need one.
UNLABELLED = "match"


@dataclass(frozen=True)
class Content:
    """What is written.

    Args:
        moments: best first.
        facts: of the videos by name, in formats that count frames; of the files that are there in others.
        about: what the moments are of, plain values.
        unlabelled: label of the moments that have none.
    """

    moments: Sequence[Moment]
    facts: Mapping[str, VideoFacts] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: str = UNLABELLED

    def label(self, moment: Moment) -> str:
        """The label of a moment, in one line."""
        return one_line(moment.label) or one_line(self.unlabelled) or UNLABELLED

    @property
    def videos(self) -> list[str]:
        """Their names, in the order of the moments."""
        return list(dict.fromkeys(moment.video for moment in self.moments))

    def of(self, video: str) -> list[Moment]:
        """The moments of one video, by time."""
        return by_time(moment for moment in self.moments if moment.video == video)


@dataclass(frozen=True)
class ExportFormat:
    """A format to write.

    Args:
        write: makes the text of a file.
        frames: it counts frames, so that frame rates must be known.
        one_video: a file of it belongs to one video.
        one_rate: all videos must have one frame rate.
        needs_size: the size of the picture must be known.
        packages: modules it is written with, of the extra ``exports``.
    """

    write: Callable[[Content], str]
    frames: bool = False
    one_video: bool = False
    one_rate: bool = False
    needs_size: bool = False
    packages: tuple[str, ...] = ()


def by_time(moments: Iterable[Moment]) -> list[Moment]:
    """Moments in the order in which they are seen."""
    return sorted(moments, key=lambda one: (one.start_s, one.end_s))


def one_line(text: str) -> str:
    """Text without line breaks, control characters and halves of characters, which no format can hold."""
    kept = (
        " " if character.isspace() else character
        for character in text
        if character.isspace()
        or not (unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffe\uffff")
    )
    return " ".join("".join(kept).split())


def lanes(moments: Iterable[tuple[float, float, Moment]]) -> list[list[tuple[float, float, Moment]]]:
    """Stretches with their moments, parted so that those of one lane do not overlap; few lanes."""
    found: list[list[tuple[float, float, Moment]]] = []
    for one in sorted(moments, key=lambda one: one[:2]):
        free = next((lane for lane in found if lane[-1][1] <= one[0]), None)
        if free is None:
            found.append([one])
        else:
            free.append(one)
    return found


def address(video: str) -> str:
    """Where a tool finds a video: a ``file:`` address of a file that is there, else its name."""
    return Path(video).resolve().as_uri() if is_file(video) else one_line(video)


def is_file(video: str) -> bool:
    """Whether a video is a file here; a name that is too long for one is none."""
    try:
        return Path(video).is_file()
    except OSError:
        return False
