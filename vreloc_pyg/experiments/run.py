"""The runs of a benchmark: train what needs training, answer every test pair, keep what is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.evaluation.comparison import CURVE
from vreloc_pyg.experiments.compare import benchmark_rules, candidate_recall
from vreloc_pyg.experiments.plan import RULES, TRAINING_FREE, WRONG_QUERY, BenchmarkPlan
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.localization import Localizer, RankingLocalizer
from vreloc_pyg.segments import Segments
from vreloc_pyg.systems.catalog import LocalizerProtocol

#: The system whose model :class:`WrongQuery` asks.
OURS = "mgffnet"


class WrongQuery:
    """A trained localizer that is asked with a query of another class.

    What it still finds, it finds by where actions begin and end, not by which action is meant.

    Args:
        localizer: the system.
        split: whose queries are exchanged.
    """

    def __init__(self, localizer: RankingLocalizer, split: RelocalizationSplit) -> None:
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
        """Its answer to another question."""
        return self.localizer.localize(self.other[id(query.features)], reference, top_n)


def run_benchmark(
    plan: BenchmarkPlan, output: str | Path, say: Callable[[str], object] = print, progress: bool = True
) -> pd.DataFrame:
    """Run what is not done yet, and return every prediction.

    ``output/runs/foldF/SYSTEM.csv`` are the answers of a system, ``SYSTEM/model`` its model and
    ``SYSTEM.settings.json`` what decided both. A run that was interrupted goes on from its last checkpoint;
    several processes may work on different folds or systems.

    Args:
        plan: what to run.
        output: folder of the results.
        say: told what is begun.
        progress: show progress bars.

    Raises:
        DataError: if the folder holds answers of other settings.
    """
    output = Path(output)
    frames = []
    for fold in plan.folds:
        folder = output / "runs" / f"fold{fold}"
        missing = [name for name in plan.systems if not _done(name, plan, fold, folder)]
        benchmark = plan.load(fold) if missing else None
        for name in missing:
            assert benchmark is not None
            say(f"{plan.data}, fold {fold}: {name}")
            _run_system(name, plan, benchmark, fold, folder, progress)
        frames += [read_answers(folder / f"{name}.csv") for name in plan.systems]
    return pd.concat(frames, ignore_index=True)


def _done(name: str, plan: BenchmarkPlan, fold: int, folder: Path) -> bool:
    """Whether answers of these very settings are there.

    Raises:
        DataError: if there are some of others.
    """
    kept = folder / f"{name}.settings.json"
    if not kept.exists():
        return False
    if json.loads(kept.read_text()) != _settings(name, plan, fold):
        raise DataError(f"{kept} is of a run with other settings; choose another output folder, or remove it")
    return (folder / f"{name}.csv").exists()


def _settings(name: str, plan: BenchmarkPlan, fold: int) -> dict[str, object]:
    learned = name not in (RULES, *TRAINING_FREE)
    trained = OURS if name == WRONG_QUERY else name
    training = plan.training_of(trained, fold) if learned else None
    about = {"data": plan.data, "seed": plan.seed, "num_pairs": plan.num_pairs, "training": training}
    sources = {"features": plan.features, "proposals": plan.proposals, "model": plan.model.get(trained)}
    return {**about, **{name: value for name, value in sources.items() if value is not None}}


def _run_system(
    name: str, plan: BenchmarkPlan, benchmark: Benchmark, fold: int, folder: Path, progress: bool
) -> None:
    pairs = spread_pairs(benchmark.splits["test"], plan.num_pairs)
    write_json(folder / f"{name}.settings.json", _settings(name, plan, fold))
    systems: Sequence[LocalizerProtocol]
    if name == RULES:
        systems = benchmark_rules(benchmark)
        write_json(folder / "candidate_recall.json", candidate_recall(pairs, benchmark.proposals))
    elif name in TRAINING_FREE:
        systems = [TRAINING_FREE[name]]
    elif name == WRONG_QUERY:
        systems = [WrongQuery(_trained(OURS, plan, benchmark, fold, folder, progress), pairs)]
    else:
        systems = [_trained(name, plan, benchmark, fold, folder, progress)]
    frame = evaluate(systems, pairs, CURVE, progress).assign(fold=fold)
    sizes = {system.name: getattr(system, "num_parameters", 0) for system in systems}
    frame["parameters"] = frame["system"].map(sizes)
    write_text(folder / f"{name}.csv", frame.to_csv(index=False))


def _trained(
    name: str, plan: BenchmarkPlan, benchmark: Benchmark, fold: int, folder: Path, progress: bool
) -> RankingLocalizer:
    """The model of a system, trained unless it is there already."""
    place = folder / name
    if not (place / "model").exists():
        resume = (place / "checkpoints" / "last.ckpt").exists()
        train_system(
            name,
            benchmark,
            place,
            model=plan.model.get(name),
            training=plan.training_of(name, fold),
            resume=resume,
            progress=progress,
            calibrated=False,
        )
    return Localizer.from_pretrained(place / "model", benchmark.proposals)


def spread_pairs(split: RelocalizationSplit, count: int | None) -> RelocalizationSplit:
    """A split with ``count`` of its pairs, spread evenly."""
    if count is None or count >= len(split):
        return split
    return replace(split, pairs=[split.pairs[index * len(split) // count] for index in range(count)])


def read_answers(path: str | Path) -> pd.DataFrame:
    """Kept answers; identifiers stay text.

    Raises:
        DataError: if the file cannot be read.
    """
    try:
        return pd.read_csv(path, dtype={"query_id": str, "reference_id": str, "label": str})
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read the answers {path}: {error}; remove it to make it anew") from None


def mean_recall(plan: BenchmarkPlan, output: str | Path) -> dict[str, float] | None:
    """Recall of the candidate windows in percent, averaged over folds; ``None`` where no rules were run."""
    files = [Path(output) / "runs" / f"fold{fold}" / "candidate_recall.json" for fold in plan.folds]
    if not all(file.exists() for file in files):
        return None
    table = pd.DataFrame([json.loads(file.read_text()) for file in files])
    return {str(threshold): float(value) for threshold, value in table.mean().items()}
