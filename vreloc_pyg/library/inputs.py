"""Which videos are meant by files, folders, patterns and lists."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import FeatureStore
from vreloc_pyg.files import read_lines
from vreloc_pyg.video.video_files import SUFFIXES, walk

#: Suffix of lists: a file, folder or pattern a line, those that are relative beside the list.
LIST_SUFFIX = ".txt"


def find_videos(sources: Sequence[str | Path]) -> list[Path]:
    """Absolute paths of the videos of all sources, each once, in their order.

    Args:
        sources: video files, folders (searched with all in them), patterns such as ``"day*/*.mp4"`` with
            ``**`` for folders, and lists (``.txt``).

    Raises:
        DataError: if a source is not there, or holds no video.
    """
    found: dict[Path, None] = {}
    for source in sources:
        one = _videos_of(str(source))
        if not one:
            raise DataError(f"Found no video in {source}; known suffixes are {', '.join(SUFFIXES)}")
        found.update(dict.fromkeys(one))
    return list(found)


def stored_videos(
    store: FeatureStore, seconds_per_step: float | None = None
) -> Iterator[tuple[str, Tensor, float]]:
    """Names, features and seconds per step of the videos of a store, one after the other.

    Raises :class:`DataError` where neither the store nor ``seconds_per_step`` says how long a step lasts.
    """
    frames = store.metadata.frames_per_step
    for name in store.ids():
        rate = store.frame_rate(name)
        step = seconds_per_step if rate is None or frames is None else frames / rate
        if step is None:
            raise DataError(f"Nobody says how long a step of {store.path} lasts: give --seconds-per-step")
        yield name, store.read(name), step


def _videos_of(source: str, lists: bool = True) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return [_absolute(file) for file in sorted(walk(path)) if _is_video(file)]
    if path.is_file() and path.suffix.lower() == LIST_SUFFIX:
        if not lists:  # it might be the one that names it
            raise DataError(f"{source} is a list, and lists name no lists")
        lines = [path.parent / line.strip() for _, line in read_lines(path) if not line.startswith("#")]
        return [video for line in lines for video in _videos_of(str(line), lists=False)]
    if path.is_file():
        return [_absolute(path)]
    matched = sorted(glob.glob(source, recursive=True))
    if not matched:
        raise DataError(f"There is no file or folder {source}")
    return [
        video
        for one in map(Path, matched)
        for video in (_videos_of(str(one)) if one.is_dir() else [_absolute(one)] if _is_video(one) else [])
    ]


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def _absolute(path: Path) -> Path:
    return path.absolute()
