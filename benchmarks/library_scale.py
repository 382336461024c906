"""1,000 hours as one library of made-up features: time of a query, memory, recall, building.

    python benchmarks/library_scale.py --hours 1000 --output docs/results    # 4 GB of disk

measures, writes ``library_scale.csv`` and makes ``library.md`` anew. Features go from one random act to the
next, so that neighbouring steps are alike and acts are not. A query is a stretch of one video at another
speed, with noise.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

import torch
from library_page import write_rows
from torch import Tensor
from torch.nn.functional import normalize

from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library, Searchable
from vreloc_pyg.library.neighbourhoods import NEIGHBOURHOODS, WINDOWS_EACH, neighbourhoods
from vreloc_pyg.library.search import search
from vreloc_pyg.library.vector_index import LARGE
from vreloc_pyg.library.windows import LIBRARY_WINDOWS, window_ids
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.rules.window_rule import WindowRule

STEP_S, WIDTH, STEPS = 0.32, 64, 5650  # I3D's step, half an hour a video
LOCALIZER = training_free(None)
#: Queries whose times are taken.
TIMED = 40


def video(number: int) -> Tensor:
    """Features ``[STEPS, WIDTH]`` of a video, a function of its number."""
    drawn = torch.Generator().manual_seed(number)
    acts = torch.randn(STEPS // 25 + 2, WIDTH, generator=drawn)
    place = torch.arange(STEPS) / 25
    low = place.long()
    share = (place - low)[:, None]
    return (1 - share) * acts[low] + share * acts[low + 1] + 0.3 * torch.randn(STEPS, WIDTH, generator=drawn)


def asked(number: int, videos: int, first: int = 0) -> Query:
    """A query made of one of so many videos from a first one on; named by the video and the steps."""
    drawn = torch.Generator().manual_seed(10**6 + number)
    source = first + int(torch.randint(videos, (1,), generator=drawn))
    length = int(torch.randint(8, 60, (1,), generator=drawn))
    start = int(torch.randint(STEPS - length, (1,), generator=drawn))
    speed = 0.75 + 0.5 * float(torch.rand(1, generator=drawn))
    places = torch.linspace(start, start + length - 1, max(4, round(length / speed))).long()
    clip = video(source)[places]
    clip = clip + 0.3 * torch.randn(clip.shape, generator=drawn)
    return Query(clip, STEP_S, "", f"of {source} [{start}, {start + length})")


@dataclass
class Exhaustive:
    """What comparing everything finds for queries, video by video; an index that holds only that.

    Args:
        asked: vectors of the queries, ``[Q, D]``.
        best: number of the video, first and last step of the best candidate window of all, by the
            localizer's own scores, ``[Q, 3]``.
        ids, similarities: of the nearest windows of the first stage, ``[Q, NEAREST]``.
    """

    asked: Tensor
    best: Tensor
    ids: Tensor
    similarities: Tensor

    def search(self, vectors: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """As an index would that compares every vector, of one query of those it was asked."""
        row = int((self.asked @ vectors[0]).argmax())
        return self.ids[row : row + 1, :count], self.similarities[row : row + 1, :count]


def search_exhaustively(library: Library, found: Searchable, queries: list[Query]) -> Exhaustive:
    """Every window of both stages is compared with all queries; statistics are made once for all of them."""
    rule, windows = LOCALIZER.ranker, LOCALIZER.proposals
    assert isinstance(rule, WindowRule)
    assert isinstance(windows, SlidingWindows)
    wanted = torch.cat([_statistics(normalize(one.features, dim=1), 0, one.num_steps) for one in queries])
    lengths = torch.tensor([one.num_steps for one in queries]).float()
    grid, first = windows(STEPS), LIBRARY_WINDOWS(STEPS)
    penalty = rule.length_weight * ((grid[:, 1] - grid[:, 0])[:, None] / lengths).log().abs()
    asked = torch.cat([found.descriptors.of_clip(one.features) for one in queries])
    score, count = torch.full((len(queries),), -torch.inf), NEIGHBOURHOODS * WINDOWS_EACH
    done = Exhaustive(
        asked,
        torch.zeros(len(queries), 3, dtype=torch.long),
        torch.full((len(queries), 0), -1),
        torch.empty(len(queries), 0),
    )
    for entry in found.entries.values():
        features = library.read(entry)
        totals = _totals(normalize(features, dim=1))
        for some, lost in zip(grid.split(4096), penalty.split(4096), strict=True):
            scores, at = (-(torch.cdist(_moments(totals, some), wanted) + lost)).max(0)
            better = scores > score
            score[better] = scores[better]
            done.best[better] = torch.cat([torch.full((len(at), 1), entry.number), some[at]], 1)[better]
        near = asked @ found.descriptors.vectors(features, first).T  # [Q, M]
        similarities = torch.cat([done.similarities, near], 1)
        ids = torch.cat([done.ids, window_ids(entry.number, first).expand(len(queries), -1)], 1)
        done.similarities, kept = similarities.topk(min(count, similarities.size(1)), dim=1)
        done.ids = ids.gather(1, kept)
    return done


def _totals(features: Tensor) -> Tensor:
    """Sums of features and of their squares up to each step, ``[n + 1, 2 F]``."""
    sums = torch.cat([features, features.square()], 1).double().cumsum(0)
    return torch.cat([sums.new_zeros(1, sums.size(1)), sums])


def _moments(totals: Tensor, windows: Tensor) -> Tensor:
    """Means and deviations of windows, ``[M, 2 F]`` float32."""
    sums = totals[windows[:, 1]] - totals[windows[:, 0]]
    mean, square = (sums / (windows[:, 1] - windows[:, 0])[:, None]).float().chunk(2, 1)
    return torch.cat([mean, (square - mean.square()).clamp(min=0).sqrt()], 1)


def _statistics(features: Tensor, start: int, stop: int) -> Tensor:
    return _moments(_totals(features), torch.tensor([[start, stop]]))


def holds(found: Searchable, query: Query, truth: Sequence[int], count: int) -> bool:
    """Whether one of the neighbourhoods holds a window."""
    number, start, stop = truth
    return any(
        one.number == number and one.start <= start and stop <= one.stop
        for one in neighbourhoods(found, query.features, count)
    )


def resident_mb() -> float:
    """Memory of this process now."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def p95(times: list[float]) -> float:
    return 1000 * sorted(times)[int(0.95 * (len(times) - 1))]


def ask(library: Library, found: Searchable, queries: list[Query]) -> dict[str, object]:
    """95th percentiles of processor time and of the clock, and memory."""
    first, both = [], []
    for query in queries:
        for times, answer in (
            (first, lambda: neighbourhoods(found, query.features)),  # noqa: B023 (called here)
            (both, lambda: search(library, [query], LOCALIZER, found=found)),  # noqa: B023
        ):
            began, wall = process_time(), perf_counter()
            answer()
            times.append((process_time() - began, perf_counter() - wall))
    return {
        f"{name} p95 {what}ms": round(p95(times))
        for name, turns in (("first stage", first), ("both stages", both))
        for what, times in zip(("CPU ", ""), zip(*turns, strict=True), strict=True)
    } | {"resident MB": round(resident_mb())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=float, default=1000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument(
        "--strangers", action="store_true", help="queries of videos that are not in the library"
    )
    parser.add_argument("--folder", help="keep the library here, and use the one that is there")
    parser.add_argument("--output", type=Path, help="folder of library.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    videos = max(1, round(given.hours * 3600 / STEP_S / STEPS))

    def made() -> Iterator[tuple[str, Tensor, float]]:
        for number in range(videos):
            yield f"video {number}", video(number), STEP_S

    with tempfile.TemporaryDirectory() as scratch:
        library, began = Library(given.folder or scratch, create=True), process_time()
        done = index_features(library, made(), FeatureMetadata(dim=WIDTH))
        row: dict[str, object] = {
            "hours": given.hours,
            "steps": videos * STEPS,
            "windows": done.windows,
            "index": "IVF-PQ" if done.windows >= LARGE else "flat",
            "CPU s to build": round(process_time() - began),
            "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        print(row, flush=True)
        found = library.searchable()
        first = videos if given.strangers else 0
        queries = [asked(number, videos, first) for number in range(given.queries)]
        row |= {"queries of": "other videos" if given.strangers else "its videos"}
        row |= {"queries": len(queries), **ask(library, found, queries[:TIMED])}
        print(row, flush=True)
        all_of_it = search_exhaustively(library, found, queries)
        ways = {"recall@50 flat": replace(found, index=all_of_it), "recall@50 as searched": found}
        truths = all_of_it.best.tolist()
        for what, way in ways.items():
            good = [holds(way, *one, NEIGHBOURHOODS) for one in zip(queries, truths, strict=True)]
            row[what] = f"{sum(good) / len(good):.3f}"
        print(row, flush=True)
    if given.output is not None:
        write_rows(given.output, "library_scale", [row], beside=("hours", "queries of"))


if __name__ == "__main__":
    main()
