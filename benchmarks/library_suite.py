"""A test set's references as one library: two stages against ranking every reference.

    python benchmarks/library_suite.py --root DATA --output docs/results

measures, writes ``library_suite.csv`` and makes ``library.md`` anew. References that share a source with the
query are left out of both. Every query is asked of both in turn, in processor time of one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time

import torch
from library_page import write_rows

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


def asked_of(
    name: str, root: Path, fold: int, checkpoint: str | None
) -> tuple[Localizer, RelocalizationSplit]:
    """Who answers, with the set's own windows, and what is asked."""
    data = load_task(name, root=root / name, fold=fold)
    if checkpoint is not None:
        return Localizer.from_pretrained(checkpoint), data.splits["test"]
    localizer = training_free(None)
    localizer.proposals = data.proposals
    localizer.ranker = localizer.ranker.__class__(normalize=False, length_weight=0.25, search_steps=4)
    return localizer, data.splits["test"]


def measure(
    localizer: Localizer, split: RelocalizationSplit, counts: Sequence[int], most: int
) -> list[dict[str, object]]:
    """A row for each number of neighbourhoods."""
    drawn = torch.randperm(len(split.queries), generator=torch.Generator().manual_seed(0))[:most]
    queries = [split.queries[index] for index in drawn.tolist()]
    answers: dict[int, list[list[Moment]]] = {count: [] for count in (0, *counts)}  # 0: everything is ranked
    times: dict[int, list[float]] = {count: [] for count in answers}
    with tempfile.TemporaryDirectory() as folder:
        library = Library(folder, create=True)
        videos = ((one.video_id, one.features, one.seconds_per_step) for one in split.references)
        done = index_features(library, videos, FeatureMetadata(dim=split.num_features))
        found = library.searchable()
        for query in (one.unlabelled() for one in queries):
            apart = {one.video_id for one in split.references if not one.shares_source(query)}
            entries = {number: one for number, one in found.entries.items() if one.name in apart}
            searched = replace(found, entries=entries)
            for count in answers:
                began = process_time()
                if count:
                    moments = search(library, [query], localizer, TOP, count, searched)
                else:
                    moments = exhaustive(localizer, query, split, TOP)
                times[count].append(process_time() - began)
                answers[count].append(moments)

    def recall(count: int, top_n: int) -> str:
        good = [
            any(hits(one[:top_n], query, split)) for one, query in zip(answers[count], queries, strict=True)
        ]
        return f"{100 * sum(good) / len(good):.1f}"

    def first(count: int) -> list[list[tuple[str, float]]]:
        return [[(one.video, round(one.start_s, 3)) for one in found[:1]] for found in answers[count]]

    def milliseconds(count: int) -> str:
        return f"{1000 * median(times[count]):.0f}"

    return [
        {
            "references": len(split.references),
            "steps": sum(one.num_steps for one in split.references),
            "windows": done.windows,
            "queries": len(queries),
            "neighbourhoods": count,
            "R@1 all": recall(0, 1),
            "R@1 library": recall(count, 1),
            "R@5 all": recall(0, 5),
            "R@5 library": recall(count, 5),
            "same first %": f"{100 * sum(map(list.__eq__, first(0), first(count))) / len(queries):.1f}",
            "CPU ms all": milliseconds(0),
            "CPU ms library": milliseconds(count),
            "times as fast": f"{median(map(float.__truediv__, times[0], times[count])):.1f}",
        }
        for count in counts
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="folder of library.md")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--most", type=int, default=150, help="queries of a set")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument("--checkpoint")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for name in given.tasks:
        localizer, split = asked_of(name, given.root, given.fold, given.checkpoint)
        system = "no training" if given.checkpoint is None else localizer.name
        for row in measure(localizer, split, given.counts, given.most):
            rows.append(
                {"set": f"{name.replace('_', '-')}-reloc", "fold": given.fold, "system": system, **row}
            )
            print(rows[-1], flush=True)
    if given.output is not None:
        write_rows(given.output, "library_suite", rows)


if __name__ == "__main__":
    main()
