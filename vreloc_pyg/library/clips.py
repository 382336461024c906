"""The clips that a library is searched for, and the network that made its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache as once
from pathlib import Path

from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.files import user_cache
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.stored import LibraryStore
from vreloc_pyg.localization.sources import Progress, Sources
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.extractors import load_extractor
from vreloc_pyg.video.feature_cache import FeatureCache


def extractor_of(
    library: Library | None, name: str | None = None, weights: str | Path | None = None
) -> Callable[[], VideoExtractor]:
    """Makes the network of a library's features once; of a new library, one of a name.

    Raises :class:`.FeatureError` if the library holds features of another one.
    """
    made_with = FeatureMetadata() if library is None else library.metadata
    if library is not None and name is not None:
        library.agree(FeatureMetadata(extractor=name))

    @once
    def make() -> VideoExtractor:
        if made_with.extractor is None and library is not None and library.entries():
            raise SettingsError(
                f"The library {library.folder} holds features that no known network made: add more of them "
                "with --features, and give queries as .npy files"
            )
        return load_extractor(name or made_with.extractor or "i3d", weights, made_with.frame_rate)

    return make


def read_queries(
    library: Library,
    queries: Sequence[str],
    network: Callable[[], VideoExtractor],
    part: tuple[float, float | None] = (0.0, None),
    seconds_per_step: float | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[Query], list[str]]:
    """Clips with features as the library's, and what was wrong with their files.

    Args:
        library: to be searched.
        queries: videos, ``.npy`` files of features, or names of videos in the library.
        network: makes that of the library's features, see :func:`extractor_of`.
        part: of a single query, in seconds; ``None``: to its end.
        seconds_per_step: of ``.npy`` files; by default as in the library.
        cache: where features of videos are kept; by default in the user's cache.
        progress: called with the file, frames that were read since the last call, and how many there are.

    Raises:
        SettingsError: if a part is asked of several clips.
        VideoError, DataError: if one cannot be read.
        FeatureError: if its features are made in another way than the library's.
    """
    if len(queries) > 1 and part != (0.0, None):
        raise SettingsError("--start and --end choose a part of a single query: cut the others before")
    kept = FeatureCache(user_cache() / "features" if cache is None else Path(cache))
    step = seconds_per_step or next(entry.seconds_per_step for entry in library.entries())
    sources = Sources(network, kept, library.metadata, LibraryStore(library), step, progress)
    clips: list[Query] = []
    notes: list[str] = []
    for query in queries:
        sources.lasting(query)
        read = sources.read(query, *part)
        clips.append(Query(read.features, read.seconds_per_step, "", Path(query).stem))
        notes += read.problems
    return clips, [*notes, *kept.notes]
