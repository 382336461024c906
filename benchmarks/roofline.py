"""What one core gives: products of matrices, and numbers read and written, from memory and from the caches.

    python benchmarks/roofline.py

Processor time of one thread, the median of rounds in turns. A calculation that makes fewer operations for
each byte it moves than the first rate over the second waits for memory, one that makes more for arithmetic.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

#: Sides of square products; MiB that are added to in place, so that each number is read and written once.
SIDES, SIZES_MIB = (512, 1024), (0.25, 4, 256)
ROUNDS, LEAST_S = 15, 0.01


def rate(work: float, way: Callable[[], object], times: list[float]) -> float:
    """Note the processor seconds of one call, of several that last long enough; the rate so far."""
    calls, begin = 0, time.process_time()
    while calls == 0 or time.process_time() - begin < LEAST_S:
        way()
        calls += 1
    times.append((time.process_time() - begin) / calls)
    return work / median(times)


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """GFLOP/s of products, GB/s of sums in place."""
    ways: dict[str, tuple[float, Callable[[], object]]] = {}
    for side in SIDES:
        square = torch.randn(side, side)
        ways[f"product of {side} x {side}, GFLOP/s"] = 2 * side**3, lambda square=square: square @ square
    for size in SIZES_MIB:
        numbers = torch.zeros(int(size * 2**18))
        ways[f"{size:g} MiB read and written, GB/s"] = (
            8 * len(numbers),
            lambda numbers=numbers: numbers.add_(1),
        )
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        rates = {name: rate(work, way, times[name]) / 1e9 for name, (work, way) in ways.items()}
    return rates


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, found in measure().items():
        print(f"{name}: {found:.1f}")
