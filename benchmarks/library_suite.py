"""A test set's references as one library: two stages against ranking every reference.

Run: ``python benchmarks/library_suite.py --root SHARED_DATA --output docs/results/library_suite.csv``
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time

import torch

from vreloc_pyg.datasets.splits import Query, RelocalizationSplit
from vreloc_pyg.datasets.tasks import load_task
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.search import search
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.moments import Moment
from vreloc_pyg.segments import temporal_iou

TASKS = ("penn_action", "jhmdb", "utkinect")
TOP = 5


def exhaustive(localizer: Localizer, query: Query, split: RelocalizationSplit, top_n: int) -> list[Moment]:
    """The best moments of all references, each ranked whole."""
    moments = []
    for reference in split.references:
        if reference.shares_source(query):
            continue
        found = localizer.localize(query, reference, top_n)
        scores = found.scores.tolist() if found.scores is not None else []
        moments += [
            Moment(reference.video_id, max(0.0, start), end, score)
            for (start, end), score in zip(found, scores, strict=True)
        ]
    return sorted(moments, key=lambda one: -one.score)[:top_n]


def hits(moments: Sequence[Moment], query: Query, split: RelocalizationSplit) -> list[bool]:
    """Whether each moment overlaps an instance of the query's class by a tIoU of .5."""
    references = {one.video_id: one for one in split.references}
    found = []
    for one in moments:
        truths = references[one.video].segments_of(query.label)
        here = torch.tensor([[one.start_s, one.end_s]], dtype=torch.float64)
        found.append(bool(len(truths)) and float(temporal_iou(here, truths).max()) >= 0.5)
    return found


def measure(
    name: str, root: Path, fold: int, count: int, most: int, checkpoint: str | None = None
) -> dict[str, object]:
    """One row."""
    data = load_task(name, root=root / name, fold=fold)
    split = data.splits["test"]
    localizer = training_free(None) if checkpoint is None else Localizer.from_pretrained(checkpoint)
    if checkpoint is None:
        localizer.proposals = data.proposals
        localizer.ranker = localizer.ranker.__class__(normalize=False, length_weight=0.25, search_steps=4)
    with tempfile.TemporaryDirectory() as folder:
        library = Library(folder, create=True)
        videos = ((one.video_id, one.features, one.seconds_per_step) for one in split.references)
        done = index_features(library, videos, FeatureMetadata(dim=split.num_features))
        found = library.searchable()
        drawn = torch.randperm(len(split.queries), generator=torch.Generator().manual_seed(0))[:most]
        slow, fast, ratios, same = [], [], [], 0
        for query in (split.queries[index].unlabelled() for index in drawn.tolist()):
            apart = {one.video_id for one in split.references if not one.shares_source(query)}
            entries = {number: one for number, one in found.entries.items() if one.name in apart}
            began = process_time()
            full = exhaustive(localizer, query, split, TOP)
            between = process_time()
            quick = search(library, [query], localizer, TOP, count, replace(found, entries=entries))
            ended = process_time()
            slow.append(full)
            fast.append(quick)
            ratios.append((between - began, ended - between))
            same += [(one.video, round(one.start_s, 3)) for one in full[:1]] == [
                (one.video, round(one.start_s, 3)) for one in quick[:1]
            ]
    queries = [split.queries[index] for index in drawn.tolist()]

    def recall(answers: list[list[Moment]], top_n: int) -> str:
        good = [any(hits(one[:top_n], query, split)) for one, query in zip(answers, queries, strict=True)]
        return f"{100 * sum(good) / len(good):.1f}"

    return {
        "set": name,
        "fold": fold,
        "system": "no training" if checkpoint is None else localizer.name,
        "references": len(split.references),
        "windows": done.windows,
        "queries": len(queries),
        "neighbourhoods": count,
        "R@1 exhaustive": recall(slow, 1),
        "R@1 library": recall(fast, 1),
        "R@5 exhaustive": recall(slow, 5),
        "R@5 library": recall(fast, 5),
        "same first answer %": f"{100 * same / len(queries):.1f}",
        "exhaustive CPU ms": f"{1000 * median(one for one, _ in ratios):.0f}",
        "library CPU ms": f"{1000 * median(one for _, one in ratios):.0f}",
        "times as fast": f"{median(one / max(other, 1e-9) for one, other in ratios):.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--most", type=int, default=60)
    parser.add_argument("--counts", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--checkpoint")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    given = parser.parse_args()
    rows = []
    for name in given.tasks:
        for count in given.counts:
            rows.append(measure(name, given.root, given.fold, count, given.most, given.checkpoint))
            print(rows[-1], flush=True)
    if given.output is not None:
        with given.output.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
