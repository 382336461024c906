"""Shards from a Ray Data pipeline of two workers, on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.videos import counting, write_video
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.features.store import HDF5Store
from vreloc_pyg.video.extraction import extract_files
from vreloc_pyg.video.extractors import EXTRACTORS, load_extractor
from vreloc_pyg.video.ray_shards import extract_with_ray
from vreloc_pyg.video.shards import merge_shards
from vreloc_pyg.video.video_files import video_files

PROGRAM = """
import json, sys
import ray
from vreloc_pyg.video import extractors, ray_shards

class Actor(ray_shards.ShardActor):
    def __init__(self, *given):
        from vreloc_pyg.video.extractors import EXTRACTORS
        EXTRACTORS["levels"] = "tests.videos:LEVELS"
        super().__init__(*given)

ray_shards.ShardActor = Actor
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, logging_level="ERROR")
found = ray_shards.extract_with_ray(sys.argv[1], sys.argv[2], "levels", shards=3)
print("found", json.dumps([{**row, "failed": list(row["failed"])} for row in found]))
ray.shutdown()
"""


@pytest.mark.very_slow
def test_two_workers_write_the_shards_of_vreloc_features(tmp_path, monkeypatch):
    for number in range(5):
        write_video(tmp_path / "videos" / f"{number}.mp4", counting(20 + number, 3 + number))
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"none")
    here = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "videos"), str(tmp_path / "features.h5")]
    settings = {**os.environ, "PYTHONPATH": here, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": ""}
    run = subprocess.run(words, cwd=here, env=settings, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stderr[-2000:]
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("found "))
    rows = json.loads(line.removeprefix("found "))
    assert [row["shard"] for row in rows] == [0, 1, 2]
    assert sum(row["done"] for row in rows) == 5
    assert [why.partition(":")[0] for row in rows for why in row["failed"]] == ["bad"]
    assert merge_shards(tmp_path / "features.h5") == 5
    monkeypatch.setitem(EXTRACTORS, "levels", "tests.videos:LEVELS")
    files = video_files(tmp_path / "videos")
    extract_files(files, load_extractor("levels"), tmp_path / "alone.h5", progress=False)
    merged, alone = HDF5Store(tmp_path / "features.h5"), HDF5Store(tmp_path / "alone.h5")
    assert merged.ids() == alone.ids()
    for name in alone.ids():
        assert torch.equal(merged.read(name), alone.read(name))


def test_more_shards_than_videos(tmp_path):
    write_video(tmp_path / "0.mp4", counting(4))
    with pytest.raises(SettingsError, match="between 1 and 1 shards"):
        extract_with_ray(tmp_path, tmp_path / "out.h5", shards=2)
