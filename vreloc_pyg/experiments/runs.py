"""The runs of a benchmark: train what needs training, answer every test pair, keep what is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import pandas as pd

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.evaluation.metrics import with_curve
from vreloc_pyg.experiments.compare import candidate_recall
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.systems.catalog import find_system
from vreloc_pyg.systems.protocol import LocalizerProtocol, check_says_none
from vreloc_pyg.systems.spec import Control, LearnedSystem, Rule

RECALL_NAME = "candidate_recall.json"


def run_benchmark(
    plan: BenchmarkPlan, output: str | Path, say: Callable[[str], object] = print, progress: bool = True
) -> pd.DataFrame:
    """Run what is not done yet, and return every prediction.

    ``output/runs/foldF/SYSTEM.csv`` are the answers of a system, ``SYSTEM/model`` its model and
    ``SYSTEM.settings.json`` what decided both. A run that was interrupted goes on from its last checkpoint;
    several processes may work on different folds or systems.

    ``say`` is told what is begun. If the folder holds answers of other settings, or the data cannot provide
    what a control asks, that is a :class:`DataError` before anything is trained.
    """
    output = Path(output)
    missing = {
        fold: [name for name in plan.systems if not _done(name, plan, fold, _folder(output, fold))]
        for fold in plan.folds
    }
    for fold, names in missing.items():
        for control in (system for system in map(find_system, names) if isinstance(system, Control)):
            control.ask(spread_pairs(plan.load(fold).splits["test"], plan.num_pairs))
    frames = []
    for fold in plan.folds:
        folder = _folder(output, fold)
        if missing[fold]:
            data = plan.load(fold)
            pairs = spread_pairs(data.splits["test"], plan.num_pairs)
            if not (folder / RECALL_NAME).exists():
                write_json(folder / RECALL_NAME, candidate_recall(pairs, data.proposals))
            for name in missing[fold]:
                say(f"{plan.data}, fold {fold}: {name}")
                _run_system(name, plan, data, fold, folder, progress)
        frames += [read_answers(folder / f"{name}.csv") for name in plan.systems]
    return pd.concat(frames, ignore_index=True)


def _folder(output: Path, fold: int) -> Path:
    return output / "runs" / f"fold{fold}"


def _trained_as(name: str) -> str | None:
    """The system whose model answers; ``None`` for a rule."""
    system = find_system(name)
    if isinstance(system, Control):
        return system.of
    return system.name if isinstance(system, LearnedSystem) else None


def _done(name: str, plan: BenchmarkPlan, fold: int, folder: Path) -> bool:
    """Whether answers of these very settings are there; :class:`DataError` if there are some of others."""
    kept = folder / f"{name}.settings.json"
    if not kept.exists():
        return False
    if json.loads(kept.read_text()) != _settings(name, plan, fold):
        raise DataError(f"{kept} is of a run with other settings; choose another output folder, or remove it")
    return (folder / f"{name}.csv").exists()


def _settings(name: str, plan: BenchmarkPlan, fold: int) -> dict[str, object]:
    trained = _trained_as(name)
    training = None if trained is None else plan.training_of(trained, fold)
    about = {"data": plan.data, "seed": plan.seed, "num_pairs": plan.num_pairs, "training": training}
    model = None if trained is None else plan.model.get(trained)
    sources = {"features": plan.features, "proposals": plan.proposals, "model": model}
    return {**about, **{name: value for name, value in sources.items() if value is not None}}


def _run_system(
    name: str, plan: BenchmarkPlan, data: TaskData, fold: int, folder: Path, progress: bool
) -> None:
    system = find_system(name)
    pairs = spread_pairs(data.splits["test"], plan.num_pairs)
    write_json(folder / f"{name}.settings.json", _settings(name, plan, fold))
    localizer: LocalizerProtocol
    parameters = 0
    if isinstance(system, Rule):
        localizer = system.fit(data)
    else:
        trained = _trained(_trained_as(name) or name, plan, data, fold, folder, progress)
        if isinstance(system, Control):
            trained = copy(trained)
            trained.system, trained.name = system, system.row
        else:
            parameters = trained.num_parameters
        localizer = trained
    check_says_none([localizer], pairs)
    asked = system.ask(pairs) if isinstance(system, Control) else None
    frame = evaluate([localizer], pairs, with_curve(), progress, ask=asked)
    frame = frame.assign(fold=fold, parameters=parameters)
    write_text(folder / f"{name}.csv", frame.to_csv(index=False))


def _trained(
    name: str, plan: BenchmarkPlan, data: TaskData, fold: int, folder: Path, progress: bool
) -> Localizer:
    """The model of a system, trained unless it is there already."""
    place = folder / name
    if not (place / "model").exists():
        settings = plan.model.get(name), plan.training_of(name, fold)
        begun = (place / "checkpoints" / "last.ckpt").exists()
        train_system(name, data, place, *settings, calibrated=False, resume=begun, progress=progress)
    return Localizer.from_pretrained(place / "model", data.proposals)


def spread_pairs(split: RelocalizationSplit, count: int | None) -> RelocalizationSplit:
    """A split with ``count`` of its pairs, and of those without the action, spread evenly."""
    if count is None or count >= len(split):
        return split
    absent = _spread(split.absent, min(count, len(split.absent)))
    return replace(split, pairs=_spread(split.pairs, count), absent=absent)


def _spread(pairs: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    return [pairs[index * len(pairs) // count] for index in range(count)]


def read_answers(path: str | Path) -> pd.DataFrame:
    """Kept answers; identifiers stay text."""
    try:
        return pd.read_csv(path, dtype={"query_id": str, "reference_id": str, "label": str})
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read the answers {path}: {error}; remove it to make it anew") from None


def mean_recall(plan: BenchmarkPlan, output: str | Path) -> dict[str, float]:
    """Recall of the candidate windows in percent, averaged over folds."""
    files = [_folder(Path(output), fold) / RECALL_NAME for fold in plan.folds]
    table = pd.DataFrame([json.loads(file.read_text()) for file in files])
    return {str(threshold): float(value) for threshold, value in table.mean().items()}
