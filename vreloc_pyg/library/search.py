"""Finding all moments of a library that show what a clip shows, in two stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, StoredReference, check_features
from vreloc_pyg.errors import FeatureError
from vreloc_pyg.features.store.feature_store import FeatureSlice
from vreloc_pyg.library.catalog import Entry
from vreloc_pyg.library.library import Library, Searchable
from vreloc_pyg.library.neighbourhoods import NEIGHBOURHOODS, Neighbourhood, neighbourhoods
from vreloc_pyg.library.stored import LibraryStore
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.moments import Moment
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import Video
from vreloc_pyg.segments import Ranking, Segments, clip_segments, steps_to_seconds
from vreloc_pyg.systems.protocol import check_top_n


@dataclass(frozen=True)
class Given:
    """Candidate windows ``[M, 2]`` that are known already."""

    windows: Tensor

    def propose(self, video: Video) -> Tensor:
        return self.windows

    def fingerprint(self) -> str:
        return f"{len(self.windows)} windows"


def search(
    library: Library,
    queries: Sequence[Query],
    localizer: Localizer,
    top_n: int = 20,
    count: int = NEIGHBOURHOODS,
    found: Searchable | None = None,
) -> list[Moment]:
    """The ``top_n`` best moments of a library, best first; several clips of one action are asked together.

    The first stage finds neighbourhoods (:func:`neighbourhoods`), the second ranks every candidate window of
    the localizer that lies in one of them. Of a moment that several clips find, the best score counts.

    Args:
        library: what is searched.
        queries: clips whose features were made as the library's.
        localizer: the second stage.
        top_n: at most so many.
        count: neighbourhoods for each clip.
        found: what :meth:`.Library.searchable` gave, for many searches.

    Raises:
        FeatureError: if a query's features do not fit.
        DataError: if there is nothing to search.
    """
    check_top_n(top_n)
    found = library.searchable() if found is None else found
    answers: dict[int, list[Segments]] = {}
    for query in queries:
        _check(found, query)
        for entry, segments in _second_stage(library, found, query, localizer, top_n, count):
            answers.setdefault(entry.number, []).append(segments)
    moments = []
    known = localizer.calibration
    for number, parts in answers.items():
        entry = found.entries[number]
        scores = torch.cat([one.scores for one in parts if one.scores is not None])
        every = Segments(torch.cat([one.bounds for one in parts]), scores)
        for (start, end), score in _scored(every.moments(top_n)):
            verdict = None if known is None else known.verdict(score)
            moments.append(Moment(entry.name, start, end, score, verdict))
    moments.sort(key=lambda one: (-one.score, one.video, one.start_s))
    return moments[:top_n]


class _Part(NamedTuple):
    """A neighbourhood, candidate windows ``[M, 2]`` counted from its start, and its features ``[n, F]``."""

    place: Neighbourhood
    entry: Entry
    windows: Tensor
    features: Tensor

    @property
    def reference(self) -> Reference:
        return Reference(self.features, self.entry.seconds_per_step, torch.empty(0, 2), (), self.entry.name)


def _second_stage(
    library: Library, found: Searchable, query: Query, localizer: Localizer, top_n: int, count: int
) -> Iterator[tuple[Entry, Segments]]:
    """Videos with their best segments in seconds, a pair for each neighbourhood."""
    parts = _parts(library, found, query, localizer, count)
    ranked = []
    for part, ranking in zip(parts, _rankings(localizer, query, parts), strict=True):
        scores = ranking.segments.scores
        assert scores is not None
        if len(scores):
            ranked.append((float(scores.max()), part, ranking))
    ranked.sort(key=lambda found: -found[0])
    for _, part, ranking in ranked[:top_n]:  # of no other stretch is the best among the answers
        entry, step = part.entry, part.entry.seconds_per_step
        segments = localizer.best(ranking, query, part.reference, top_n)
        bounds = segments.bounds + part.place.start * step
        shortest = min(step, entry.duration_s)
        yield entry, Segments(clip_segments(bounds, entry.duration_s, shortest), segments.scores)


def _parts(
    library: Library, found: Searchable, query: Query, localizer: Localizer, count: int
) -> list[_Part]:
    """Neighbourhoods with the localizer's windows that lie in them."""
    parts = []
    sliding = localizer.proposals if isinstance(localizer.proposals, SlidingWindows) else None
    store = LibraryStore(library) if sliding is None else None  # knows every entry: made once
    proposed: dict[int, Tensor] = {}
    for one in neighbourhoods(found, query.features, count):
        entry = found.entries[one.number]
        if sliding is not None:
            windows = sliding.within(entry.num_steps, one.start, one.stop)
        else:
            if one.number not in proposed:
                assert store is not None
                whole = FeatureSlice(store, entry.name, 0, entry.num_steps)
                video = StoredReference(whole, entry.seconds_per_step, torch.empty(0, 2), (), entry.name)
                proposed[one.number] = localizer.proposals.propose(video)
            windows = windows_within(proposed[one.number], one.start, one.stop)
        nothing = torch.tensor([[one.start, one.stop]])
        windows = (windows if len(windows) else nothing) - one.start
        parts.append(_Part(one, entry, windows, library.read(entry, one.start, one.stop)))
    return parts


def _rankings(localizer: Localizer, query: Query, parts: Sequence[_Part]) -> Iterator[Ranking]:
    """Of each part; all in one go where nothing outside a window counts, as small parts are all overhead."""
    asked = copy(localizer)
    if not localizer.local or not parts:
        for part in parts:
            asked.proposals = Given(part.windows)
            yield asked.rank(query, part.reference)
        return
    starts = accumulate((len(part.features) for part in parts[:-1]), initial=0)
    windows = [part.windows + start for start, part in zip(starts, parts, strict=True)]
    asked.proposals = Given(torch.cat(windows))
    joined = parts[0]._replace(features=torch.cat([part.features for part in parts]))
    scores = asked.rank(query, joined.reference).segments.scores
    assert scores is not None
    for part, own in zip(parts, scores.split([len(part.windows) for part in parts]), strict=True):
        bounds = steps_to_seconds(part.windows, part.entry.seconds_per_step)
        yield Ranking(part.windows, Segments(bounds, own))


def windows_within(windows: Tensor, start: int, stop: int) -> Tensor:
    """Those of a video's windows ``[M, 2]`` that lie in half-open steps of it."""
    return windows[(windows[:, 0] >= start) & (windows[:, 1] <= stop)]


def _check(found: Searchable, query: Query) -> None:
    check_features(query.features, f"query {query.video_id!r}", found.descriptors.centre.numel() // 2)
    step = next(iter(found.entries.values())).seconds_per_step
    if abs(query.seconds_per_step - step) > 0.01 * step:
        raise FeatureError(
            f"Steps last {query.seconds_per_step:g} s in the query and {step:g} s in the library"
        )


def _scored(segments: Segments) -> Iterator[tuple[tuple[float, float], float]]:
    assert segments.scores is not None
    return zip(segments, segments.scores.tolist(), strict=True)
