"""A library: features of many videos in a folder, and an index of their windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import WORDS, FeatureMetadata
from vreloc_pyg.library.catalog import CATALOG_NAME, Catalog, Entry
from vreloc_pyg.library.descriptors import Descriptors, fit_descriptors
from vreloc_pyg.library.vector_index import LARGE, Batch, VectorIndex, open_index
from vreloc_pyg.library.windows import LIBRARY_WINDOWS, count_windows, ids_of_video, window_ids
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.settings import settings_from_dict

#: Windows that descriptors are fitted to, and those that a large index is; and how many of one video.
FITTED, TRAINED, OF_ONE = 20_000, 160_000, 200
#: An index that has become so many times as large is built anew, fitted to what is there then.
GROWTH = 4
#: What the catalog says of an index that is not there.
NO_INDEX: dict[str, Any] = {"covered": [], "fitted_on": 0, "state": ""}


@dataclass(frozen=True)
class Searchable:
    """What a search needs of a library.

    Args:
        descriptors: of its windows.
        index: of their vectors.
        entries: its videos that are in the index, by number.
    """

    descriptors: Descriptors
    index: VectorIndex
    entries: dict[int, Entry]


class Library:
    """A folder with a catalog, a file of features a video, and an index of windows.

    The catalog says what counts. Features lie in ``features/``, a file for each content; the index is made
    of them and may be made anew at any time.

    Args:
        folder: of the library.
        create: make it where it is not there.
        index: kind of a new library's index, and after a colon where it is: ``"faiss"``, ``"lance"`` or
            ``"lance:s3://bucket/library"``.

    Raises:
        DataError: if there is no library, or it is damaged or of another version.
    """

    def __init__(self, folder: str | Path, create: bool = False, index: str | None = None) -> None:
        self.folder = Path(folder)
        if create:
            self.features_folder.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(self.folder, create)
        kept = self.catalog.fact("index_kind")
        if kept is not None and not isinstance(kept, str):
            raise DataError(f"The library's catalog {self.catalog.path} is damaged: it names no index")
        if index is not None and kept not in (None, index):
            raise DataError(f"The library {folder} has an index of the kind {kept}, not {index}")
        self.index_kind: str = kept or index or "faiss"

    @staticmethod
    def is_in(folder: str | Path) -> bool:
        """Whether there is a library in a folder."""
        return (Path(folder) / CATALOG_NAME).is_file()

    @property
    def features_folder(self) -> Path:
        """Where features lie."""
        return self.folder / "features"

    @property
    def metadata(self) -> FeatureMetadata:
        """What the features were made with."""
        return settings_from_dict(FeatureMetadata, self.catalog.fact("metadata") or {})

    def entries(self) -> list[Entry]:
        """Its videos."""
        return self.catalog.entries()

    def agree(self, made_with: FeatureMetadata) -> None:
        """Take features that were made so; :class:`FeatureError` where the library holds others."""
        known = self.catalog.fact("metadata")
        if known is None:
            self.catalog.set_facts(metadata=made_with.to_dict(), index_kind=self.index_kind)
            return
        old = self.metadata
        wrong = [
            f"{words} is {getattr(made_with, key)}, there {getattr(old, key)}"
            for key, words in WORDS.items()
            if None not in (getattr(made_with, key), getattr(old, key))
            and getattr(made_with, key) != getattr(old, key)
        ]
        if wrong:
            raise FeatureError(
                f"The library {self.folder} holds other features: {'; '.join(wrong)}. Go on with its own, or "
                f"build another: vreloc index VIDEOS --library {self.folder}-{made_with.extractor or 'new'} "
                f"--extractor {made_with.extractor or 'NAME'}"
            )

    def read(self, entry: Entry, start: int = 0, stop: int | None = None) -> Tensor:
        """Steps ``[start, stop)`` of a video's features, ``[n, F]`` float32; only those are read."""
        place = self.features_folder / entry.features
        try:
            with safe_open(place, "pt") as file:
                features = file.get_slice("features")
                shape, kind = features.get_shape(), features.get_dtype()
                if len(shape) != 2 or shape[0] != entry.num_steps or kind != "F32":
                    raise DataError(f"expected {entry.num_steps} steps in F32, got {shape} in {kind}")
                found: Tensor = features[start:stop]
        except (OSError, SafetensorError, DataError) as error:
            raise DataError(
                f"The features of {entry.name} in {place} are damaged or gone ({error}); "
                f"vreloc index {entry.name} --library {self.folder} makes them anew"
            ) from None
        return found

    def refresh(self) -> int:
        """Bring the index up to date with the catalog; returns how many windows are in it.

        Memory is that of the index and of one video, however many there are.
        """
        entries = {entry.number: entry for entry in self.entries()}
        total = sum(count_windows(entry.num_steps) for entry in entries.values())
        about = self._about_index()
        fitted_on, covered = about["fitted_on"], set(about["covered"])
        if covered == set(entries) and (about["state"] or not entries):
            return total
        small_before = fitted_on < LARGE
        if not entries:
            self.catalog.set_facts(index=NO_INDEX)
            return 0
        if not about["state"] or total > GROWTH * fitted_on or (small_before and total >= LARGE):
            descriptors, covered, fitted_on = fit_descriptors(self._sample(FITTED)), set(), total
            sample = self._trained_on(descriptors, TRAINED) if total >= LARGE else None
            index = self._open_index("", descriptors.dims, total, sample)
        else:
            descriptors = self.descriptors()
            index = self._open_index(about["state"], descriptors.dims)
        gone = [ids_of_video(number) for number in sorted(covered - set(entries))]
        new = [entries[number] for number in sorted(set(entries) - covered)]
        state = index.update(gone, self._batches(new, descriptors))
        self.catalog.set_facts(
            index={"covered": sorted(entries), "fitted_on": fitted_on, "state": state},
            descriptors=descriptors.to_bytes(),
        )
        index.settle()
        return total

    def descriptors(self) -> Descriptors:
        """How its windows become vectors."""
        return Descriptors.from_bytes(self.catalog.fact("descriptors") or b"", str(self.catalog.path))

    def searchable(self) -> Searchable:
        """The index and what it covers; :class:`DataError` if that is nothing or the index is damaged."""
        entries = {entry.number: entry for entry in self.entries()}
        about = self._about_index()
        if not entries:
            raise DataError(
                f"The library {self.folder} is empty: vreloc index VIDEOS --library {self.folder} fills it"
            )
        covered = set(about["covered"])
        if not covered & set(entries):
            raise DataError(
                f"The library {self.folder} has no index yet: vreloc index --library {self.folder} makes it"
            )
        descriptors = self.descriptors()
        try:
            index = self._open_index(about["state"], descriptors.dims)
        except DataError as error:
            raise DataError(
                f"{error}. vreloc index --library {self.folder} builds it anew from the features"
            ) from None
        return Searchable(descriptors, index, {number: entries[number] for number in covered & set(entries)})

    def forget_damaged_index(self) -> bool:
        """Whether the index cannot be read; then the next :meth:`refresh` builds it anew."""
        try:
            about = self._about_index()
            if about["state"]:
                self._open_index(about["state"], self.descriptors().dims)
        except DataError:
            self.catalog.set_facts(index=NO_INDEX)
            return True
        return False

    def _about_index(self) -> dict[str, Any]:
        """The videos that are in the index, the number of windows it was fitted to, and its state."""
        about = self.catalog.fact("index")
        about = NO_INDEX if about is None else about
        if (
            not isinstance(about, dict)
            or [type(about.get(key)) for key in NO_INDEX] != [type(one) for one in NO_INDEX.values()]
            or not all(isinstance(one, int) for one in about["covered"])
        ):
            raise DataError(
                f"The library's catalog {self.catalog.path} is damaged: what it says of its index is wrong. "
                f"vreloc index --library {self.folder} builds it anew from the features"
            )
        return about

    def _open_index(
        self, state: str, dims: int, expected: int = 0, sample: Tensor | None = None
    ) -> VectorIndex:
        kind, _, place = self.index_kind.partition(":")
        return open_index(kind, place or self.folder, state, dims, expected, sample)

    def _batches(self, entries: list[Entry], descriptors: Descriptors) -> Iterator[Batch]:
        for entry in entries:
            windows = LIBRARY_WINDOWS(entry.num_steps)
            yield window_ids(entry.number, windows), descriptors.vectors(self.read(entry), windows)

    def _sample(self, count: int) -> Tensor:
        """Means and deviations of windows of videos drawn at random, ``[<= count, 2 F]``."""
        return torch.cat(list(self._drawn(count)))

    def _trained_on(self, descriptors: Descriptors, count: int) -> Tensor:
        return torch.cat([descriptors.of_statistics(one) for one in self._drawn(count)])

    def _drawn(self, count: int) -> Iterator[Tensor]:
        entries = self.entries()
        drawn = torch.Generator().manual_seed(0)
        each = max(OF_ONE, -(-count // len(entries)))
        for place in torch.randperm(len(entries), generator=drawn).tolist():
            windows = LIBRARY_WINDOWS(entries[place].num_steps)
            chosen = torch.randperm(len(windows), generator=drawn)[: min(each, count)]
            yield window_statistics(self.read(entries[place]), windows[chosen])
            count -= len(chosen)
            if count <= 0:
                return
