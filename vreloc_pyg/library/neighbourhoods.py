"""The first stage of a search: stretches of a library that look like a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from vreloc_pyg.library.library import Searchable
from vreloc_pyg.library.windows import windows_of

#: Neighbourhoods that the second stage looks at, and windows of the first for each: those of several lengths
#: and places that show one occurrence all come.
NEIGHBOURHOODS, WINDOWS_EACH = 50, 20
#: What is looked at on either side of a window, as a share of the query's length.
MARGIN = 1.0


@dataclass(frozen=True)
class Neighbourhood:
    """A stretch of a video in which the second stage searches.

    Args:
        number: of the video.
        start, stop: half-open, in steps.
        similarity: the best of the windows in it, less the query's background.
    """

    number: int
    start: int
    stop: int
    similarity: float


def neighbourhoods(found: Searchable, query: Tensor, count: int = NEIGHBOURHOODS) -> list[Neighbourhood]:
    """The first stage: stretches around the windows most like a query ``[q, F]``, best first.

    Windows that lie so near each other that their surroundings overlap are one stretch.
    """
    vector = found.descriptors.of_clip(query)
    ids, similarities = (one[0] for one in found.index.search(vector, count * WINDOWS_EACH))
    background = float(found.descriptors.background(vector))
    margin = max(1, round(MARGIN * len(query)))
    numbers, windows = windows_of(ids)
    stretches: dict[int, list[Neighbourhood]] = {}
    made = 0
    for number, (start, stop), similarity in zip(
        numbers.tolist(), windows.tolist(), similarities.tolist(), strict=True
    ):
        entry = found.entries.get(number)
        if entry is None:  # removed since, or no window at all
            continue
        one = Neighbourhood(
            number, max(0, start - margin), min(entry.num_steps, stop + margin), similarity - background
        )
        others = stretches.setdefault(number, [])
        touching = [other for other in others if other.start < one.stop and one.start < other.stop]
        if not touching and made == count:
            continue
        for other in touching:
            others.remove(other)
        made += 1 - len(touching)
        touching.append(one)
        others.append(_union(touching))
    every = [one for others in stretches.values() for one in others]
    return sorted(every, key=lambda one: -one.similarity)


def _union(parts: Sequence[Neighbourhood]) -> Neighbourhood:
    return Neighbourhood(
        parts[0].number,
        min(one.start for one in parts),
        max(one.stop for one in parts),
        max(one.similarity for one in parts),
    )
