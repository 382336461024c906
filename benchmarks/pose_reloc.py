"""Results on penn-action-reloc and utkinect-reloc: every system, all five class folds.

    python benchmarks/pose_reloc.py --benchmark penn_action --root PENN_ACTION --output outputs/penn_action

What is done is kept in the output folder: a run that was interrupted goes on where it stopped, and several
processes may work on different ``--folds``. When all folds are there, ``--table docs/results/penn_action``
writes the tables. Validation classes choose the checkpoint; test classes are evaluated once.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from vreloc_pyg.baselines import STRONGEST_RULE, LocalizerProtocol
from vreloc_pyg.datasets import Query, Reference, RelocalizationSplit, load_benchmark
from vreloc_pyg.datasets.benchmark import NUM_FOLDS, Benchmark
from vreloc_pyg.evaluation import difference_table, evaluate, format_intervals, result_table, to_markdown
from vreloc_pyg.files import write_text
from vreloc_pyg.localization import Localizer
from vreloc_pyg.segments import Segments
from vreloc_pyg.training import Preset, make_preset
from vreloc_pyg.workflows import benchmark_rules, candidate_recall, train_localizer

#: The paper trains for 10,000 steps; these take about ten minutes on one core.
PAPER_TRAINING = {"epochs": 2, "steps_per_epoch": 110, "validation_pairs": 30}
#: Scoring one reference with 500 channels takes seconds on a CPU: only so many test queries a fold.
PAPER_QUERIES = 70
NOTES = {
    "penn_action": "References are composed of clips, and in slow actions the cross-fades are the fastest "
    "motion: part of what is learned at high tIoU is where clips were joined. The row *cut detector* shows "
    "what joins alone are worth, the row *query of another class* that the answers depend on the query.",
    "utkinect": "References are untrimmed recordings: nothing was joined.",
}
PAPER, CNN = "MGFFNet (paper)", "CNN (recommended without graphs)"
#: Untrimmed recordings hold some two thousand windows each, composed references some three hundred.
VALIDATION_PAIRS = {"penn_action": 120, "utkinect": 40}
ACTIONNESS_NOTE = (
    "Candidates of every system are the groups of a class-agnostic actionness classifier that was trained "
    "on the fold's training classes and chosen on its validation classes."
)
SYSTEMS = ("rules", "recommended", "wrong_query", "cnn", "paper")


class WrongQuery:
    """A trained localizer that is asked with a query of another class.

    What it still finds, it finds by where actions begin and end, not by which action is meant.
    """

    def __init__(self, localizer: Localizer, split: RelocalizationSplit) -> None:
        self.localizer = localizer
        self.name = f"{localizer.name}, query of another class"
        half = len(split.queries) // 2
        turned = [*split.queries[half:], *split.queries[:half]]
        # By their features, since several queries may be cut from one video.
        self.other = {
            id(query.features): next(other for other in [*turned[i:], *turned] if other.label != query.label)
            for i, query in enumerate(split.queries)
        }

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        return self.localizer.localize(self.other[id(query.features)], reference, top_n)


def preset(system: str, benchmark: Benchmark, fold: int) -> Preset:
    """The settings of a learned system."""
    width = benchmark.splits["train"].num_features
    parts = (width, benchmark.proposals, benchmark.skeleton)
    if system == "paper":
        return make_preset(
            "paper", *parts, training={**PAPER_TRAINING, "seed": fold}, shortest=benchmark.shortest
        )
    model = {"aggregate": False} if system == "cnn" else None
    training = {"seed": fold, "validation_pairs": VALIDATION_PAIRS[benchmark.name]}
    return make_preset("recommended", *parts, model=model, training=training, shortest=benchmark.shortest)


def run(system: str, benchmark: Benchmark, fold: int, folder: Path) -> None:
    """Train and test one system on one fold, unless its answers are there already."""
    answers = folder / f"{system}.csv"
    if answers.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    localizers: list[LocalizerProtocol]
    if system == "rules":
        localizers = benchmark_rules(benchmark)
    elif system == "wrong_query":
        asked = Localizer.from_pretrained(folder / "recommended" / "model")
        localizers = [WrongQuery(asked, benchmark.splits["test"])]
    else:
        trained = folder / system / "model"
        if not trained.exists():
            train_localizer(benchmark, preset(system, benchmark, fold), folder / system)
        localizer = Localizer.from_pretrained(trained)
        localizer.name = {"cnn": CNN}.get(system, localizer.name)
        localizers = [localizer]
    pairs = benchmark.splits["test"]
    if system == "paper":
        pairs = replace(pairs, pairs=pairs.pairs[:PAPER_QUERIES])
    frame = evaluate(localizers, pairs).assign(fold=fold)
    if system == "rules":
        recall = candidate_recall(benchmark.splits["test"], benchmark.proposals)
        pd.Series(recall).to_csv(folder / "proposal_recall.csv", header=False)
    write_text(answers, frame.to_csv(index=False))


def tables(
    name: str, output: Path, stem: Path, systems: Sequence[str], command: str, actionness: bool = False
) -> None:
    """Join the answers of all folds into ``STEM.md`` and ``STEM.csv``."""
    frames = [
        pd.read_csv(output / f"fold{fold}" / f"{system}.csv")
        for system in systems
        for fold in range(NUM_FOLDS)
    ]
    everything = pd.concat(frames, ignore_index=True)
    frame = everything[everything["system"] != PAPER]
    table = result_table(frame, level="folds")
    by_fold = frame.pivot_table(index="system", columns="fold", values="R@1(0.5)", sort=False) * 100
    by_fold.columns = [f"fold {fold}" for fold in by_fold.columns]
    parts = [
        f"# Results on {name.replace('_', '-')}-reloc" + ", TAG proposals" * actionness,
        "Pose features, not C3D: not comparable with published numbers. R@1 in % at strict tIoU, "
        f"{int(table['N'].iloc[0])} test queries of all five class folds, in brackets 95 % intervals from "
        "resampling folds and the queries within them. Every class is a test class exactly once; one seed a "
        "fold. Chance is the exact expectation, ± the standard deviation of a single run. The recommended "
        "settings were chosen on classes held out in some fold of penn-action-reloc: no model was trained or "
        "selected on its own test classes, but over all folds every class has informed the settings.",
        NOTES[name] + f" {ACTIONNESS_NOTE}" * actionness,
        "Made by",
        f"```sh\n{command}\n```",
        "## All thresholds",
        to_markdown(format_intervals(table)),
        "## R@1 at tIoU > .5 in each fold",
        to_markdown(by_fold.reset_index()),
    ]
    rivals = ("window rule", STRONGEST_RULE, CNN)
    for rival in (name for name in rivals if name in set(frame["system"])):
        parts += [f"## Differences from: {rival}", "Percentage points on the same queries, paired intervals."]
        learned = ["MGFFNet (recommended)", CNN, rival]
        chosen = frame[frame["system"].isin(learned)]
        parts.append(to_markdown(format_intervals(difference_table(chosen, rival, level="folds"))))
    if "paper" in systems:
        paper_steps = PAPER_TRAINING["epochs"] * PAPER_TRAINING["steps_per_epoch"]
        fewer = everything[everything["pair"] < PAPER_QUERIES]
        parts += [
            "## The paper's preset",
            f"All systems on the first {PAPER_QUERIES} test queries of each fold; this preset was trained "
            f"for {paper_steps} of the paper's 10,000 steps.",
            to_markdown(format_intervals(result_table(fewer, level="folds"))),
            "Differences from it, in percentage points:",
            to_markdown(format_intervals(difference_table(fewer, PAPER, level="folds"))),
        ]
    recall = pd.concat(
        [
            pd.read_csv(output / f"fold{fold}" / "proposal_recall.csv", header=None, index_col=0)[1]
            for fold in range(NUM_FOLDS)
        ],
        axis=1,
    ).mean(axis=1)
    shown = pd.DataFrame([recall.round(1).tolist()], columns=[f"tIoU > {t:g}" for t in recall.index])
    parts += [
        "## Recall of the candidate windows",
        "The best any choice among them can do.",
        to_markdown(shown),
    ]
    write_text(stem.with_suffix(".md"), "\n\n".join(part.rstrip() for part in parts) + "\n")
    write_text(stem.with_suffix(".csv"), table.to_csv(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", choices=("penn_action", "utkinect"), default="penn_action")
    parser.add_argument("--root", help="folder of the data set; not needed with --table")
    parser.add_argument("--output", type=Path, required=True, help="folder for models and answers")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(NUM_FOLDS)))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument(
        "--actionness",
        type=Path,
        help="folder of saved classifiers, fold0 to fold4, whose groups are the candidates",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--table", type=Path, help="write the tables to this path without suffix and stop")
    chosen = parser.parse_args()
    if chosen.table is not None:
        script = Path(sys.argv[0]).as_posix()
        made_by = ["python", script, "--benchmark", chosen.benchmark, "--root", chosen.benchmark.upper()]
        made_by += ["--output", f"outputs/{chosen.table.stem}", "--systems", *chosen.systems]
        if chosen.actionness is not None:
            made_by += ["--actionness", "outputs/actionness"]
        command = f"{shlex.join(made_by)}\n{shlex.join([*made_by, '--table', chosen.table.as_posix()])}"
        tables(
            chosen.benchmark,
            chosen.output,
            chosen.table,
            chosen.systems,
            command,
            chosen.actionness is not None,
        )
        return
    torch.set_num_threads(chosen.threads)
    for fold in chosen.folds:
        actionness = None if chosen.actionness is None else chosen.actionness / f"fold{fold}"
        benchmark = load_benchmark(chosen.benchmark, chosen.root, fold, proposals=actionness)
        for system in chosen.systems:
            run(system, benchmark, fold, chosen.output / f"fold{fold}")


if __name__ == "__main__":
    main()
