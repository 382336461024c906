"""Video files to features: one video, or many into a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vreloc_pyg.errors import DataError, VideoError, VrelocError
from vreloc_pyg.features.metadata import check_metadata
from vreloc_pyg.features.store import HDF5Store, StoreWriter
from vreloc_pyg.files import file_digest, locked
from vreloc_pyg.video.decoding import Frame, prefetch, read_frames, video_duration
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.feature_cache import FeatureCache, VideoFeatures
from vreloc_pyg.video.gathering import gather

#: Frames that wait for the network, decoded ahead.
AHEAD = 64


def extract_video(
    path: str | Path,
    extractor: VideoExtractor,
    start_s: float = 0.0,
    end_s: float | None = None,
    cache: FeatureCache | None = None,
    content: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> VideoFeatures:
    """Features of a video; decoding runs ahead of the network, and memory does not grow with the video.

    Args:
        path: the file.
        extractor: the network.
        start_s, end_s: the part to read, in seconds; by default all of it.
        cache: where features are looked up and kept.
        content: digest of the file, where it is known.
        progress: called with the number of frames that were read since the last call.

    Raises:
        VideoError: if the file cannot be read, the range does not lie in it, or it shows a single frame.
    """
    if cache is None:
        return _read_features(path, extractor, start_s, end_s, progress)
    if not Path(path).is_file():
        raise VideoError(f"There is no video file {path}")
    place = cache.path(content or file_digest(path), extractor, start_s, end_s)
    found = cache.get(place)
    if found is None:
        found = _read_features(path, extractor, start_s, end_s, progress)
        cache.put(place, found)
    return found


def _read_features(
    path: str | Path,
    extractor: VideoExtractor,
    start_s: float,
    end_s: float | None,
    progress: Callable[[int], object] | None,
) -> VideoFeatures:
    problems: list[str] = []
    count = pictures = 0

    def counted(frames: Iterator[Frame]) -> Iterator[Frame]:
        nonlocal count, pictures
        last = None
        for frame in frames:
            count += 1
            pictures += frame is not last  # a frame that stays on the screen comes as the same array
            last = frame
            if progress is not None:
                progress(1)
            yield frame

    frames = prefetch(read_frames(path, extractor.grid, start_s, end_s, problems), AHEAD)
    joints: list[Tensor] = []
    features = gather(extractor.stream(counted(frames), str(path), problems, joints))
    if pictures < 2:
        raise VideoError(f"{path} shows a single frame: there is no motion to describe")
    duration = count / extractor.frame_rate
    return VideoFeatures(
        features,
        extractor.seconds_per_step,
        duration,
        tuple(problems),
        joints=joints[0].float() if joints else None,
    )


class _Full(OSError):
    """Features cannot be kept, which no other video would change."""


def check_name(video_id: str) -> None:
    """Raise :class:`VideoError` unless an id can be written into a file of features."""
    try:
        video_id.encode("utf-8")
    except UnicodeEncodeError:
        raise VideoError(f"The name {video_id!r} is not in UTF-8: rename the file") from None


@dataclass(frozen=True)
class Extraction:
    """What became of many videos: ids made now, ids that were there already, why others were left out, and
    what was wrong with files that were read all the same.
    """

    done: tuple[str, ...]
    kept: tuple[str, ...]
    failed: dict[str, str]
    problems: tuple[str, ...]


def extract_files(
    videos: dict[str, Path], extractor: VideoExtractor, output: str | Path, progress: bool = True
) -> Extraction:
    """Features of many videos as a store; a run that was killed goes on where it stopped.

    Each video's features are kept in the folder ``<output>.parts`` as soon as they are done; the store is
    written from them at the end and the folder removed. Videos that ``output`` has already, with the same
    content and extractor, are not done again. A file that is no video, cannot be read, or has a name that is
    not UTF-8 is left out; where all are, it is a :class:`DataError`.

    Raises:
        FeatureError: if ``output`` holds features made in another way.
        DataError: if another process writes ``output``.
    """
    with locked(Path(output).with_name(Path(output).name + ".parts")):
        return _extract_files(videos, extractor, Path(output), progress)


def _extract_files(
    videos: dict[str, Path], extractor: VideoExtractor, output: Path, progress: bool
) -> Extraction:
    from tqdm import tqdm

    parts = FeatureCache(output.with_name(output.name + ".parts"), joints=False)
    old = finished_videos(output, extractor)
    done: list[str] = []
    kept: list[str] = []
    failed: dict[str, str] = {}
    problems: list[str] = []
    places: dict[str, tuple[Path, str]] = {}  # of new features, with the digest of their video
    lengths = {video_id: _length(path, extractor.frame_rate) for video_id, path in videos.items()}
    with tqdm(total=sum(lengths.values()), unit=" frames", disable=not progress) as bar:
        for number, (video_id, path) in enumerate(videos.items(), start=1):
            bar.set_description(f"{path.name}, {number} of {len(videos)}")
            before = bar.n
            try:
                check_name(video_id)
                content = file_digest(path) + extractor.whom
                if old.get(video_id) == content:
                    kept.append(video_id)
                else:
                    found = extract_video(path, extractor, 0.0, None, parts, content, bar.update)
                    place = parts.path(content, extractor, 0.0, None)
                    if parts.notes:
                        raise _Full(None, parts.notes[0], str(place))
                    (kept if found.cached else done).append(video_id)
                    places[video_id] = (place, content)
                    problems += found.problems
            except _Full:
                raise
            except (VrelocError, OSError) as error:
                failed[video_id] = str(error)
                bar.write(f"Left out {video_id}: {error}".encode(errors="replace").decode())
            bar.update(lengths[video_id] - (bar.n - before))
    if not done and not kept:
        raise DataError(f"None of {len(videos)} videos could be read: {next(iter(failed.values()))}")
    with StoreWriter(output, extractor.metadata) as writer:
        if output.exists():
            writer.copy(HDF5Store(output), but=places)
        for video_id, (place, content) in places.items():
            features = parts.get(place)
            if features is None:
                raise DataError(f"The features {place} are gone: run the command again")
            writer.add(video_id, features.features, extractor.frame_rate, content)
    # Those of an earlier run too, killed when it had written the store, and what it had half written.
    contents = (*old.values(), *(content for _, content in places.values()))
    finished = (parts.path(content, extractor, 0.0, None) for content in contents)
    for place in (*finished, *parts.folder.glob(".*")):
        place.unlink(missing_ok=True)
    if parts.folder.is_dir() and not any(parts.folder.iterdir()):
        parts.folder.rmdir()
    return Extraction(tuple(done), tuple(kept), failed, tuple(problems))


def finished_videos(output: Path, extractor: VideoExtractor) -> dict[str, str]:
    """Ids and digests of the videos in a store of an earlier run, which must be made in the same way."""
    if not output.exists():
        return {}
    store = HDF5Store(output)
    check_metadata(extractor.metadata, store.metadata, f"the features in {output}")
    return {video_id: store.content(video_id) or "" for video_id in store.ids()}


def merge_stores(output: str | Path, shards: Sequence[str | Path]) -> int:
    """One store of several; returns the number of videos.

    Raises:
        DataError: if there is no shard, or two hold one video.
        FeatureError: if they were made in different ways.
    """
    if not shards:
        raise DataError(f"Found no shards of {output}: give those that `vreloc features --shard` wrote")
    stores = [HDF5Store(path) for path in shards]
    for store in stores[1:]:
        check_metadata(stores[0].metadata, store.metadata, f"the features in {store.path}")
    with StoreWriter(output, stores[0].metadata) as writer:
        for store in stores:
            writer.copy(store)
    return sum(map(len, stores))


def _length(path: Path, rate: float) -> int:
    """Frames to expect of a file, 0 where it does not say."""
    try:
        return round((video_duration(path) or 0) * rate)
    except (VideoError, OSError):
        return 0
