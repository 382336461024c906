"""The whole way on real clips: references joined from them, queries cut from them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.videos import REAL, write_video
from vreloc_pyg.localization.locate import locate
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.video.extractors import load_extractor
from vreloc_pyg.video.i3d import I3D_NETWORK

very_slow = pytest.mark.very_slow
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("real videos"),  # features are kept from test to test
    pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not here: set VRELOC_DATA"),
    pytest.mark.skipif(not I3D_NETWORK.weights_path().is_file(), reason="no weights of I3D: `make weights`"),
]

RATE = 25
ARMS, POOL, OTHER = "arm_wrestling.mp4", "cleaning_pool.mp4", "test.avi"
Part = tuple[str, float, float]
#: Clips joined into a reference, and the part of a clip that is looked for in it.
PAIRS: list[tuple[list[Part], Part]] = [
    ([(POOL, 0, 4), (ARMS, 5, 10), (OTHER, 0, 6)], (ARMS, 0, 4)),
    ([(OTHER, 0, 6), (ARMS, 0, 4), (POOL, 5, 10)], (POOL, 0, 4)),
    ([(ARMS, 5, 10), (POOL, 5, 10), (OTHER, 0, 6)], (POOL, 0, 4)),
    (
        [(OTHER, 0, 3), (POOL, 0, 5), (ARMS, 0, 5), (OTHER, 3, 6.4)],
        (ARMS, 5.5, 9.5),
    ),
]  # fmt: skip
#: References without the action of the query.
ABSENT: list[tuple[list[Part], Part]] = [
    ([(OTHER, 0, 6), (POOL, 0, 10)], (ARMS, 0, 4)),
    ([(ARMS, 0, 10), (OTHER, 0, 6)], (POOL, 0, 4)),
    ([(ARMS, 0, 5), (POOL, 0, 10)], (OTHER, 0, 4)),
]


def frames(part: Part, speed: float = 1.0) -> Iterator[np.ndarray]:
    name, start, end = part
    with av.open(str(REAL / name)) as source:
        images = [
            (frame.time, frame.reformat(340, 256, "rgb24").to_ndarray()) for frame in source.decode(video=0)
        ]
    times = np.array([time for time, _ in images])
    for index in range(round((end - start) / speed * RATE)):
        at = start + (index + 0.5) * speed / RATE
        yield images[max(0, int(np.searchsorted(times, at, side="right")) - 1)][1]


def join(path: Path, parts: list[Part]) -> tuple[Path, list[tuple[float, float]]]:
    """A reference and where its parts lie in it, in seconds."""
    images, bounds = [], []
    for part in parts:
        first = len(images)
        images += frames(part)
        bounds.append((first / RATE, len(images) / RATE))
    return write_video(path, images, RATE, options={"crf": "20"}), bounds


def cut_query(path: Path, part: Part, kind: str) -> Path:
    images = list(frames(part, 1.25 if kind == "faster" else 1.0))
    if kind == "mirrored":
        images = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    return write_video(path, images, RATE, options={"crf": "35" if kind == "re-encoded" else "20"})


@pytest.fixture(scope="module")
def extractor():
    return load_extractor()


@pytest.fixture(scope="module")
def references(tmp_path_factory, extractor):
    folder = tmp_path_factory.mktemp("references")
    return folder, [join(folder / f"{number}.mp4", parts) for number, (parts, _) in enumerate(PAIRS)]


@pytest.mark.parametrize(
    "kind", ["plain", *(pytest.param(kind, marks=very_slow) for kind in ("re-encoded", "mirrored", "faster"))]
)
def test_queries_are_found_in_joined_references(references, extractor, tmp_path, kind):
    folder, joined = references
    found = []
    for number, ((parts, query), (reference, bounds)) in enumerate(zip(PAIRS, joined, strict=True)):
        truth = bounds[[part[0] for part in parts].index(query[0])]
        clip = cut_query(tmp_path / f"{kind}{number}.mp4", query, kind)
        answer = locate(clip, reference, extractor=extractor, cache=folder / "cache")
        assert answer.duration_s == pytest.approx(bounds[-1][1], abs=1 / RATE)
        assert answer.found
        found.append(float(temporal_iou(answer.segments.bounds[:1], torch.tensor([truth]))))
    assert sum(overlap > 0.5 for overlap in found) >= 3, found


@very_slow
def test_a_copy_is_found_where_it_was_joined(references, extractor, tmp_path):
    """To within a step, and half of one where a join lies between steps."""
    folder, joined = references
    for number, ((parts, _), (reference, bounds)) in enumerate(zip(PAIRS, joined, strict=True)):
        clip = cut_query(tmp_path / f"{number}.mp4", parts[1], "plain")
        answer = locate(clip, reference, extractor=extractor, cache=folder / "cache")
        assert next(iter(answer.segments)) == pytest.approx(bounds[1], abs=1.5 * extractor.seconds_per_step)


@pytest.mark.parametrize(
    ("parts", "query"), [ABSENT[0], *(pytest.param(*pair, marks=very_slow) for pair in ABSENT[1:])]
)
def test_an_action_that_is_absent_is_no_match(extractor, tmp_path, parts, query):
    reference, _ = join(tmp_path / "reference.mp4", parts)
    clip = cut_query(tmp_path / "query.mp4", query, "plain")
    answer = locate(clip, reference, extractor=extractor, cache=tmp_path / "cache")
    assert answer.verdict == "not found"


@pytest.mark.parametrize("longer", [9, pytest.param(24, marks=very_slow)])
def test_memory_does_not_grow_with_the_reference(tmp_path, longer):
    """Frames are streamed: minutes need little more than half a minute, at 5 frames a second."""
    clip = list(frames((POOL, 0, 10)))[::5]
    peaks = []
    for repeats in (3, longer):
        path = write_video(tmp_path / f"{repeats}.mp4", clip * repeats, 5)
        code = (
            "import resource, sys\n"
            "from vreloc_pyg.video.extraction import extract_video\n"
            "from vreloc_pyg.video.extractors import load_extractor\n"
            "extract_video(sys.argv[1], load_extractor(frame_rate=5.0))\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 2 * 2**20  # KiB: under 2 GiB
    assert peaks[1] < 1.15 * peaks[0]
