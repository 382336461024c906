"""What the commands do: train, evaluate, localize, and the demo that does all three."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch

from vreloc_pyg.baselines import STRONGEST_RULE, LocalizerProtocol, standard_rules
from vreloc_pyg.datasets.base import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.benchmark import Benchmark
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import (
    THRESHOLDS,
    difference_table,
    evaluate,
    format_intervals,
    result_table,
    save_table,
    to_markdown,
)
from vreloc_pyg.evaluation.recall import best_tiou, passes
from vreloc_pyg.files import write_text
from vreloc_pyg.localization import Localizer
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.training.presets import Preset
from vreloc_pyg.training.run import train


def train_localizer(benchmark: Benchmark, preset: Preset, output: str | Path, **options: Any) -> Localizer:
    """Train a preset on a benchmark and save the best localizer into ``output/model``.

    Args:
        benchmark: its training split is trained on, its validation split chooses.
        preset: see :func:`vreloc_pyg.training.make_preset`.
        output: folder for the model, checkpoints and curves.
        **options: of :func:`vreloc_pyg.training.train`.
    """
    model = train(preset, benchmark.splits["train"], benchmark.splits["validation"], output, **options)
    localizer = Localizer(
        model, preset.pairing, preset.proposals, preset.refine, name=f"MGFFNet ({preset.name})"
    )
    localizer.save_pretrained(Path(output) / "model")
    return localizer


def benchmark_rules(benchmark: Benchmark) -> list[LocalizerProtocol]:
    """The systems without a network, fitted on the benchmark's training split."""
    mirror = None if benchmark.skeleton is None else benchmark.skeleton.mirror_features()
    return standard_rules(benchmark.splits["train"], benchmark.proposals, mirror)


def proposal_recall(
    split: RelocalizationSplit, benchmark: Benchmark, thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float]:
    """Share of pairs for which some candidate window passes each threshold, in percent: the oracle's R@1."""
    best = []
    for query, reference in (split[index] for index in range(len(split))):
        windows = steps_to_seconds(benchmark.proposals(reference.num_steps), reference.seconds_per_step)
        best.append(best_tiou(windows, reference.segments_of(query.label)).max())
    recall = 100 * passes(torch.stack(best), thresholds).double().mean(0)
    return {f"{threshold:g}": value for threshold, value in zip(thresholds, recall.tolist(), strict=True)}


def evaluate_benchmark(
    benchmark: Benchmark,
    localizers: Sequence[LocalizerProtocol],
    output: str | Path,
    split: str = "test",
    thresholds: Sequence[float] = THRESHOLDS,
    progress: bool = True,
) -> pd.DataFrame:
    """Evaluate systems beside the rules; write ``per_query.csv``, ``results`` and ``differences`` tables.

    Args:
        benchmark: whose ``split`` is answered.
        localizers: the learned systems; the rules are added.
        output: folder for the tables.
        split: ``"validation"`` or ``"test"``.
        thresholds: tIoU thresholds.
        progress: show progress bars.

    Returns:
        The table of results.
    """
    output = Path(output)
    pairs = benchmark.splits[split]
    recall = proposal_recall(pairs, benchmark, thresholds)
    print("Recall of the candidate windows, % of queries: ", end="")
    print(", ".join(f"{value:.1f} at {threshold}" for threshold, value in recall.items()))
    rules = benchmark_rules(benchmark)
    frame = evaluate([*rules, *localizers], pairs, thresholds, progress)
    write_text(output / "per_query.csv", frame.to_csv(index=False))
    table = result_table(frame, thresholds)
    save_table(table, output / "results")
    save_table(difference_table(frame, STRONGEST_RULE, thresholds), output / "differences")
    return table


def print_table(table: pd.DataFrame, columns: Sequence[str] = ()) -> None:
    """Print a table of results as Markdown; ``columns`` picks some, by default all."""
    shown = format_intervals(table)
    print(to_markdown(shown[["system", *columns]] if columns else shown), end="")


def read_features(path: str | Path) -> torch.Tensor:
    """Features ``[num_steps, F]`` of a ``.npy`` file, never unpickled.

    Raises:
        DataError: if the file cannot be read or holds no matrix of numbers.
    """
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"Cannot read the features {path}: {error}") from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        raise DataError(f"Expected a matrix [num_steps, F] of numbers in {path}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def localize_files(
    localizer: LocalizerProtocol,
    query: str | Path,
    reference: str | Path,
    seconds_per_step: float,
    top_n: int = 5,
) -> tuple[Segments, dict[str, Any]]:
    """Find the segments of a reference that show the query's action, both given as ``.npy`` features.

    Returns:
        The segments, best first, and the same as plain values for JSON.
    """
    clip = Query(read_features(query), seconds_per_step, "", Path(query).stem)
    video = Reference(read_features(reference), seconds_per_step, torch.empty(0, 2), (), Path(reference).stem)
    found = localizer.localize(clip, video, top_n)
    scores = [None] * len(found) if found.scores is None else found.scores.tolist()
    answer = {
        "query": str(query),
        "reference": str(reference),
        "system": localizer.name,
        "seconds_per_step": seconds_per_step,
        "segments": [
            {"rank": rank, "start_s": start, "end_s": end, "score": score}
            for rank, ((start, end), score) in enumerate(zip(found, scores, strict=True), start=1)
        ],
    }
    return found, answer


def clock(seconds: float) -> str:
    """``h:mm:ss.mmm``.

    Example:
        >>> clock(3725.5)
        '1:02:05.500'
    """
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def write_json(path: str | Path, values: dict[str, Any]) -> Path:
    """Write plain values as JSON, whole or not at all."""
    return write_text(path, json.dumps(values, indent=2) + "\n")


def run_demo(benchmark: Benchmark, preset: Preset, output: str | Path, pictures: int = 100) -> pd.DataFrame:
    """Train, evaluate beside the rules, and draw: everything the package does, on one benchmark.

    Writes ``results.md/.csv``, ``differences.md/.csv``, ``per_query.csv``, ``metrics.csv``, ``curves.png``,
    ``recall.png``, ``timelines/*.png`` and ``model/``.
    """
    from vreloc_pyg.report.plots import recall_curves, timeline_picture, training_curves

    output = Path(output)
    localizer = train_localizer(benchmark, preset, output)
    table = evaluate_benchmark(benchmark, [localizer], output)
    training_curves(output / "metrics.csv", output / "curves.png")
    recall_curves(table, output / "recall.png")
    test = benchmark.splits["test"]
    shown = [rule for rule in benchmark_rules(benchmark) if rule.name.startswith(("prior", "window"))]
    for index in range(min(pictures, len(test))):
        query, reference = test[index]
        answers = {system.name: system.localize(query, reference) for system in [*shown, localizer]}
        timeline_picture(
            query,
            reference,
            answers,
            reference.segments_of(query.label),
            output / "timelines" / f"{index:02d}.png",
            localizer.score_curve(query, reference),
        )
    return table
