"""Speed as ratios that mean the same on a busy machine: the graph's sums over dense products, and ranking.

    python benchmarks/ratios.py --output docs/results/ratios.csv    # measures five times and writes
    python benchmarks/ratios.py --check docs/results/ratios.csv     # fails if one fell by more than a fifth

What is compared takes turns in one process, on one thread, in processor time. A ratio is the median of those
of single turns: what else runs meets both halves of a turn alike. Of several runs their median is committed,
beside the least. A ratio that is found lower is measured again, as other programs come and go and a slower
code stays; it has fallen if it never is above its limit. Ranking is stated in products of matrices of 512 x
512, of which the machine's rate is printed.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch

from vreloc_pyg.files import write_text
from vreloc_pyg.graphs import multi_scale_sums, to_dense_adjacency
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import KINECT_SKELETON, PENN_SKELETON, Skeleton
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.spec import Traits

SCALES, CHANNELS, SIDE = (1, 2, 3), 512, 512
#: T and B of the sums, the largest first: the allocator keeps memory once as much was freed.
GRAPHS = ((640, 1), (40, 64), (40, 32), (40, 8), (40, 1))
#: Name, steps of query and reference, windows and skeleton of what is ranked.
RANKED = (
    ("penn-action-reloc", 40, 560, SlidingWindows(), PENN_SKELETON),
    ("utkinect-reloc", 30, 1000, SlidingWindows(shortest=5, longest=80), KINECT_SKELETON),
)
SYSTEMS = ("mgffnet", "mgffnet-cnn", "mgffnet-match", "similarity-net")
#: Greatest share of a committed ratio that may be lost; how often one that is found lower is measured in all.
TOLERANCE, ATTEMPTS = 0.2, 4
#: Processor seconds that a ratio is measured for at least, whatever the number of turns.
LEAST_S = 1.0

Measurement = Callable[[], float]


def in_turns(
    one: Callable[[], object], other: Callable[[], object], rounds: int
) -> list[tuple[float, float]]:
    """Processor milliseconds of both, turn by turn."""
    turns: list[tuple[float, float]] = []
    while len(turns) <= rounds or sum(map(sum, turns)) < 1e3 * LEAST_S:
        begin = time.process_time()
        one()
        between = time.process_time()
        other()
        turns.append((1e3 * (between - begin), 1e3 * (time.process_time() - between)))
    return turns[1:]  # the first warms up


def sums(num_steps: int, batch_size: int, rounds: int) -> float:
    """How many times faster than dense products the closed form is, forward and backward."""
    matrices = [to_dense_adjacency(num_steps, num_steps, k) for k in SCALES]
    x = torch.randn(batch_size, 2 * num_steps, CHANNELS, requires_grad=True)
    grads = [torch.randn(x.shape) for _ in SCALES]

    def dense() -> object:
        return torch.autograd.grad(
            [torch.bmm(one.expand(batch_size, -1, -1), x) for one in matrices], x, grads
        )

    def closed() -> object:
        return torch.autograd.grad(multi_scale_sums(x, num_steps, num_steps, SCALES), x, grads)

    return median(slow / fast for slow, fast in in_turns(dense, closed, rounds))


@torch.no_grad()
def ranking(
    system: str,
    num_query: int,
    num_steps: int,
    source: SlidingWindows,
    skeleton: Skeleton,
    rounds: int,
) -> float:
    """Rankings of one reference in the time of a thousand products of matrices."""
    network = find_learned(system).build(Traits(skeleton.num_features, skeleton=skeleton)).eval()
    query, reference = (torch.randn(count, skeleton.num_features) for count in (num_query, num_steps))
    windows, square = source(num_steps), torch.randn(SIDE, SIDE)
    turns = in_turns(lambda: square @ square, lambda: network.rank(query, reference, windows), rounds)
    product, rank = (median(times) for times in zip(*turns, strict=True))
    rate = 2 * SIDE**3 / product / 1e6
    print(f"{system}, {len(windows)} windows: {rank:.1f} ms, at {rate:.0f} GFLOP/s", file=sys.stderr)
    return median(1000 * product / rank for product, rank in turns)


def measurements(rounds: int) -> dict[str, Measurement]:
    """What measures each ratio, by what it is of: the higher the better."""
    found: dict[str, Measurement] = {
        f"sums, T = {t}, B = {b}, over dense": partial(sums, t, b, rounds) for t, b in GRAPHS
    }
    for name, *asked in RANKED:
        num_windows = len(asked[2](asked[1]))
        for system in SYSTEMS:
            what = f"{system} on {name}, {num_windows} windows, of a thousand products"
            found[what] = partial(ranking, system, *asked, rounds)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--runs", type=int, default=5, help="of --output")
    parser.add_argument("--output", type=Path, help="CSV to write")
    parser.add_argument("--check", type=Path, help="committed CSV to compare with")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    known = measurements(options.rounds)
    if options.check is not None:
        return check(known, options.check)
    runs = [{what: measure() for what, measure in known.items()} for _ in range(options.runs)]
    lines = ["what,ratio,least"]
    for what in known:
        ratios = [run[what] for run in runs]
        lines.append(f'"{what}",{median(ratios):.4g},{min(ratios):.4g}')
    print("\n".join(lines))
    if options.output is not None:
        write_text(options.output, "\n".join(lines) + "\n")
    return 0


def check(known: dict[str, Measurement], path: Path) -> int:
    """1 if a ratio stays more than :data:`TOLERANCE` below the committed one, else 0.

    As low as the least of the runs that were committed is no fall.
    """
    with path.open(newline="") as file:
        committed = {row["what"]: (float(row["ratio"]), float(row["least"])) for row in csv.DictReader(file)}
    fallen = False
    for what, (ratio, least) in committed.items():
        limit = min((1 - TOLERANCE) * ratio, least)
        found: list[float] = []
        while what in known and len(found) < ATTEMPTS and max(found, default=0.0) < limit:
            found.append(known[what]())
        shown = ", ".join(f"{one:.4g}" for one in found) or "not measured any more"
        print(f"{what}: {shown}; committed {ratio:.4g}, at least {limit:.4g}")
        fallen |= max(found, default=0.0) < limit
    return int(fallen)


if __name__ == "__main__":
    sys.exit(main())
