"""1,000 hours as one library of synthetic features: time of a query, memory, recall, building.

Made-up features follow random walks with jumps, so that neighbouring steps are alike and actions are not. A
query is a stretch of one video at another speed, with noise. Run, alone in its process (4 GB of
disk): ``python benchmarks/library_scale.py --hours 1000``
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

import torch
from torch import Tensor

import vreloc_pyg.library.library as library_module
from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library, Searchable
from vreloc_pyg.library.neighbourhoods import neighbourhoods
from vreloc_pyg.library.search import search
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.rules.window_rule import WindowRule

STEP_S, WIDTH, STEPS = 0.32, 64, 5650  # I3D's step, half an hour a video
LOCALIZER = training_free(None)


def video(number: int) -> Tensor:
    """Features ``[STEPS, WIDTH]`` of a video, a function of its number."""
    drawn = torch.Generator().manual_seed(number)
    acts = torch.randn(STEPS // 25 + 2, WIDTH, generator=drawn)
    place = torch.arange(STEPS) / 25
    low = place.long()
    share = (place - low)[:, None]
    return (1 - share) * acts[low] + share * acts[low + 1] + 0.3 * torch.randn(STEPS, WIDTH, generator=drawn)


def asked(number: int, videos: int) -> Query:
    """A query, and the video and steps it is made of."""
    drawn = torch.Generator().manual_seed(10**6 + number)
    source = int(torch.randint(videos, (1,), generator=drawn))
    length = int(torch.randint(8, 60, (1,), generator=drawn))
    start = int(torch.randint(STEPS - length, (1,), generator=drawn))
    speed = 0.75 + 0.5 * float(torch.rand(1, generator=drawn))
    places = torch.linspace(start, start + length - 1, max(4, round(length / speed))).long()
    clip = video(source)[places]
    clip = clip + 0.3 * torch.randn(clip.shape, generator=drawn)
    return Query(clip, STEP_S, "", f"of {source} [{start}, {start + length})")


def best_of_all(library: Library, queries: list[Query]) -> list[tuple[int, int, int]]:
    """For each query the video's number and steps of the best window of all, by the localizer's own scores.

    Every candidate window of every video is scored; statistics of a video are made once for all queries.
    """
    rule, windows = LOCALIZER.ranker, LOCALIZER.proposals
    assert isinstance(rule, WindowRule)
    assert isinstance(windows, SlidingWindows)
    from vreloc_pyg.sequences.statistics import window_statistics

    def normal(features: Tensor) -> Tensor:
        return torch.nn.functional.normalize(features, dim=1)

    wanted = torch.cat(
        [window_statistics(normal(one.features), torch.tensor([[0, one.num_steps]])) for one in queries]
    )
    lengths = torch.tensor([one.num_steps for one in queries]).float()
    best = torch.full((len(queries),), -torch.inf)
    place = torch.zeros(len(queries), 3, dtype=torch.long)
    grid = windows(STEPS)
    spans = (grid[:, 1] - grid[:, 0]).float()
    penalty = rule.length_weight * (spans[:, None] / lengths).log().abs()
    for entry in library.entries():
        features = normal(library.read(entry))
        total = torch.cat([features, features.square()], 1).double().cumsum(0)
        total = torch.cat([total.new_zeros(1, 2 * WIDTH), total]).float()
        moments = (total[grid[:, 1]] - total[grid[:, 0]]) / spans[:, None]
        mean, square = moments.chunk(2, 1)
        statistics = torch.cat([mean, (square - mean.square()).clamp(min=0).sqrt()], 1)
        scores, at = (-(torch.cdist(statistics, wanted) + penalty)).max(0)
        better = scores > best
        best[better] = scores[better]
        place[better] = torch.cat([torch.full((len(at), 1), entry.number), grid[at]], 1)[better]
    return [(one, start, stop) for one, start, stop in place.tolist()]


def holds(found: Searchable, query: Query, truth: tuple[int, int, int], count: int) -> bool:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--flat", action="store_true", help="compare every vector, whatever their number")
    parser.add_argument("--folder", help="keep the library here, and use the one that is there")
    given = parser.parse_args()
    videos = max(1, round(given.hours * 3600 / STEP_S / STEPS))
    if given.flat:
        library_module.LARGE = 10**12

    def made() -> Iterator[tuple[str, Tensor, float]]:
        for number in range(videos):
            yield f"video {number}", video(number), STEP_S

    with tempfile.TemporaryDirectory() as scratch:
        library = Library(given.folder or scratch, create=True)
        empty_mb, began = resident_mb(), process_time()
        report: dict[str, object] = {"hours": given.hours, "steps": videos * STEPS, "flat": given.flat}
        done = index_features(library, made(), FeatureMetadata(dim=WIDTH))
        report |= {
            "windows": done.windows,
            "CPU s to build": round(process_time() - began),
            "MB before": round(empty_mb),
            "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        print(json.dumps(report), flush=True)
        found = library.searchable()
        queries = [asked(number, videos) for number in range(given.queries)]
        first: list[float] = []
        both: list[float] = []
        first_wall: list[float] = []
        both_wall: list[float] = []
        for query in queries:
            began, wall = process_time(), perf_counter()
            neighbourhoods(found, query.features)
            first.append(process_time() - began)
            first_wall.append(perf_counter() - wall)
            began, wall = process_time(), perf_counter()
            search(library, [query], LOCALIZER, found=found)
            both.append(process_time() - began)
            both_wall.append(perf_counter() - wall)
        report |= {
            "first stage p95 CPU ms": round(p95(first)),
            "first stage p95 ms": round(p95(first_wall)),
            "both p95 CPU ms": round(p95(both)),
            "both p95 ms": round(p95(both_wall)),
            "resident MB": round(resident_mb()),
        }
        print(json.dumps(report), flush=True)
        truths = best_of_all(library, queries)
        good = [holds(found, one, truth, 50) for one, truth in zip(queries, truths, strict=True)]
        report["recall@50 of exhaustive search's best"] = sum(good) / len(good)
        planted = [
            one.video_id.startswith(f"of {truth[0] - 1} [")
            for one, truth in zip(queries, truths, strict=True)
        ]
        report["exhaustive search's best is where the query came from"] = sum(planted) / len(planted)
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
