"""Features of single frames beside I3D's: what they cost, and which clip they find.

    python benchmarks/look.py ../shared/data/videos/across --output docs/results/look.md

Of every action there are two videos, by other people in other places. Each is asked for in references joined
of the other and of three or four clips of other actions, once with hard cuts and once with cross-fades. The
training-free rule is that of `vreloc locate`; the ten lines are the cosine of mean features in windows as
long as the query. Cost is processor time on one thread, of decoding and network, each measured in turn on the
same clips; memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.files import write_text
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.efficientnet_lite import LOOK_NETWORK, LookExtractor
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.extractor import VideoExtractor
from vreloc_pyg.video.i3d import I3D_NETWORK, I3DExtractor, choose_precision

Frames = NDArray[np.uint8]
#: An answer in steps, of features of a query and a reference and the duration of a step in seconds.
Answer = Callable[[Tensor, Tensor, float], tuple[float, float]]

RATE, SIDE = 25, 224
#: Frames in which one clip turns into the next.
FADE = 12
EXTRACTORS: dict[str, Callable[..., VideoExtractor]] = {
    "look": lambda precision="auto": LookExtractor(LOOK_NETWORK.load(), precision=precision),
    "i3d": lambda precision="auto": I3DExtractor(I3D_NETWORK.load(), precision=precision),
}


def join(clips: Sequence[Frames], fade: int) -> tuple[Frames, list[tuple[float, float]]]:
    """Clips one after the other, ``fade`` frames of each blended into the next, and their places in seconds.

    A cross-fade belongs half to the one clip and half to the other.
    """
    joined, bounds = clips[0], [0.0]
    for clip in clips[1:]:
        bounds.append(len(joined) - fade / 2)
        share = ((np.arange(fade) + 0.5) / fade)[:, None, None, None]
        blended = (1 - share) * joined[len(joined) - fade :] + share * clip[:fade]
        parts = (joined[: len(joined) - fade], blended.round().astype(np.uint8), clip[fade:])
        joined = np.concatenate(parts)
    bounds.append(float(len(joined)))
    return joined, [(start / RATE, end / RATE) for start, end in pairwise(bounds)]


def features(extractor: VideoExtractor, frames: Frames) -> Tensor:
    """Features of frames at 25 a second, of which the extractor sees those it would take of a video."""
    count = round(len(frames) * extractor.frame_rate / RATE)
    seen = ((np.arange(count) + 0.5) * RATE / extractor.frame_rate).astype(int)
    return torch.cat(list(extractor.stream(frames[index] for index in seen)))


def ten_lines(query: Tensor, reference: Tensor, step_s: float) -> tuple[float, float]:
    """The window as long as the query whose mean is nearest to the query's, by cosine."""
    length = min(len(query), len(reference))
    sums = torch.cat([torch.zeros(1, reference.size(1)), reference.cumsum(0)])
    scores = torch.cosine_similarity(sums[length:] - sums[:-length], query.mean(0, keepdim=True), dim=1)
    first = int(scores.argmax())
    return float(first), float(first + length)


def rule(query: Tensor, reference: Tensor, step_s: float) -> tuple[float, float]:
    """The training-free rule's best answer."""
    localizer = training_free(None)
    asked = Query(query, step_s, "", "query")
    searched = Reference(reference, step_s, torch.empty(0, 2), (), "reference")
    start, end = localizer.localize(asked, searched, top_n=1).bounds[0].tolist()
    return start / step_s, end / step_s


@dataclass(frozen=True)
class Question:
    """A query's clip, the clips of its reference in their order, and how those are joined."""

    query: str
    parts: tuple[str, ...]
    answer: str
    fade: int


def questions(names: Sequence[str], seed: int = 0) -> Iterator[Question]:
    """Both orders of every action that has two videos, with hard cuts and with cross-fades."""
    rng = np.random.default_rng(seed)
    for query in names:
        action, _, number = query.rpartition("_")
        if number not in ("1", "2"):
            continue
        answer = f"{action}_{3 - int(number)}"
        others = [name for name in names if name.rpartition("_")[0] != action]
        for fade in (0, FADE):
            parts = [answer, *rng.choice(others, size=int(rng.integers(3, 5)), replace=False)]
            yield Question(query, tuple(str(part) for part in rng.permutation(parts)), answer, fade)


def judged(clips: dict[str, Frames]) -> str:
    """What is found with each extractor by each way of answering, as tables."""
    ways: dict[str, Answer] = {"ten lines": ten_lines, "rule": rule}
    asked = list(questions(sorted(clips)))
    ious: dict[tuple[str, str], list[float]] = {}
    right: dict[tuple[str, str], list[bool]] = {}
    for name, make in EXTRACTORS.items():
        extractor = make()
        queries = {clip: features(extractor, clips[clip]) for clip in {one.query for one in asked}}
        for one in asked:
            frames, bounds = join([clips[part] for part in one.parts], one.fade)
            found = features(extractor, frames)
            truth = bounds[one.parts.index(one.answer)]
            for way, answer in ways.items():
                step_s = extractor.seconds_per_step
                start, end = (step_s * bound for bound in answer(queries[one.query], found, step_s))
                iou = temporal_iou(torch.tensor([[start, end]]), torch.tensor([truth]))
                ious.setdefault((name, way), []).append(float(iou))
                right.setdefault((name, way), []).append(truth[0] <= (start + end) / 2 < truth[1])
    total = len(asked)
    rows = [
        f"Right clip: the middle of the best answer lies in it. {total} questions.\n",
        "| features | answered by | right clip | tIoU > .5 | mean tIoU |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, way), found_ious in ious.items():
        hits = sum(iou > 0.5 for iou in found_ious)
        mean = statistics.mean(found_ious)
        rows.append(f"| {name} | {way} | {sum(right[name, way])} | {hits} | {mean:.2f} |")
    rows += [
        "\nThe tIoU of every answer:\n",
        "| query | joined by | " + " | ".join(map(", ".join, ious)) + " |",
    ]
    rows.append("| --- | --- |" + " --- |" * len(ious))
    for number, one in enumerate(asked):
        cells = " | ".join(f"{found[number]:.2f}" for found in ious.values())
        rows.append(f"| {one.query} | {'cross-fades' if one.fade else 'cuts'} | {cells} |")
    return "\n".join(rows) + "\n"


def cost(paths: Sequence[Path], rounds: int) -> str:
    """Processor time per second of video, and peak memory, as a table."""
    found: dict[tuple[str, str], list[float]] = {}
    precisions = ["float32"] if choose_precision("auto") == "float32" else ["float32", "bfloat16"]
    made = {(name, one): EXTRACTORS[name](one) for name in EXTRACTORS for one in precisions}
    for number in range(rounds + 1):  # the first warms up
        for key, extractor in made.items():
            begin, seconds = time.process_time(), 0.0
            for path in paths:
                seconds += extract_video(path, extractor).duration_s
            if number:
                found.setdefault(key, []).append((time.process_time() - begin) / seconds)
    middle = {key: statistics.median(times) for key, times in found.items()}
    rows = [
        "| features | precision | processor seconds per second of video | I3D's over it | peak memory |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, precision), seconds in middle.items():
        peak = subprocess.run(
            [sys.executable, __file__, str(paths[0]), "--peak", f"{name} {precision}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        ratio = middle["i3d", precision] / seconds
        rows.append(f"| {name} | {precision} | {seconds:.3f} | {ratio:.1f} | {peak} MB |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--peak", help="print the peak memory in MB of one extractor and precision")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak is not None:
        name, precision = options.peak.split()
        extract_video(options.clips, EXTRACTORS[name](precision))
        status = Path(
            "/proc/self/status"
        ).read_text()  # getrusage would tell the peak of the parent before exec
        print(round(int(status.partition("VmHWM:")[2].split()[0]) / 1024))
        return
    paths = sorted(options.clips.glob("*.mp4"))
    grid = FrameGrid(RATE, 256, SIDE)
    clips = {path.stem: np.stack(list(read_frames(path, grid))) for path in paths}
    text = (
        f"# Features of single frames\n\n`python benchmarks/look.py CLIPS --rounds {options.rounds}`, "
        f"{len(clips)} clips; {torch.backends.cpu.get_cpu_capability()}, 1 thread.\n\n"
        f"{' '.join(__doc__.split(chr(10) * 2)[2].split())}\n\n"
        f"## Cost\n\n{cost(paths[-2:], options.rounds)}\n## What is found\n\n"
        f"Here precision `auto` is {choose_precision('auto')}. {judged(clips)}"
    )
    print(text, end="")
    if options.output is not None:
        write_text(options.output, text)


if __name__ == "__main__":
    main()
