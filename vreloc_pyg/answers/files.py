"""Answers for two files: features, or videos."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vreloc_pyg.answers.clip import cut_clip
from vreloc_pyg.answers.page import write_page
from vreloc_pyg.answers.subtitles import subtitles
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store.directory import read_features
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.localization import Localizer, RankingLocalizer
from vreloc_pyg.localization.locate import VideoAnswer, locate
from vreloc_pyg.segments import Segments
from vreloc_pyg.systems.catalog import LocalizerProtocol
from vreloc_pyg.video.extractor import VideoExtractor, load_extractor


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
        *server: further arguments of :func:`vreloc_pyg.answers.server.serve`.
    """
    from vreloc_pyg.answers.server import serve

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


def clock(seconds: float) -> str:
    """``h:mm:ss.mmm``.

    Example:
        >>> clock(3725.5)
        '1:02:05.500'
    """
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
