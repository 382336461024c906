"""Recall of temporal actionness grouping on utkinect-reloc, beside sliding windows of the same number.

    python benchmarks/actionness_recall.py --root UTKINECT --output outputs/actionness

For each of the five class folds a classifier is trained on the training classes, chosen by AUC on the
validation classes, and saved in ``OUTPUT/fold<k>``; recall is that of instances of the test classes. What is
done is kept: a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vreloc_pyg.datasets import TASKS, RelocalizationSplit, TaskData, load_task
from vreloc_pyg.evaluation import mean_interval, to_markdown
from vreloc_pyg.experiments.candidates import train_proposals
from vreloc_pyg.files import write_text
from vreloc_pyg.proposals.proposal_recall import MARGIN, THRESHOLDS, best_overlaps
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource

#: Chosen by recall on validation classes.
NETWORK = {"num_layers": 1, "hidden_channels": 64, "kernel_size": 9}
TRAINING = {"border": 2, "border_label": "background", "steps_per_epoch": 20, "epochs": 12, "patience": 20}
GROUPING = {"smoothing": 0.0, "shortest": 5, "nms_threshold": 0.7}
GRID = [
    SlidingWindows(shortest, longest, ratio, overlap)
    for shortest, longest, ratio, overlap in itertools.product(
        (8, 12, 16), (24, 40, 80), (1.35, 1.6, 2.0, 3.0), (0.0, 0.1, 0.3, 0.5, 0.7)
    )
]
TAG, SLIDING, DENSE = "TAG", "sliding windows, as many", "sliding windows, all"


def found(source: ProposalSource, split: RelocalizationSplit) -> tuple[np.ndarray, float]:
    """Best tIoU of every instance of the split's classes, and the average number of proposals a video."""
    best, counts = [], []
    for reference in split.references:
        windows = source.propose(reference)
        counts.append(len(windows))
        for label in sorted(set(split.classes) & set(reference.labels)):
            best.append(best_overlaps(windows, reference.segments_of(label) / reference.seconds_per_step))
    return np.concatenate(best), float(np.mean(counts))


def as_many(number: float, split: RelocalizationSplit) -> SlidingWindows:
    """Of the sliding windows with at most ``number`` a video, those of most recall at .5 and .7."""
    ranked = []
    for windows in GRID:
        best, count = found(windows, split)
        if count <= number:
            ranked.append(((best > 0.5).mean() + (best > 0.7).mean(), windows))
    return max(ranked, key=lambda pair: pair[0])[1]


def run(data: TaskData, fold: int, output: Path) -> pd.DataFrame:
    """Train and test one fold, unless it is done."""
    folder = output / f"fold{fold}"
    answers = folder / "recall.csv"
    if answers.exists():
        return pd.read_csv(answers)
    training = {**TRAINING, "seed": fold}
    tag, auc = train_proposals(data, folder, NETWORK, training, GROUPING, progress=False)
    validation, test = data.splits["validation"], data.splits["test"]
    rows = []
    sources = {TAG: tag, SLIDING: as_many(found(tag, validation)[1], validation), DENSE: data.proposals}
    for name, source in sources.items():
        best, count = found(source, test)
        rows += [
            {"fold": fold, "system": name, "instance": i, "tiou": value, "proposals": count, "auc": auc}
            for i, value in enumerate(best)
        ]
    frame = pd.DataFrame(rows)
    write_text(answers, frame.to_csv(index=False))
    return frame


def tables(frame: pd.DataFrame, stem: Path) -> None:
    """Write ``STEM.md`` and ``STEM.csv``."""
    names = list(dict.fromkeys(frame["system"]))
    num_instances = int((frame["system"] == names[0]).sum())
    recalls = {}  # by name, [num_folds, num_thresholds]
    for name in names:
        own = frame[frame["system"] == name]
        found = pd.DataFrame({t: own["tiou"] > t + MARGIN for t in THRESHOLDS})
        recalls[name] = 100 * found.groupby(own["fold"]).mean().to_numpy()
    cell = "{:.1f} [{:.1f}, {:.1f}]".format
    columns = [f"tIoU > {threshold:g}" for threshold in THRESHOLDS]
    rows, plain = [], []
    for name in names:
        interval = mean_interval(recalls[name])
        number = frame.loc[frame["system"] == name].groupby("fold")["proposals"].first().mean()
        bounds = np.clip([interval.low, interval.high], 0, 100)
        cells = [cell(*values) for values in zip(interval.estimate, *bounds, strict=True)]
        rows.append({"proposals": name, "a video": number, **dict(zip(columns, cells, strict=True))})
        plain.append(
            {"proposals": name, "a video": number, **dict(zip(columns, interval.estimate, strict=True))}
        )
    gap = mean_interval(recalls[TAG] - recalls[SLIDING])
    cells = [cell(*values) for values in zip(gap.estimate, gap.low, gap.high, strict=True)]
    difference = pd.DataFrame([dict(zip(columns, cells, strict=True))])
    auc = frame.groupby("fold")["auc"].first()
    parts = [
        "# Temporal actionness grouping on utkinect-reloc",
        "Recall in % of instances of the test classes, all five class folds "
        f"({num_instances} instances), folds counted alike, in brackets 95 % t-intervals over folds. The "
        "classifier sees no class of validation or test; settings were chosen by recall on validation "
        f"classes. Its AUC on validation classes is {auc.min():.2f} to {auc.max():.2f}. "
        f"*{SLIDING}* are the best on validation classes of {len(GRID)} settings with no more windows a "
        "video than TAG.",
        "```sh\npython benchmarks/actionness_recall.py --root UTKINECT --output outputs/actionness "
        f"--table {stem.as_posix()}\n```",
        "The recordings hold ten actions of one to three seconds, one after the other with short pauses: a "
        "few window lengths at every place cover them, whereas grouping depends on a classifier that has "
        "seen six classes of ten people and hardly tells unseen actions from pauses.",
        to_markdown(pd.DataFrame(rows)),
        f"## {TAG} minus {SLIDING}",
        "Percentage points on the same instances, paired intervals.",
        to_markdown(difference),
    ]
    write_text(stem.with_suffix(".md"), "\n\n".join(part.rstrip() for part in parts) + "\n")
    write_text(stem.with_suffix(".csv"), pd.DataFrame(plain).to_csv(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="tables, without suffix")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    folds = range(TASKS["utkinect"].folds)
    frames = [run(load_task("utkinect", chosen.root, fold), fold, chosen.output) for fold in folds]
    if chosen.table is not None:
        tables(pd.concat(frames, ignore_index=True), chosen.table)


if __name__ == "__main__":
    main()
