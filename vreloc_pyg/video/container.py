"""Video files behind one door: which are opened, from which second on they are read, and their clock."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vreloc_pyg.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: The containers that are read, by FFmpeg's names: each is one file of its own. Playlists and scripts, which
#: name other files or addresses, are not among them.
FORMATS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpegtsraw", "mpeg",
    "mpegvideo", "asf", "flv", "live_flv", "ogg", "m4v", "h261", "h263", "h264", "hevc", "vvc", "av1", "obu",
    "ivf", "dv", "mxf", "nut", "rm", "gxf", "vc1", "wtv", "mjpeg", "gif", "apng", "yuv4mpegpipe",
    "mp3", "wav", "flac", "aac", "aiff", "caf", "w64", "ape", "wv", "tta", "ac3", "amr",
)  # fmt: skip

#: Containers that keep no times of presentation: their frames come in the right order, with times in another.
UNTIMED = ("avi", "h264", "hevc", "vvc", "m4v", "mpegvideo")
#: So many frames may come before one whose time is earlier.
REORDERED = 16

#: Containers that are made by putting recordings one after the other, each with a clock of its own.
JOINED = ("mpegts", "mpegtsraw", "mpeg")

#: How far before the wanted second a file is entered, in seconds, until a frame at or before it is met.
BACK_S = (0.0, 1.0, 4.0, 16.0)

#: A clock that falls back by more, in seconds, starts anew.
FALL_S = 1.0
#: Longest time that one frame stays on the screen, in seconds: slides do, for minutes.
LONGEST_S = 600.0
#: All gaps longer than FALL_S together may take LONGEST_S, and a second more for so many bytes of the file:
#: work grows with the bytes, not with the time that is claimed. Slides have tens of bytes a second.
BYTES_A_SECOND = 8
#: What is wrong with a clock is said so many times.
MOST_SAID = 10


def open_video(path: str | Path) -> tuple[InputContainer, VideoStream]:
    """A video file and its stream: the default one of several, and never the picture of an audio file.

    The caller closes the container. :class:`VideoError` if the file is none, or names other files.
    """
    import av
    from av.stream import Disposition

    if not Path(path).is_file():
        raise VideoError(f"There is no video file {path}")
    # "file:", since FFmpeg would take what stands before a colon in a name for a protocol.
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path}", metadata_errors="replace", options=options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        size = Path(path).stat().st_size
        why = "it is empty" if size == 0 else f"it is damaged or of no known format ({words_of(error)})"
        raise VideoError(f"Cannot read {path} as a video: {why}") from None
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise VideoError(f"{path} has no video stream (it holds {kinds})")
    streams = [one for one in streams if one.codec_context is not None]
    if not streams:
        container.close()
        raise VideoError(f"Cannot decode {path}: its video is of no known codec, or damaged")
    stream = next((one for one in streams if one.disposition & Disposition.default), streams[0])
    stream.thread_type = "AUTO"
    return container, stream


def open_at(path: str | Path, start_s: float) -> tuple[InputContainer, VideoStream]:
    """A video whose first decoded frame is one at or before a second, so that it shows what is seen there.

    Where FFmpeg lands after it, as it does in transport streams, the file is entered further back; one of
    several clocks is read from its beginning.
    """
    for back in BACK_S:
        container, stream = open_video(path)
        if start_s - back <= 0 or clock_jumps(path):
            return container, stream
        place = round((start_s - back + origin_of(container, stream, path)) * 1e6)
        if not _enter(container, place):
            container.close()
            continue
        times = (frame.time for frame in decode(container, stream, path, []) if frame.time is not None)
        first = next(times, None)
        if first is not None and first - origin_of(container, stream, path) <= start_s + 1e-6:
            _enter(container, place)
            return container, stream
        container.close()
    return open_video(path)


def _enter(container: InputContainer, place: int) -> bool:
    """Seek to a time in microseconds, if the file lets that be done."""
    import av

    try:
        container.seek(place, backward=True)
    except (av.error.FFmpegError, OSError, ValueError, OverflowError):
        return False
    return True


def clock_jumps(path: str | Path) -> bool:
    """Whether the clock of a file falls back, as where two recordings were joined."""
    return _clock_jumps(*_version(path))


def _version(path: str | Path) -> tuple[str, int, int]:
    """A file as it is now: what is found out about it is asked for often."""
    about = Path(path).stat()
    return str(path), about.st_size, about.st_mtime_ns


@lru_cache(maxsize=64)
def _clock_jumps(path: str, size: int, changed: int) -> bool:
    import av

    container, stream = open_video(path)
    with container:
        if container.format.name not in JOINED:
            return False
        latest = -float("inf")
        try:
            for packet in container.demux(stream):
                if packet.dts is None or packet.time_base is None:
                    continue
                time = float(packet.dts * packet.time_base)
                if time < latest - FALL_S:
                    return True
                latest = max(latest, time)
        except av.error.FFmpegError:
            pass  # cut off: what was read decides
    return False


def decode(
    container: InputContainer, stream: VideoStream, path: str | Path, problems: list[str]
) -> Iterator[VideoFrame]:
    """Every frame that can be decoded; damage is counted in ``problems``, not raised."""
    import av

    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError as error:
            problems.append(f"{path} is cut off: {words_of(error)}")
            break
        frames = frames_of(packet)
        if frames is None:
            damaged += 1
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame
    if damaged:
        problems.append(f"{path} is damaged: {damaged} packets could not be decoded")


def frames_of(packet: Any) -> list[Any] | None:
    """The frames of a packet, of pictures or sound; ``None`` if it is damaged."""
    import av

    try:
        return list(packet.decode())
    except av.error.FFmpegError:
        return None


class Clock:
    """Seconds of a video from the times of its frames, which only go forward.

    A frame without a time comes as long after the one before as that did. A clock that falls back by more
    than a second goes on instead, and a longer gap than :data:`LONGEST_S` is cut, as are those over a second
    once they together take longer than is allowed; ``problems`` say so.

    Args:
        origin: where the container's clock begins, in seconds.
        gap: seconds between frames, until they are known.
        begins: whether its first frame is the video's; else any time is right for that.
        path, problems: the file, and where what is wrong with it is appended.
        allowed: seconds of all gaps over a second.
    """

    def __init__(
        self,
        origin: float,
        gap: float,
        begins: bool,
        path: str | Path,
        problems: list[str],
        allowed: float = float("inf"),
    ) -> None:
        self.shift, self.gap, self.begins = -origin, gap, begins
        self.left, self.moved = allowed, 0
        self.path, self.problems = path, problems
        self.latest = -float("inf")

    def __call__(self, time: float | None) -> float:
        """The second of the video that a frame of this time is shown at."""
        started = self.latest > -float("inf")
        following = self.latest + self.gap if started else 0.0
        now = following if time is None else time + self.shift
        if started and now < self.latest - max(FALL_S, REORDERED * self.gap):
            self._move(following, now, "falls back")
            now = following
        elif now - max(self.latest, 0.0) > FALL_S and (started or self.begins):
            wanted = max(self.latest, 0.0) + min(LONGEST_S, max(FALL_S, self.left))
            if now > wanted:
                self._move(wanted, now, "leaps ahead")
                now = wanted
            self.left -= now - max(self.latest, 0.0)
        if now > self.latest:
            self.gap = now - self.latest if started else self.gap
            self.latest = now
        return now

    def _move(self, wanted: float, now: float, how: str) -> None:
        self.shift += wanted - now
        self.moved += 1
        if self.moved > MOST_SAID:
            return
        self.problems.append(
            f"The clock of {self.path} {how} by {abs(now - self.latest):.1f} s at second "
            f"{max(self.latest, 0.0):.1f}: it is taken to go on at second {wanted:.1f}"
        )


def make_clock(
    container: InputContainer, stream: VideoStream, begins: bool, path: str | Path, problems: list[str]
) -> Clock:
    """A clock for the frames of a video, or of its sound."""
    gap = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
    allowed = LONGEST_S + Path(path).stat().st_size / BYTES_A_SECOND
    return Clock(origin_of(container, stream, path), gap, begins, path, problems, allowed)


def timed_frames(
    container: InputContainer, stream: VideoStream, begins: bool, path: str | Path, problems: list[str]
) -> Iterator[tuple[float, VideoFrame]]:
    """Seconds and frames in the order in which they are shown; arguments as of :class:`Clock`."""
    clock = make_clock(container, stream, begins, path, problems)
    order = InOrder(container)
    for frame in decode(container, stream, path, problems):
        yield from order.push(clock(frame.time), frame)
    yield from order.rest()


class InOrder:
    """Frames with their times in order: where a container has none of presentation, the k-th frame is shown
    at the k-th time.
    """

    def __init__(self, container: InputContainer) -> None:
        self.depth = REORDERED if container.format.name in UNTIMED else 0
        self.times: list[float] = []
        self.frames: deque[VideoFrame] = deque()

    def push(self, time: float, frame: VideoFrame) -> Iterator[tuple[float, VideoFrame]]:
        """One more frame; those whose time is known by now."""
        heapq.heappush(self.times, time)
        self.frames.append(frame)
        if len(self.frames) > self.depth:
            yield heapq.heappop(self.times), self.frames.popleft()

    def rest(self) -> Iterator[tuple[float, VideoFrame]]:
        """Those that are left at the end."""
        while self.frames:
            yield heapq.heappop(self.times), self.frames.popleft()


def origin_of(container: InputContainer, stream: VideoStream, path: str | Path) -> float:
    """The second at which a player's clock begins: that of the first frame where no other is known."""
    if container.format.name in UNTIMED:
        return _first_time(*_version(path))
    microseconds = getattr(container, "start_time", None)
    if microseconds is not None:
        return float(microseconds / 1e6)
    if stream.start_time is not None and stream.time_base is not None:
        return float(stream.start_time * stream.time_base)
    return 0.0


@lru_cache(maxsize=64)
def _first_time(path: str, size: int, changed: int) -> float:
    container, stream = open_video(path)
    with container:
        frames = itertools.islice(decode(container, stream, path, []), REORDERED)
        return min((frame.time for frame in frames if frame.time is not None), default=0.0)


def duration_of(container: InputContainer, stream: VideoStream, path: str | Path) -> float | None:
    """Seconds from the clock's beginning to the end of the video stream, as the container says.

    ``None`` where it does not say, and for a file of several clocks, of which it knows one.
    """
    if clock_jumps(path):
        return None
    if stream.duration is not None and stream.time_base is not None:
        begin = 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)
        return begin + float(stream.duration * stream.time_base) - origin_of(container, stream, path)
    return None if container.duration is None else container.duration / 1e6


def pixel_ratio(stream: VideoStream) -> float:
    """Width of a pixel over its height, 1 where the file does not say."""
    return float(stream.sample_aspect_ratio or 1)


def words_of(error: Exception) -> str:
    """What FFmpeg says of an error."""
    return getattr(error, "strerror", None) or str(error)
