"""Chance and the query-blind rules on Feng et al.'s official test pairs: no features are needed.

    python benchmarks/video_reloc_rules.py --root VIDEO_RELOC --output docs/results/video_reloc_rules

VIDEO_RELOC is the folder with `train.json`, `val.json` and `test.json`. With ActivityNet's annotations,
``--annotations FILE --derivation docs/results/video_reloc_derivation`` derives the split from them and
accounts for every item.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from video_reloc_derive import DerivedItem, derive_items, plain_videos

from vreloc_pyg.datasets import RelocalizationSplit
from vreloc_pyg.datasets.video_reloc import FILES, RelocItem, VideoReloc, official_pairs
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import (
    evaluate,
    format_intervals,
    metric_named,
    published_numbers,
    recall,
    result_table,
    to_markdown,
)
from vreloc_pyg.files import read_json, write_text
from vreloc_pyg.systems.protocol import LocalizerProtocol
from vreloc_pyg.systems.rules.chance import Chance, ChanceKind
from vreloc_pyg.systems.rules.query_blind import CentredSegment, PriorSegment, WholeReference

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
METRICS = [*map(recall, THRESHOLDS), metric_named("R@1 avg"), metric_named("mean tIoU")]


def rules(train: RelocalizationSplit) -> list[LocalizerProtocol]:
    """Systems that never read features."""
    chances = [Chance(kind).fit(train) for kind in get_args(ChanceKind)]
    blind = [WholeReference(), CentredSegment(fraction=0.5), CentredSegment(num_steps=20)]
    return [*chances, *blind, PriorSegment().fit(train)]


def published() -> pd.DataFrame:
    """Published rows of chance and of the learned systems on ActivityNet."""
    table = published_numbers()
    columns = ["system", *(f"R@1({threshold:g})" for threshold in THRESHOLDS), "R@1 avg", "source"]
    return table.loc[table["data"] == "ActivityNet", columns].rename(columns={"system": "*published*"})


def results(root: Path, stem: Path) -> None:
    """Write the tables of results to ``STEM.md`` and ``STEM.csv``."""
    reloc = VideoReloc(root)
    splits, pairs = reloc.splits(), official_pairs(reloc.items("test"))
    test, systems = splits["test"], rules(splits["train"])
    kept = {
        "All official pairs": [True] * len(pairs),
        "Without pairs of an item with itself": [not pair.same_item for pair in pairs],
        "Without pairs of one video": [not pair.same_video for pair in pairs],
    }
    parts = [
        "# Chance and query-blind rules on Feng et al.'s test pairs",
        "None of these systems looks at a feature, or at the query beyond its length. R@1 in %, in brackets "
        "95 % t-intervals over classes; overlaps are of half-open intervals of whole steps (16 "
        "frames), and a hit has a tIoU strictly above the threshold. Chance is the exact expectation over "
        "all segments it can draw, ± the standard deviation of a single run. Rules are fitted on the "
        "training split, paired by the same rule of the released code.",
        "Made by",
        f"```sh\npython benchmarks/video_reloc_rules.py --root VIDEO_RELOC --output {stem.as_posix()}\n```",
    ]
    tables = []
    for title, chosen in kept.items():
        subset = replace(test, pairs=[pair for pair, keep in zip(test.pairs, chosen, strict=True) if keep])
        table = result_table(evaluate(systems, subset, METRICS, progress=False), METRICS)
        table = table.drop(columns=["ms/query"])
        parts += [f"## {title}: {len(subset)}", to_markdown(format_intervals(table))]
        tables.append(table.assign(pairs=title))
    parts += [
        "## Published numbers",
        "On this split where the source says Feng et al. or Kumar et al.; Zhou et al. state another.",
        to_markdown(published()),
    ]
    write_text(stem.with_suffix(".md"), "\n\n".join(part.rstrip() for part in parts) + "\n")
    write_text(stem.with_suffix(".csv"), pd.concat(tables).to_csv(index=False))


def account(
    published: Sequence[RelocItem], derived: Sequence[DerivedItem], annotated: set[str]
) -> dict[str, int]:
    """How many items of a split stand how to the published ones; those are all accounted for.

    Labels are compared through a mapping of published ids to derived names, which must be one to one.
    """

    def instance(item: RelocItem) -> tuple[str, int, int]:
        first = item.location[0]
        return item.video_id, first + item.groundtruth[0], first + item.groundtruth[1]

    exact = {(*instance(one.item), one.item.location): one.item for one in derived if not one.cropped}
    cropped = {instance(one.item): one.item for one in derived if one.cropped}
    names: dict[str, str] = {}
    counts = dict.fromkeys(
        ("derived exactly", "video not in the annotations", "cropped at random", "unexplained"), 0
    )
    for item in published:
        ours = exact.pop((*instance(item), item.location), None) or cropped.pop(instance(item), None)
        if ours is None:
            kind = "unexplained" if item.video_id in annotated else "video not in the annotations"
        elif ours.location == item.location:
            kind = "derived exactly"
        else:
            inside = ours.location[0] <= item.location[0] and item.location[1] <= ours.location[1]
            kind = "cropped at random" if inside else "unexplained"
        counts[kind] += 1
        if ours is not None and names.setdefault(item.label, ours.label) != ours.label:
            raise DataError(f"The published class {item.label} is {names[item.label]!r} and {ours.label!r}")
    if len(set(names.values())) != len(names):
        raise DataError("Two published classes are one derived class")
    return {"published": len(published), **counts, "derived, not published": len(exact) + len(cropped)}


def derivation(root: Path, annotations: Path, stem: Path) -> pd.DataFrame:
    """Account for every published item; write ``STEM.md``."""
    reloc = VideoReloc(root)
    values, lengths = read_json(annotations), read_json(root / "length.json")
    derived = derive_items(values, lengths, np.load(root / "perm.npy").tolist())
    annotated = set(plain_videos(values))
    table = pd.DataFrame(
        {"split": name, **account(reloc.items(name), derived[name], annotated)} for name in FILES
    )
    text = [
        "# Feng et al.'s split, derived from ActivityNet's annotations",
        "Every published item is derived exactly (video, stretch, instance, class), or its video is not in "
        f"the annotation file at hand ({len(annotated)} videos), or its stretch was longer than "
        "300 steps and cropped with a random generator that depends on every video before it; then the "
        "instance agrees and the published stretch lies in the derived one.",
        to_markdown(table),
        "```sh\npython benchmarks/video_reloc_rules.py --root VIDEO_RELOC --annotations ANNOTATIONS "
        f"--derivation {stem.as_posix()}\n```",
    ]
    write_text(stem.with_suffix(".md"), "\n\n".join(part.rstrip() for part in text) + "\n")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="tables of results, without suffix")
    parser.add_argument("--annotations", type=Path, help="ActivityNet's JSON, for --derivation")
    parser.add_argument("--derivation", type=Path, help="account of the derivation, without suffix")
    chosen = parser.parse_args()
    if (chosen.annotations is None) != (chosen.derivation is None):
        parser.error("--annotations and --derivation go together")
    if chosen.output is not None:
        results(chosen.root, chosen.output)
    if chosen.derivation is not None:
        print(to_markdown(derivation(chosen.root, chosen.annotations, chosen.derivation)), end="")


if __name__ == "__main__":
    main()
