"""Runs that are killed at random points and resumed: what they leave equals what an undisturbed run leaves.

``python -m tests.kills.campaign --kills 200`` kills so many; 1 where something was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import pandas as pd
import torch
from tqdm import tqdm

from tests.kills import library_works
from tests.small_runs import small_run
from tests.videos import Levels, counting, write_video
from vreloc_pyg import cli
from vreloc_pyg.checkpoint import is_whole
from vreloc_pyg.datasets import TASKS, Loaded, Synthetic
from vreloc_pyg.datasets.splits import Reference
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.pca import reduce_features
from vreloc_pyg.features.store import HDF5Store, write_store
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.video.extraction import extract_files, extract_video
from vreloc_pyg.video.feature_cache import FeatureCache
from vreloc_pyg.video.video_files import video_files


@dataclass(frozen=True)
class Work:
    """Something that takes a while and writes files.

    Args:
        prepare: makes its input in a folder.
        run: does it in that folder, or goes on where it was killed.
        result: digest of what is left.
        kills: of a run, at most, before it may end.
        resuming_s: processor seconds that the slowest run in a folder took to come to something new, where
            that is noted.
    """

    prepare: Callable[[Path], object]
    run: Callable[[Path], object]
    result: Callable[[Path], str]
    kills: int = 4
    resuming_s: Callable[[Path], float] = lambda folder: 0.0


class Disturbed(NamedTuple):
    """How many runs were killed before they ended, what was wrong, and processor seconds of resuming."""

    kills: int
    lost: str
    resuming_s: float = 0.0


def digest(*parts: object) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(part.numpy().tobytes() if isinstance(part, torch.Tensor) else repr(part).encode())
    return made.hexdigest()[:16]


def make_videos(folder: Path) -> None:
    for number in range(6):
        write_video(folder / "videos" / f"{number}.mp4", counting(20 + 5 * number))


def extract(folder: Path) -> None:
    extract_files(video_files(folder / "videos"), Levels(), folder / "out.h5", progress=False)


def store_digest(name: str) -> Callable[[Path], str]:
    def of(folder: Path) -> str:
        store = HDF5Store(folder / name)
        left = sorted(one.name for one in folder.iterdir() if one.name.startswith((".", f"{name}.p")) and one.name != "out.pca.safetensors")  # fmt: skip  # noqa: E501
        about = [(video, store.content(video), store.frame_rate(video)) for video in store.ids()]
        return digest(about, left, *map(store.read, store.ids()))

    return of


def cache_features(folder: Path) -> None:
    for path in video_files(folder / "videos").values():
        extract_video(path, Levels(), cache=FeatureCache(folder / "cache"))


def cache_digest(folder: Path) -> str:
    found = [FeatureCache(folder / "cache").get(one) for one in sorted((folder / "cache").glob("[!.]*"))]
    return digest(*(one and one.features for one in found))


def make_store(folder: Path) -> None:
    features = ((f"v{number}", torch.randn(300, 24)) for number in range(30))
    write_store(folder / "features.h5", features, FeatureMetadata("c3d", 24, 16.0, 25.0))


def reduce(folder: Path) -> None:
    kept = folder / "out.pca.safetensors"
    reduce_features(folder / "features.h5", folder / "out.h5", kept if kept.exists() else None, components=8)


def propose(folder: Path) -> None:
    source = CachedProposals(SlidingWindows(), folder / "cache")
    for number in range(40):
        source.propose(Reference(torch.zeros(100 + number, 2), 0.5, torch.empty(0, 2), (), str(number)))


def proposals_digest(folder: Path) -> str:
    kept = {one.name: one.read_bytes() for one in (folder / "cache").glob("[!.]*")}
    return digest(sorted(kept.items()))


def train(folder: Path) -> None:
    last = folder / "run" / "checkpoints" / "last.ckpt"
    small_run("mgffnet", epochs=4, steps_per_epoch=3).train(folder / "run", resume=last.exists())


def training_digest(folder: Path) -> str:
    best = torch.load(folder / "run" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    curve = pd.read_csv(folder / "run" / "metrics.csv")
    return digest(*best.values(), curve.drop(columns=[c for c in curve if "time" in c]).to_csv())


def benchmark(folder: Path) -> None:
    sizes = {"num_train": 12, "num_validation": 4, "num_test": 4, "num_features": 8}
    TASKS["synthetic"] = replace(
        TASKS["synthetic"],
        splits=lambda request: Loaded(Synthetic(4, 2, 2, **sizes, seed=request.seed).splits()),
        windows=SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5),
    )
    words = [
        "benchmark",
        "--data",
        "synthetic",
        "--systems",
        "[window-rule,mgffnet]",
        "--output",
        str(folder / "out"),
    ]
    if cli.main([*words, "--quick"]) != 0:
        raise RuntimeError("the benchmark failed")


def benchmark_digest(folder: Path) -> str:
    from vreloc_pyg.experiments.predictions import read_table_gz

    frame = read_table_gz(folder / "out" / "predictions.csv.gz")
    models = sorted(path.parent for path in (folder / "out").rglob("model/config.json"))
    told = frame.drop(columns=[name for name in ("seconds", "train_s") if name in frame]).to_csv(index=False)
    return digest(told, [is_whole(model) for model in models])


def library_digest(folder: Path) -> str:
    return digest(library_works.left(folder))


WORKS = {
    "library": Work(
        make_videos, library_works.fill_from_videos, library_digest, resuming_s=library_works.slowest_s
    ),
    "library-features": Work(
        make_store, library_works.fill_from_store, library_digest, resuming_s=library_works.slowest_s
    ),
    "extraction": Work(make_videos, extract, store_digest("out.h5")),
    "feature-cache": Work(make_videos, cache_features, cache_digest),
    "pca": Work(make_store, reduce, store_digest("out.h5")),
    "proposals": Work(lambda folder: None, propose, proposals_digest),
    "training": Work(lambda folder: None, train, training_digest, kills=6),
    "benchmark": Work(lambda folder: None, benchmark, benchmark_digest, kills=6),
}


def _in_process(run: Callable[[Path], object], folder: Path) -> None:
    """In a forked process, which was not heard of when this one ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    tqdm.set_lock(RLock())  # tqdm's own is shared with this process, which would wait for one that is killed
    torch.manual_seed(0)
    run(folder)


def start(run: Callable[[Path], object], folder: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_in_process, args=(run, folder))
    process.start()
    return process


def disturb(work: Work, kills: int, seed: int) -> Disturbed:
    """Kill runs of a work so often."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="vreloc-kills-") as place:
        whole = Path(place, "whole")
        whole.mkdir()
        torch.manual_seed(0)
        work.prepare(whole)
        shutil.copytree(whole, Path(place, "fresh"))
        began = time.time()
        first = start(work.run, whole)
        first.join()
        lasting = time.time() - began
        if first.exitcode != 0:
            return Disturbed(0, f"the undisturbed run ended with {first.exitcode}")
        expected, done, number, slowest = work.result(whole), 0, 0, 0.0
        while done < kills:
            number += 1
            folder = Path(place, f"killed{number}")
            shutil.copytree(Path(place, "fresh"), folder)
            for _ in range(rng.randint(1, work.kills)):
                process = start(work.run, folder)
                process.join(rng.uniform(0, lasting))
                if process.exitcode is None:
                    done += 1
                process.kill()
                process.join()
                if process.exitcode not in (0, -9):
                    return Disturbed(done, f"try {number} ended with {process.exitcode} after a kill")
            last = start(work.run, folder)
            last.join()
            if last.exitcode != 0:
                return Disturbed(done, f"try {number} cannot be resumed: {last.exitcode}")
            found = work.result(folder)
            if found != expected:
                return Disturbed(done, f"try {number} left {found}, an undisturbed run {expected}")
            slowest = max(slowest, work.resuming_s(folder))
            shutil.rmtree(folder)
    return Disturbed(done, "", slowest)


def main() -> int:
    """Run the campaign; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="of all works together")
    parser.add_argument("--work", action="append", choices=list(WORKS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chosen = given.work or list(WORKS)
    total, wrong = 0, 0
    for name in chosen:
        done = disturb(WORKS[name], -(-given.kills // len(chosen)), given.seed)
        total, wrong = total + done.kills, wrong + bool(done.lost)
        print(json.dumps({"work": name, **done._asdict()}), flush=True)
    print(f"{total} kills, {wrong} works that lost something")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
