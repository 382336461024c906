"""Poses from pixels: how often a person is found, how fast, and what answers they give on real clips.

    python benchmarks/pose.py --videos VIDEOS --checkpoints 'RUNS/*/mgffnet/model' --output pose.md

VIDEOS holds clips, and in ``across`` two of each action by other people, ``golf_swing_1.mp4`` and
``golf_swing_2.mp4``. Every clip is asked for in a video joined of the clips of the other number and one more.
"""

from __future__ import annotations

import argparse
import glob
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import torch

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.files import write_text
from vreloc_pyg.localization import Localizer
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.extractors import load_extractor
from vreloc_pyg.video.feature_cache import VideoFeatures
from vreloc_pyg.video.pose import PoseExtractor
from vreloc_pyg.video.pose_crop import Crop
from vreloc_pyg.video.pose_network import LEAST_SCORE
from vreloc_pyg.video.pose_track import track_poses
from vreloc_pyg.video.pose_weights import POSE_WEIGHTS

ACTIONS = ("golf_swing", "segway", "baseball_pitch", "soccer_juggling")
OTHER = {1: "other_cook", 2: "other_yoga"}
RATE, WIDTH, HEIGHT = 30, 456, 256

#: Resident memory in MB, before and after the features of a video.
MEMORY = """
import resource, sys, torch
torch.set_num_threads(1)
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.extractors import load_extractor
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
extract_video(sys.argv[1], load_extractor("pose"))
print(before / 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""

FINDING = """\
What is done was compared with the graphs that lie compiled in the wheel of mediapipe 0.10.21: sizes and
ranges of both inputs, anchors, sigmoid and its limits, overlap and weighting of detections, crop and its
turn, thresholds and refinement are theirs, and both filters but for their scale, which is 1.25 times
theirs. So is the way of resizing: bilinear, without smoothing; with it, or with OpenCV's places of pixels,
the detector's scores pass the threshold in about as many frames, with red and blue exchanged in a third as
many. Brightening dark frames changes little. With black bars, the surest person followed, and the detector
asked only in the frame after a loss, as there, 69 to 76 % of the frames of the clips above show a person,
by rate and way of resizing: where a score is near the threshold, chance decides. What made a difference:
their detector sees black bars beside a picture that is no square, ours sees its borders go on. Frames with
a person:"""


def join(clips: Sequence[Path], path: Path) -> dict[str, tuple[float, float]]:
    """Write clips one after the other, between black bars; where each lies, in seconds."""
    places, count = {}, 0
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for clip in clips:
            first = count
            high, wide, _ = next(read_frames(clip, FrameGrid(RATE, HEIGHT, None))).shape
            for part in read_frames(clip, FrameGrid(RATE, int(HEIGHT * min(1, wide / high)), None)):
                canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
                top, left = (HEIGHT - part.shape[0]) // 2, (WIDTH - part.shape[1]) // 2
                canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
                shown = av.VideoFrame.from_ndarray(canvas, "rgb24")
                shown.pts, shown.time_base = count, Fraction(1, RATE)
                sink.mux(stream.encode(shown))
                count += 1
            places[clip.stem] = (first / RATE, count / RATE)
        sink.mux(stream.encode(None))
    return places


def speed(videos: Sequence[Path]) -> list[str]:
    """Rows: frames with a person, and frames per second of processor time, decoding among them.

    Gaps that are interpolated count as frames without a person.
    """
    torch.set_num_threads(1)
    extractor = PoseExtractor(POSE_WEIGHTS.load())
    rows, frames, seen, seconds = [], 0, 0.0, 0.0
    for path in videos:
        start = time.process_time()
        present = extractor.read(path).present
        spent = time.process_time() - start
        share = float(present.mean())
        rows.append(f"| {path.name} | {len(present)} | {share:.0%} | {len(present) / spent:.0f} |")
        frames, seen, seconds = frames + len(present), seen + share * len(present), seconds + spent
    return [*rows, f"| all | {frames} | {seen / frames:.0%} | {frames / seconds:.0f} |"]


def seen_in(folder: Path, bars: bool, least: float) -> float:
    """Share of frames with a person, of the clips of a folder.

    Args:
        bars: whether the detector sees black beside a picture that is no square, as MediaPipe's does.
        least: its threshold.
    """
    torch.set_num_threads(1)
    extractor = PoseExtractor(POSE_WEIGHTS.load())
    detector, finder = extractor.networks.detector, extractor.networks.landmarks
    detector.least_score = least

    def between_bars(image: torch.Tensor) -> list[Crop]:
        height, width = image.shape[1:]
        down, right = (max(height, width) - height) // 2, (max(height, width) - width) // 2
        found = detector(torch.nn.functional.pad(image, (right, right, down, down)))
        return [replace(one, x=one.x - right, y=one.y - down) for one in found]

    look = between_bars if bars else detector
    clips = (read_frames(one, extractor.grid) for one in sorted(folder.iterdir()) if one.is_file())
    poses = [track_poses(one, look, finder, extractor.frame_rate) for one in clips]
    return float(np.concatenate([one.present for one in poses]).mean())


Finding = dict[tuple[bool, float], list[Future[float]]]


def finding(folders: Sequence[Path], pool: Executor) -> Finding:
    """Frames with a person in each folder, by what the detector sees and its threshold."""
    ways = [(bars, least) for bars in (False, True) for least in (LEAST_SCORE, LEAST_SCORE - 0.1)]
    return {way: [pool.submit(seen_in, folder, *way) for folder in folders] for way in ways}


def finding_rows(found: Finding) -> list[str]:
    """Rows of a table."""
    shares = {way: " | ".join(f"{one.result():.0%}" for one in row) for way, row in found.items()}
    return [
        f"| {'black bars' if bars else 'its borders'} | {least:.1f} | {row} |"
        for (bars, least), row in shares.items()
    ]


def features_of(video: Path, extractor: str) -> VideoFeatures:
    """Features of a video, in a process of its own."""
    torch.set_num_threads(1)
    return extract_video(video, load_extractor(extractor))


def answers(
    found: dict[str, VideoFeatures],
    places: dict[int, dict[str, tuple[float, float]]],
    localizer: Localizer,
) -> str:
    """Right clip, tIoU > .5 and mean tIoU of the first answers."""
    overlaps, right = [], 0
    for action in ACTIONS:
        for number in (1, 2):
            query, reference = found[f"{action}_{number}"], found[f"reference_{3 - number}"]
            step = query.seconds_per_step
            best = localizer.localize(
                Query(query.features, step, "", "query"),
                Reference(reference.features, step, torch.empty(0, 2), (), "reference"),
            )
            bounds = best.bounds[:1]
            start, end = places[3 - number][f"{action}_{3 - number}"]
            overlaps.append(float(temporal_iou(bounds, bounds.new_tensor([[start, end]]))[0, 0]))
            right += bool(start <= float(bounds.mean()) <= end)
    good = sum(one > 0.5 for one in overlaps)
    return f"{right} of 8 | {good} of 8 | {np.mean(overlaps):.2f}"


def across(folder: Path, checkpoints: Sequence[str], pool: Executor) -> list[str]:
    """Rows of every system."""
    systems: dict[str, tuple[str, Callable[[], Localizer]]] = {
        f"MGFFNet of Penn Action, {Path(one).parents[1].name}": (
            "pose",
            lambda one=one: Localizer.from_pretrained(one),
        )
        for one in checkpoints
    }
    for name in ("pose", "pose-path", "i3d"):
        systems[f"training-free rule, {name}"] = (name, lambda name=name: training_free(name))
    clips = {n: [folder / f"{one}_{n}.mp4" for one in ACTIONS] + [folder / f"{OTHER[n]}.mp4"] for n in (1, 2)}
    with tempfile.TemporaryDirectory() as made:
        joined = {n: Path(made, f"reference_{n}.mp4") for n in (1, 2)}
        places = {n: join(clips[n], joined[n]) for n in (1, 2)}
        videos = [*joined.values(), *(one for n in (1, 2) for one in clips[n][:-1])]
        names = dict.fromkeys(name for name, _ in systems.values())
        made_of = {name: [pool.submit(features_of, one, name) for one in videos] for name in names}
        features = {
            name: {one.stem: found.result() for one, found in zip(videos, made_of[name], strict=True)}
            for name in names
        }
    return [f"| {row} | {answers(features[name], places, make())} |" for row, (name, make) in systems.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--checkpoints", default="", help="folders of models trained on Penn Action, a glob")
    parser.add_argument("--processes", type=int, default=1, help="of which each runs one thread")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    clips = sorted(one for one in given.videos.iterdir() if one.is_file())
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        rates = pool.submit(speed, clips)
        shares = finding([given.videos, given.videos / "across"], pool)
        before, after = subprocess.run(
            [sys.executable, "-c", MEMORY, str(clips[-1])], check=True, capture_output=True, text=True
        ).stdout.split()[-2:]
        rows = across(given.videos / "across", sorted(glob.glob(given.checkpoints)), pool)
    lines = [
        "# Poses from pixels",
        "",
        "`python benchmarks/pose.py`, one thread, 15 frames a second. Frames per second are of processor "
        "time, with decoding, and were taken while other work ran.",
        "",
        "| video | frames | with a person | frames per second |",
        "| --- | --- | --- | --- |",
        *rates.result(),
        "",
        f"Peak memory with {clips[-1].name}: {float(after):.0f} MB, of which the interpreter with torch and "
        f"the package takes {float(before):.0f} before a network is loaded.",
        "",
        FINDING,
        "",
        "| beyond the picture the detector sees | least score | the clips above | the clips below |",
        "| --- | --- | --- | --- |",
        *finding_rows(shares),
        "",
        "Each clip of four actions asked for in a video joined of the clips of the other four people and one "
        "more; eight questions, first answers.",
        "",
        "| system, features | middle in the right clip | tIoU > .5 | mean tIoU |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]
    text = "\n".join(lines)
    print(text if given.output is None else f"Written to {write_text(given.output, text)}")


if __name__ == "__main__":
    main()
