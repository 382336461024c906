"""Asking a library for what clips show, as the command and the web page do."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.metadata import check_metadata
from vreloc_pyg.library.clips import extractor_of, read_queries
from vreloc_pyg.library.library import Library, Searchable
from vreloc_pyg.library.messages import about_search, stale
from vreloc_pyg.library.search import search
from vreloc_pyg.localization.finders import CALIBRATIONS, usual_system
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.shipped import SHIPPED
from vreloc_pyg.localization.sources import Progress
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.moments import Moment
from vreloc_pyg.segments import seconds_to_steps


@dataclass(frozen=True)
class LibraryAnswer:
    """The moments of a library that show what clips show.

    Args:
        library: its folder.
        queries: files, or names of videos in the library.
        part: of a single query, in seconds; ``None``: to its end.
        system: what answered.
        moments: best first.
        notes: what was wrong with the files, in words.
        about: what :func:`.save_moments` keeps beside the moments.
    """

    library: Path
    queries: tuple[str, ...]
    part: tuple[float, float | None]
    system: str
    moments: list[Moment]
    notes: tuple[str, ...]
    about: dict[str, Any]


class LibrarySearch:
    """Answers questions to a library, one after the other or several at a time.

    Args:
        folder: of the library.
        checkpoint: folder of a model trained on such features; by default, on poses, the network that comes
            with the package, and on others a rule that needs no training.
        extractor: name of the library's network, where somebody wants to be sure of it.
        weights: its weights, where they are not in their usual place.
        cache: where features of queries are kept; by default in the user's cache.

    Raises:
        DataError: if there is no library, or nothing in it.
        FeatureError: if its features were made in another way than the model's, or by another network.
    """

    def __init__(
        self,
        folder: str | Path,
        checkpoint: str | None = None,
        extractor: str | None = None,
        weights: str | None = None,
        cache: str | None = None,
    ) -> None:
        self.library = Library(folder)
        self._lock = threading.Lock()
        self._changed_ns = -1
        self.searchable()
        made_by = self.library.metadata.extractor
        if checkpoint is None and (usual := usual_system(made_by)) in SHIPPED:
            checkpoint = usual
        self.localizer = (
            training_free(CALIBRATIONS.get(("window-rule", made_by or "")))
            if checkpoint is None
            else Localizer.from_pretrained(checkpoint)
        )
        if self.localizer.features is not None:
            what = f"the features of the library {self.library.folder}"
            check_metadata(self.localizer.features, self.library.metadata, what)
        #: Makes the network of the library's features, the first time that a video must be read.
        self.network = extractor_of(self.library, extractor, weights)
        self._cache = cache

    def searchable(self) -> Searchable:
        """The index as it is now: read again where the catalog has changed since the last question."""
        with self._lock:
            changed_ns = self.library.catalog.path.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._found, self._changed_ns = self.library.searchable(), changed_ns
            return self._found

    def ask(
        self,
        queries: Sequence[str],
        part: tuple[float, float | None] = (0.0, None),
        top: int = 20,
        min_score: float | None = None,
        seconds_per_step: float | None = None,
        progress: Progress | None = None,
    ) -> LibraryAnswer:
        """The moments that show what clips show.

        Args:
            queries: videos, ``.npy`` files of features, or names of videos in the library.
            part: of a single query, in seconds.
            top: number of moments, at most.
            min_score: leave out moments with lower scores.
            seconds_per_step: of ``.npy`` files; by default as in the library.
            progress: called with the file, frames that were read since the last call, and how many there are.

        Raises:
            SettingsError, VideoError, DataError, FeatureError: as :func:`.read_queries` does.
        """
        clips, notes = read_queries(
            self.library, queries, self.network, part, seconds_per_step, self._cache, progress
        )
        return self._answer(clips, tuple(queries), part, top, min_score, notes)

    def ask_like(self, moment: Moment, top: int = 20) -> LibraryAnswer:
        """The moments that show what one of the library shows; its features are there already.

        Raises :class:`DataError` if its video is not in the library any more.
        """
        entry = next((one for one in self.library.entries() if one.name == moment.video), None)
        if entry is None:
            raise DataError(f"{moment.video} is not in the library any more")
        step = entry.seconds_per_step
        bounds = torch.tensor([moment.start_s, moment.end_s])
        start, stop = seconds_to_steps(bounds, step, entry.num_steps).tolist()
        clip = Query(self.library.read(entry, start, stop), step, "", Path(entry.name).stem)
        return self._answer([clip], (entry.name,), (moment.start_s, moment.end_s), top, None, [])

    def _answer(
        self,
        clips: Sequence[Query],
        queries: tuple[str, ...],
        part: tuple[float, float | None],
        top: int,
        min_score: float | None,
        notes: Sequence[str],
    ) -> LibraryAnswer:
        found = self.searchable()
        moments = search(self.library, clips, self.localizer, top, found=found)
        if min_score is not None:
            moments = [one for one in moments if one.score >= min_score]
        said = (*notes, *stale(self.library, found, moments))
        about = about_search(self.library, found, moments, queries, self.localizer.name)
        return LibraryAnswer(self.library.folder, queries, part, self.localizer.name, moments, said, about)
