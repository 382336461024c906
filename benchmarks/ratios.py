"""Speed as ratios that mean the same on a busy machine: the graph's sums over dense products, and ranking.

    python benchmarks/ratios.py --output docs/results/ratios.csv    # measures and writes
    python benchmarks/ratios.py --check docs/results/ratios.csv     # fails if one fell by more than a fifth

What is compared takes turns in one process, on one thread. Times are processor time and the least of the
rounds: whatever else runs only adds to them. Ranking is stated in products of matrices of 512 x 512, of which
the machine's rate is printed.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from vreloc_pyg.files import write_text
from vreloc_pyg.graphs import multi_scale_sums, to_dense_adjacency
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import KINECT_SKELETON, PENN_SKELETON
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.spec import Traits

SCALES, CHANNELS, SIDE = (1, 2, 3), 512, 512
#: T and B of the sums, the largest first: the allocator keeps memory once as much was freed.
#: Name, steps of query and reference, windows and skeleton of what is ranked.
GRAPHS = ((640, 1), (40, 64), (40, 32), (40, 8), (40, 1))
RANKED = (
    ("penn-action-reloc", 40, 560, SlidingWindows(), PENN_SKELETON),
    ("utkinect-reloc", 30, 1000, SlidingWindows(shortest=5, longest=80), KINECT_SKELETON),
)
SYSTEMS = ("mgffnet", "mgffnet-cnn", "mgffnet-match", "similarity-net")
#: Greatest share of a committed ratio that may be lost.
TOLERANCE = 0.2


def least_times(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least processor milliseconds of every way, in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):  # the first warms up
        for name, way in ways.items():
            begin = time.process_time()
            way()
            times[name].append(1e3 * (time.process_time() - begin))
    return {name: min(values[1:]) for name, values in times.items()}


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

    found = least_times({"dense": dense, "closed": closed}, rounds)
    return found["dense"] / found["closed"]


@torch.no_grad()
def ranking(rounds: int) -> dict[str, tuple[float, float, float]]:
    """Of every system and set: milliseconds, products of matrices in that time, and their rate in GFLOP/s."""
    found = {}
    square = torch.randn(SIDE, SIDE)
    for name, num_query, num_steps, source, skeleton in RANKED:
        traits = Traits(skeleton.num_features, skeleton=skeleton)
        query, reference = (torch.randn(count, skeleton.num_features) for count in (num_query, num_steps))
        windows = source(num_steps)
        for system in SYSTEMS:
            network = find_learned(system).build(traits).eval()
            ways = {
                "rank": partial(network.rank, query, reference, windows),
                "product": lambda: square @ square,
            }
            times = least_times(ways, rounds)
            rate = 2 * SIDE**3 / times["product"] / 1e6
            found[f"{system} on {name}, {len(windows)} windows"] = (
                times["rank"],
                times["rank"] / times["product"],
                rate,
            )
    return found


def measure(rounds: int) -> dict[str, float]:
    """Every ratio by what it is of: the higher the better."""
    ratios = {f"sums, T = {t}, B = {b}, over dense": sums(t, b, rounds) for t, b in GRAPHS}
    for name, (milliseconds, products, rate) in ranking(rounds).items():
        print(f"{name}: {milliseconds:.1f} ms, at {rate:.0f} GFLOP/s of a product", file=sys.stderr)
        ratios[f"{name}, of a thousand products"] = 1000 / products
    return ratios


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, help="CSV to write")
    parser.add_argument("--check", type=Path, help="committed CSV to compare with")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ratios = measure(options.rounds)
    lines = ["what,ratio", *(f'"{name}",{ratio:.4g}' for name, ratio in ratios.items())]
    print("\n".join(lines))
    if options.output is not None:
        write_text(options.output, "\n".join(lines) + "\n")
    return 0 if options.check is None else check(ratios, options.check)


def check(ratios: dict[str, float], path: Path) -> int:
    """1 if a ratio fell by more than :data:`TOLERANCE` from the committed one, else 0."""
    with path.open(newline="") as file:
        committed = {row["what"]: float(row["ratio"]) for row in csv.DictReader(file)}
    fallen = [name for name, ratio in committed.items() if ratios.get(name, 0) < (1 - TOLERANCE) * ratio]
    for name in fallen:
        print(f"{name}: {ratios.get(name, 0):.3g}, committed {committed[name]:.3g}", file=sys.stderr)
    return int(bool(fallen))


if __name__ == "__main__":
    sys.exit(main())
