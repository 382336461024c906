"""What a video file says of itself: frame rate, number of frames, size of the picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.video.container import duration_of, open_video

#: Rates of film and television of which decimals are a short hand, frames per second.
NAMED_RATES = tuple(Fraction(1000 * whole, 1001) for whole in (24, 30, 48, 60, 90, 120, 240))
#: A rate that is so near one of them, by its share, is that rate: 29.97 as a container rounds it.
ROUNDED = Fraction(1, 400_000)
#: The same for what people type, 23.98.
TYPED = Fraction(1, 5000)


@dataclass(frozen=True)
class VideoFacts:
    """What counts in frames need to know of a video.

    Args:
        rate: frames per second; the mean of a video whose frames come at uneven times.
        duration_s: in seconds, ``None`` where the file does not say.
        size: width and height in pixels.
    """

    rate: Fraction
    duration_s: float | None = None
    size: tuple[int, int] | None = None

    @property
    def num_frames(self) -> int | None:
        """Frames of the whole video."""
        return None if self.duration_s is None else max(1, round(self.duration_s * self.rate))

    def frames(self, start_s: float, end_s: float) -> tuple[int, int]:
        """The frames ``[first, stop)`` shown in a stretch of seconds; at least one."""
        first = round(Fraction(start_s) * self.rate)
        return first, max(first + 1, round(Fraction(end_s) * self.rate))

    def seconds(self, frame: float) -> float:
        """The second at which a frame begins."""
        return float(Fraction(frame) / self.rate)


def read_facts(path: str | Path) -> VideoFacts:
    """The facts of a video file; :class:`VideoError` if it is none."""
    container, stream = open_video(path)
    with container:
        rate = nearest_rate(Fraction(stream.average_rate or stream.guessed_rate or 25), ROUNDED)
        duration_s = duration_of(container, stream, path)
        return VideoFacts(rate, duration_s, (stream.codec_context.width, stream.codec_context.height))


def nearest_rate(rate: Fraction, tolerance: Fraction) -> Fraction:
    """A rate, or the one of :data:`NAMED_RATES` that it is a rounding of."""
    return next((one for one in NAMED_RATES if abs(rate / one - 1) < tolerance), rate)


def parse_rate(text: str | float) -> Fraction:
    """Frames per second from ``25``, ``29.97`` or ``30000/1001``; :class:`SettingsError` if it is none.

    Example:
        >>> parse_rate("23.976")
        Fraction(24000, 1001)
    """
    text = str(text).strip()
    endless = len(text) > 40 or re.search(r"[eE][-+]?\d{3}", text)  # 1e99999999 has as many digits
    try:
        rate = Fraction(0 if endless else text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 10_000 or rate.denominator > 10**9:
        raise SettingsError(f"Expected a frame rate such as 25, 29.97 or 30000/1001 (got {text!r})")
    return nearest_rate(rate, TYPED)
