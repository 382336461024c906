"""Filling a library: videos by their content, features as they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from torch import Tensor

from vreloc_pyg.datasets.splits import check_features
from vreloc_pyg.errors import DataError, VrelocError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.files import file_digest, locked
from vreloc_pyg.library.catalog import Entry
from vreloc_pyg.library.library import Library
from vreloc_pyg.video.decoding import video_duration
from vreloc_pyg.video.extraction import check_name, extract_video
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.feature_cache import FeatureCache, VideoFeatures


@dataclass
class Indexing:
    """What became of the videos of a run, by name.

    Args:
        added, changed, kept, removed: new ones; those of another content than before; those that were there;
            those that were taken out.
        renamed: new names by old ones.
        same: names whose content is already there under another, which is the value.
        failed: why others were left out.
        gone: in the library, and no file any more.
        problems: what was wrong with files that were read all the same.
        windows: in the index.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    windows: int = 0


def index_videos(
    library: Library,
    videos: Sequence[Path],
    extractor: Callable[[], VideoExtractor],
    remove: Sequence[Path] = (),
    progress: bool = True,
) -> Indexing:
    """Add videos to a library, or bring it up to date with them.

    A video is known by its content: one that was renamed or moved keeps its features, one that changed is
    read anew, and one that is there already costs a look at its size and date. Each is in the catalog, whole,
    as soon as it is read: a run that was killed goes on with the video at which it stopped.

    Args:
        library: what is filled.
        videos: absolute paths, as :func:`.find_videos` gives them.
        extractor: makes the network when the first video must be read.
        remove: absolute paths of videos, or of folders of them, to take out; the files stay.
        progress: show how far it is, when it will be done, and how many times as fast as the videos play.

    Raises:
        FeatureError: if the library's features were made in another way.
        DataError: if another process is writing the library.
        OSError: if features cannot be kept; the videos that were finished are.
    """
    with locked(library.folder / "library"):
        done = Indexing()
        _remove(library, remove, done)
        known = {entry.name: entry for entry in library.entries()}
        waiting = []
        for path in videos:
            entry = known.get(str(path))
            if entry is not None and _is_as_it_was(library, entry):
                done.kept.append(entry.name)
            else:
                waiting.append(path)
        if waiting:
            _read_videos(library, waiting, known, extractor(), done, progress)
        finish(library, done)
        names = (entry.name for entry in library.entries() if entry.size is not None)
        done.gone = [name for name in names if not Path(name).exists()]
        return done


def index_features(
    library: Library, videos: Iterable[tuple[str, Tensor, float]], made_with: FeatureMetadata
) -> Indexing:
    """Add features that are there already, as names, ``[num_steps, F]`` and seconds per step.

    What raises, and what is done again, is as in :func:`index_videos`.
    """
    with locked(library.folder / "library"):
        library.agree(made_with)
        done = Indexing()
        known = {entry.name: entry for entry in library.entries()}
        cache = FeatureCache(library.features_folder, joints=False)
        for name, features, step in videos:
            try:
                check_name(name)
                check_features(features, repr(name), made_with.dim)
            except VrelocError as error:
                done.failed[name] = str(error)
                continue
            content = hashlib.sha256(
                features.contiguous().numpy().tobytes() + f" {step!r}".encode()
            ).hexdigest()
            entry = known.get(name)
            if entry is not None and entry.content == content and _has_features(library, entry):
                done.kept.append(name)
                continue
            place = cache.folder / f"{content[:32]}.safetensors"
            found = VideoFeatures(features.float().contiguous(), step, len(features) * step)
            cache.put(place, found)
            _keep(library, cache, place, Entry(name, content, place.name, 0, *_lasting(found)))
            (done.added if entry is None else done.changed).append(name)
        finish(library, done)
        return done


def finish(library: Library, done: Indexing) -> None:
    """Bring the index up to date, and drop features that no video has any more."""
    library.forget_damaged_index()
    done.windows = library.refresh()
    wanted = {entry.features for entry in library.entries()}
    for file in library.features_folder.iterdir():
        if file.name not in wanted:
            file.unlink(missing_ok=True)


def _remove(library: Library, remove: Sequence[Path], done: Indexing) -> None:
    numbers = []
    for entry in library.entries():
        path = Path(entry.name)
        if any(one == path or one in path.parents for one in remove):
            numbers.append(entry.number)
            done.removed.append(entry.name)
    if remove and not numbers:
        raise DataError(f"The library {library.folder} holds no video {', '.join(map(str, remove))}")
    library.catalog.remove(numbers)


def _read_videos(
    library: Library,
    videos: Sequence[Path],
    known: dict[str, Entry],
    extractor: VideoExtractor,
    done: Indexing,
    progress: bool,
) -> None:
    from tqdm import tqdm

    library.agree(extractor.metadata)
    cache = FeatureCache(library.features_folder, joints=False)
    by_content = {entry.content: entry for entry in known.values()}
    lengths = {path: _length(path) for path in videos}
    began, read_s = monotonic(), 0.0
    form = "{desc}{percentage:3.0f}% of {total:.0f} s, {remaining} left{postfix}"
    with tqdm(total=sum(lengths.values()), disable=not progress, bar_format=form) as bar:
        for count, path in enumerate(videos, start=1):
            bar.set_description(f"{path.name}, {count} of {len(videos)}")
            before = bar.n
            try:
                check_name(str(path))
                stat, content = path.stat(), file_digest(path)
                there = by_content.get(content)
                moved = None if there is None else _moved(library, there, path, stat, done)
                if moved is None:
                    found = extract_video(
                        path, extractor, 0.0, None, cache, content,
                        lambda frames: bar.update(frames / extractor.frame_rate),
                    )  # fmt: skip
                    read_s += 0.0 if found.cached else found.duration_s
            except (VrelocError, OSError) as error:
                done.failed[str(path)] = str(error)
                bar.write(f"Left out {path}: {error}".encode(errors="replace").decode())
            else:
                if moved is not None:
                    by_content[content] = moved
                else:
                    place = cache.path(content, extractor, 0.0, None)
                    entry = Entry(str(path), content, place.name, 0, *_lasting(found), *_marks(stat))
                    by_content[content] = _keep(library, cache, place, entry)
                    (done.changed if str(path) in known else done.added).append(str(path))
                    done.problems += [f"{path.name}: {problem}" for problem in found.problems]
            bar.set_postfix_str(f"{read_s / max(monotonic() - began, 1e-9):.1f}x real time")
            bar.update(lengths[path] - (bar.n - before))


def _moved(library: Library, there: Entry, path: Path, stat: os.stat_result, done: Indexing) -> Entry | None:
    """The entry of a content that needs no reading: it was renamed, touched, or is there twice."""
    if not _has_features(library, there):
        return None
    if there.name != str(path) and _is_as_it_was(library, there):
        done.same[str(path)] = there.name
        return there
    size, modified_ns = _marks(stat)
    library.catalog.rename(there.number, str(path), size, modified_ns)
    if there.name == str(path):
        done.kept.append(there.name)
    else:
        done.renamed[there.name] = str(path)
    return replace(there, name=str(path), size=size, modified_ns=modified_ns)


def _keep(library: Library, cache: FeatureCache, place: Path, entry: Entry) -> Entry:
    """Write an entry whose features were kept at a place."""
    if cache.notes:
        raise OSError(None, cache.notes[0], str(place))
    entry = replace(entry, bytes=place.stat().st_size)
    library.catalog.put(entry)
    return entry


def _is_as_it_was(library: Library, entry: Entry) -> bool:
    """Whether a video's file has the size and date that it had, and its features are there."""
    try:
        marks = _marks(Path(entry.name).stat())
    except OSError:
        return False
    return marks == (entry.size, entry.modified_ns) and _has_features(library, entry)


def _has_features(library: Library, entry: Entry) -> bool:
    try:
        return (library.features_folder / entry.features).stat().st_size == entry.bytes
    except OSError:
        return False


def _marks(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _lasting(found: VideoFeatures) -> tuple[int, float, float]:
    return len(found.features), found.seconds_per_step, found.duration_s


def _length(path: Path) -> float:
    """Seconds to expect of a file, 0 where it does not say."""
    try:
        return video_duration(path) or 0.0
    except (VrelocError, OSError):
        return 0.0
