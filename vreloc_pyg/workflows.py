"""What the commands do: train, evaluate, localize, and the demo that does all three."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vreloc_pyg.baselines import STRONGEST_RULE, LocalizerProtocol, standard_rules
from vreloc_pyg.datasets.base import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.benchmark import Benchmark
from vreloc_pyg.errors import DataError, SettingsError
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
from vreloc_pyg.features.extract import Extraction, extract_files, merge_stores, shard_path, video_files
from vreloc_pyg.features.extractor import VideoExtractor, load_extractor
from vreloc_pyg.features.metadata import check_metadata
from vreloc_pyg.features.pca import PCA, fit_pca, transform_store
from vreloc_pyg.features.store import open_store
from vreloc_pyg.files import write_text
from vreloc_pyg.localization import Localizer, RankingLocalizer
from vreloc_pyg.localization.locate import VideoAnswer, locate
from vreloc_pyg.localization.trained import train_localizer
from vreloc_pyg.proposals.actionness import ActionnessProposals, ActionnessSettings
from vreloc_pyg.proposals.lists import VideoProposals, write_proposal_list
from vreloc_pyg.proposals.recall import proposal_recall
from vreloc_pyg.proposals.source import ProposalSource, origin
from vreloc_pyg.proposals.tag import TAGSettings
from vreloc_pyg.report.clip import cut_clip
from vreloc_pyg.report.page import write_page
from vreloc_pyg.report.subtitles import subtitles
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.training.actionness import ActionnessTraining, train_actionness
from vreloc_pyg.training.presets import Preset


def benchmark_rules(benchmark: Benchmark) -> list[LocalizerProtocol]:
    """The systems without a network, fitted on the benchmark's training split."""
    mirror = None if benchmark.skeleton is None else benchmark.skeleton.mirror_features()
    return standard_rules(benchmark.splits["train"], benchmark.proposals, mirror)


def candidate_recall(
    split: RelocalizationSplit, proposals: ProposalSource, thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float]:
    """Share of pairs for which some candidate window passes each threshold, in percent: the oracle's R@1."""
    best = []
    for query, reference in (split[index] for index in range(len(split))):
        windows = steps_to_seconds(proposals.propose(reference), reference.seconds_per_step)
        best.append(best_tiou(windows, reference.segments_of(query.label)).max())
    recall = 100 * passes(torch.stack(best), thresholds).double().mean(0)
    return {f"{threshold:g}": value for threshold, value in zip(thresholds, recall.tolist(), strict=True)}


def load_localizer(checkpoint: str | Path, benchmark: Benchmark) -> RankingLocalizer:
    """A trained model for a benchmark; its own proposals, unless the benchmark was given some.

    Raises:
        FeatureError: if it was trained on features made in another way than the benchmark's.
        CheckpointError: if it cannot be read, or holds no proposals and none were given.
    """
    given = benchmark.proposals if benchmark.proposals_given else None
    localizer = Localizer.from_pretrained(checkpoint, given)
    if localizer.features is not None and benchmark.features is not None:
        check_metadata(localizer.features, benchmark.features, f"the features of {benchmark.name}")
    return localizer


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
    recall = candidate_recall(pairs, benchmark.proposals, thresholds)
    print("Recall of the candidate windows, % of queries: ", end="")
    print(", ".join(f"{value:.1f} at {threshold}" for threshold, value in recall.items()))
    rules = benchmark_rules(benchmark)
    frame = evaluate([*rules, *localizers], pairs, thresholds, progress)
    write_text(output / "per_query.csv", frame.to_csv(index=False))
    table = result_table(frame, thresholds)
    save_table(table, output / "results")
    save_table(difference_table(frame, STRONGEST_RULE, thresholds), output / "differences")
    return table


def train_proposals(
    benchmark: Benchmark,
    output: str | Path,
    network: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    grouping: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> tuple[ActionnessProposals, float]:
    """Train the actionness classifier of a benchmark and save its proposals into ``output``.

    Args:
        benchmark: its training classes are learnt, its validation classes choose.
        output: folder for the proposals, checkpoints and curves.
        network, training, grouping: settings to replace in
            :class:`~vreloc_pyg.proposals.actionness.ActionnessSettings`,
            :class:`~vreloc_pyg.training.actionness.ActionnessTraining` and
            :class:`~vreloc_pyg.proposals.tag.TAGSettings`.
        progress: show a progress bar.

    Returns:
        The proposals, and the area under the ROC curve on the validation classes.
    """
    train_split, validation = benchmark.splits["train"], benchmark.splits["validation"]
    width = train_split.num_features
    classifier, auc = train_actionness(
        train_split,
        validation,
        output,
        settings_from_dict(ActionnessSettings, {"in_channels": width, **(network or {})}),
        settings_from_dict(ActionnessTraining, training or {}),
        progress=progress,
    )
    metadata = None if benchmark.features is None else benchmark.features.to_dict()
    about = {"classes": list(train_split.classes), "features": metadata, "validation_auc": auc}
    groups = settings_from_dict(TAGSettings, grouping or {})
    found = ActionnessProposals(classifier, groups, about=about)
    found.save_pretrained(output)
    return found, auc


def write_proposals(benchmark: Benchmark, output: str | Path, split: str = "all") -> pd.DataFrame:
    """Write the candidates of references as a list in SSN's layout; return their recall.

    The list is by whole videos, in milliseconds: what was proposed in parts of a video is moved to its place
    in it. Recall is that of the test split, or of the one chosen, for instances of its own classes.

    Args:
        benchmark: with its proposals.
        output: the list.
        split: ``"all"``, or whose references.
    """
    bounds: dict[str, list[Tensor]] = {}
    instances: dict[str, dict[tuple[float, float, str], None]] = {}
    lasting: dict[str, float] = {}
    for name in benchmark.splits if split == "all" else (split,):
        for reference in benchmark.splits[name].references:
            video, offset = origin(reference), reference.offset_s
            windows = steps_to_seconds(benchmark.proposals.propose(reference), reference.seconds_per_step)
            bounds.setdefault(video, []).append(1000 * (windows + offset))
            ours = 1000 * (reference.segments + offset)
            spans = zip(ours.tolist(), reference.labels, strict=True)
            instances.setdefault(video, {}).update({(*span, label): None for span, label in spans})
            lasting[video] = max(lasting.get(video, 0.0), 1000 * (offset + reference.duration_s))
    write_proposal_list(
        output,
        [
            VideoProposals(
                video,
                torch.unique(torch.cat(parts), dim=0) if len(parts) > 1 else parts[0],
                math.ceil(lasting[video]),
                1000.0,
                torch.tensor([one[:2] for one in instances[video]], dtype=torch.float64).reshape(-1, 2),
                tuple(one[2] for one in instances[video]),
            )
            for video, parts in bounds.items()
        ],
    )
    judged = benchmark.splits["test" if split == "all" else split]
    found, wanted = {}, {}
    for reference in judged.references:
        windows = benchmark.proposals.propose(reference)
        found[reference.video_id] = steps_to_seconds(windows, reference.seconds_per_step)
        chosen = [i for i, label in enumerate(reference.labels) if label in judged.classes]
        wanted[reference.video_id] = reference.segments[chosen]
    return proposal_recall(found, wanted)


def reduce_features(
    features: str | Path, output: str | Path, basis: str | Path | None = None, components: int = 500
) -> Path:
    """Reduce a feature store by PCA into ``output``; fit the basis where none is given.

    Returns:
        The basis that was used.
    """
    store = open_store(features)
    if basis is not None:
        path, pca = Path(basis), PCA.load(basis)
    else:
        pca = fit_pca(store, components, batch_rows=max(2048, components))
        path = pca.save(Path(output).with_suffix(".pca.safetensors"))
    transform_store(pca, store, output)
    return path


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


def locate_videos(
    query: str | Path,
    reference: str | Path,
    checkpoint: str | Path | None = None,
    extractor: str | None = None,
    weights: str | Path | None = None,
    outputs: Mapping[str, str | None] | None = None,
    **options: Any,
) -> VideoAnswer:
    """Answer for two video files, with a progress bar; write what was asked for.

    Args:
        query, reference: the files.
        checkpoint: a trained model; by default a rule that needs no training.
        extractor, weights: of the features; by default the model's own, or I3D.
        outputs: files to write, by kind: ``json``, ``srt``, ``clip``, ``html``.
        **options: of :func:`vreloc_pyg.localization.locate.locate`.

    Raises:
        DataError: if an output is a folder, or could not be told from one of the videos.
    """
    from tqdm import tqdm

    wanted = {kind: Path(path) for kind, path in (outputs or {}).items() if path is not None}
    for path in wanted.values():
        if path.is_dir() or path.resolve() in (Path(query).resolve(), Path(reference).resolve()):
            raise DataError(f"Cannot write to {path}: it is a folder, or one of the videos")
    localizer, network = video_system(checkpoint, extractor, weights)
    with tqdm(unit=" frames", desc="reading", leave=False) as bar:
        answer = locate(query, reference, localizer, extractor=network, progress=bar.update, **options)
    if "json" in wanted:
        write_json(wanted["json"], answer.to_dict())
    if "srt" in wanted:
        write_text(wanted["srt"], subtitles(answer))
    if "html" in wanted:
        write_page(wanted["html"], answer)
    if "clip" in wanted and len(answer.segments):
        start, end = next(iter(answer.segments))
        cut_clip(reference, start, end, wanted["clip"])
    return answer


def video_system(
    checkpoint: str | Path | None, extractor: str | None, weights: str | Path | None
) -> tuple[RankingLocalizer | None, VideoExtractor]:
    """What answers for videos: a trained model or ``None`` for the rule, and the extractor it goes with.

    Args:
        checkpoint: a trained model; by default a rule that needs no training.
        extractor, weights: of the features; by default the model's own, or I3D.
    """
    localizer = None if checkpoint is None else Localizer.from_pretrained(checkpoint)
    trained_on = None if localizer is None else localizer.features
    name = extractor or (trained_on.extractor if trained_on is not None else None) or "i3d"
    rate = None if trained_on is None else trained_on.frame_rate
    return localizer, load_extractor(name, weights, rate)


def serve_page(
    checkpoint: str | Path | None,
    extractor: str | None,
    weights: str | Path | None,
    cache: str | Path | None,
    *server: Any,
) -> None:
    """Serve the web page until interrupted; the model and the network are loaded once.

    Args:
        checkpoint, extractor, weights: of :func:`video_system`.
        cache: folder of features.
        *server: further arguments of :func:`vreloc_pyg.report.server.serve`.
    """
    from vreloc_pyg.report.server import serve

    localizer, network = video_system(checkpoint, extractor, weights)
    serve(partial(locate, localizer=localizer, extractor=network, cache=cache), *server)


def print_answer(answer: VideoAnswer) -> None:
    """Print the verdict and a table of segments."""
    for note in answer.notes:
        print(f"Note: {note}")
    if answer.probability is not None and answer.probability < 0.5:
        print(
            f"No match: {answer.reference.name} does not seem to show the action of {answer.query.name} "
            f"(probability of a match {answer.probability:.2f}). The nearest segments:"
        )
    if len(answer.segments) == 0:
        print("No segment has that score.")
        return
    assert answer.segments.scores is not None
    print("rank  start        end          score")
    for rank, ((start, end), score) in enumerate(
        zip(answer.segments, answer.segments.scores.tolist(), strict=True), start=1
    ):
        print(f"{rank:4}  {clock(start):11}  {clock(end):11}  {score:+.3f}")


def extract_features(
    videos: str | Path,
    output: str | Path,
    extractor: str = "i3d",
    weights: str | Path | None = None,
    shard: str | None = None,
) -> tuple[Path, Extraction]:
    """Extract features of videos into a store, or of one shard of them into its own.

    Args:
        videos: a file or folder.
        output: the store.
        extractor, weights: of the features.
        shard: ``"I/N"``; by default torchrun's rank and world size, where they are set.

    Returns:
        The store that was written, and what became of the videos.
    """
    files = video_files(videos)
    index, count = _shard(shard)
    if count > 1:
        names = sorted(files)[index::count]
        if not names:
            raise DataError(f"Shard {index} of {count} has no video: there are {len(files)}")
        files, output = {name: files[name] for name in names}, shard_path(output, index, count)
    return Path(output), extract_files(files, load_extractor(extractor, weights), output)


def _shard(shard: str | None) -> tuple[int, int]:
    if shard is None:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    parts = shard.split("/")
    if len(parts) != 2 or not all(part.isdigit() for part in parts) or not int(parts[0]) < int(parts[1]):
        raise SettingsError(f"Expected shard as I/N with 0 <= I < N (got {shard!r})")
    return int(parts[0]), int(parts[1])


def merge_shards(output: str | Path) -> int:
    """Merge the shards of a store beside it; returns the number of videos.

    Raises:
        DataError: if one is missing.
    """
    output = Path(output)
    found = sorted(output.parent.glob(f"{output.stem}.*-of-*{output.suffix}"))
    counts = {path.stem.rpartition("-of-")[2] for path in found}
    if len(counts) > 1:
        raise DataError(f"Shards of several runs lie beside {output}: of {', '.join(sorted(counts))}")
    if counts and len(found) != int(*counts):
        raise DataError(f"Found {len(found)} of {int(*counts)} shards of {output}")
    return merge_stores(output, found)


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
