"""Time of temporal actionness grouping, beside a plain implementation that walks over runs and steps.

    python benchmarks/tag_speed.py

Both run in turn in one process on curves of 300 steps; printed are medians of their ratio, and the time that
1,000 videos take on one core. The plain implementation is the oracle of ``tests/proposals/test_tag.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from vreloc_pyg.proposals.tag import TAGSettings, temporal_actionness_grouping

ORACLE = Path(__file__).resolve().parents[1] / "tests/proposals/test_tag.py"


def make_curve(kind: str, rng: np.random.Generator, steps: int = 300) -> np.ndarray:
    """A curve of actionness: white noise, a random walk, or actions with noise."""
    if kind == "noise":
        return rng.random(steps)
    walk = np.cumsum(rng.normal(size=steps))
    if kind == "walk":
        return 1 / (1 + np.exp(-walk))
    actions = 1.5 * np.sign(np.sin(np.arange(steps) / rng.uniform(4, 12)))
    return 1 / (1 + np.exp(-actions - rng.normal(size=steps)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--curves", type=int, default=11)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("oracle", ORACLE)
    assert spec is not None
    assert spec.loader is not None
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    rng = np.random.default_rng(0)
    for name, settings in (("released", TAGSettings(smoothing=0)), ("paper", TAGSettings.paper())):
        for kind in ("noise", "actions", "walk"):
            ratios, times = [], []
            for _ in range(chosen.curves):
                curve = make_curve(kind, rng)
                began = time.perf_counter()
                temporal_actionness_grouping(torch.from_numpy(curve), settings)
                middle = time.perf_counter()
                oracle.plain_tag(curve.tolist(), settings)
                times.append(middle - began)
                ratios.append((time.perf_counter() - middle) / times[-1])
            total = f"1,000 videos {1000 * median(times):.1f} s"
            print(f"{name:9} {kind:8} {median(ratios):6.1f} times faster, {total}")


if __name__ == "__main__":
    main()
