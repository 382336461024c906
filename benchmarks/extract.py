"""Frames per second of I3D: as written, and in the forms that do the same faster.

    python benchmarks/extract.py --output docs/results/extract.md

Every form sees the same frames, in turn; the medians of the rounds are compared, and the features with
those of the plain form. Weights are random unless they were imported: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from vreloc_pyg.files import write_text
from vreloc_pyg.video.i3d import I3D_NETWORK, I3DExtractor, choose_precision
from vreloc_pyg.video.i3d_network import I3D


def network() -> I3D:
    """With imported weights where there are some."""
    if I3D_NETWORK.weights_path().is_file():
        found = I3D_NETWORK.load()
        assert isinstance(found, I3D)
        return found
    torch.manual_seed(0)
    return I3D().eval()


def forms(clip_frames: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """Ways from uint8 frames ``[N, 224, 224, 3]`` to features."""
    plain = network()

    def eager(frames: Tensor) -> Tensor:
        clips = [clip.permute(3, 0, 1, 2)[None].float() / 127.5 - 1 for clip in frames.split(clip_frames)]
        return torch.cat([plain.features(clip.contiguous())[0] for clip in clips])

    steps = clip_frames // I3D.FRAMES_PER_STEP
    ways: dict[str, Callable[[Tensor], Tensor]] = {"plain, float32, contiguous": eager}
    for precision in ("float32", "bfloat16"):
        for context in (0, 2):
            name = f"folded, channels last, {precision}" + (
                f", {context} steps of context" if context else ""
            )
            ways[name] = I3DExtractor(network(), 25.0, precision, steps, context)
    return ways


@torch.inference_mode()
def measure(rounds: int, num_frames: int, clip_frames: int) -> str:
    """The table as Markdown."""
    frames = torch.randint(0, 255, (num_frames, 224, 224, 3), dtype=torch.uint8)
    ways = forms(clip_frames)
    times: dict[str, list[float]] = {name: [] for name in ways}
    features = {name: way(frames) for name, way in ways.items()}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            way(frames)
            times[name].append(time.perf_counter() - begin)
    base = next(iter(ways))
    rows = ["| form | frames per second, over plain | least cosine with plain |", "| --- | --- | --- |"]
    for name in ways:
        ratio = statistics.median(times[base]) / statistics.median(times[name])
        near = torch.cosine_similarity(features[name], features[base], dim=1).min()
        rows.append(f"| {name} | {ratio:.2f} | {near:.4f} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=192)
    parser.add_argument("--clip_frames", type=int, default=96)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    table = measure(options.rounds, options.frames, options.clip_frames)
    print(table, end="")
    if options.output is not None:
        command = f"python benchmarks/extract.py --rounds {options.rounds} --frames {options.frames}"
        about = (
            f"# Speed of I3D\n\n`{command}`: {torch.get_num_threads()} threads, "
            f"{torch.backends.cpu.get_cpu_capability()}, medians of {options.rounds} rounds in turn.\n"
            f"Here precision `auto` is {choose_precision('auto')}. Frames are noise. Steps at the edges of\n"
            "a clip see other frames with context than without: that is what context is for, and why its\n"
            "cosine is lower.\n\n"
        )
        write_text(options.output, about + table)


if __name__ == "__main__":
    main()
