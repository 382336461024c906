"""The runs of a benchmark: train what needs training, answer every test pair, keep what is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import NamedTuple

import pandas as pd

from vreloc_pyg.checkpoint import is_whole
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.evaluation.metrics import with_curve
from vreloc_pyg.experiments.budget import budgeted_steps
from vreloc_pyg.experiments.compare import candidate_recall
from vreloc_pyg.experiments.elsewhere import load_others
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.predictions import EXACT, rounded
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.files import read_json, write_json, write_text
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.systems.catalog import find_learned, find_system
from vreloc_pyg.systems.protocol import LocalizerProtocol, about_of, check_says_none
from vreloc_pyg.systems.spec import Asked, Control, LearnedSystem, Rule, Traits
from vreloc_pyg.training.run import RUN_NAME

RECALL_NAME = "candidate_recall.json"


class Run(NamedTuple):
    """A system on a fold.

    Args:
        system: its name.
        fold: the class fold.
        seed: 0 for the first of its seeds there.
    """

    system: str
    fold: int
    seed: int

    def folder(self, output: Path) -> Path:
        """Where its files lie."""
        fold = fold_folder(output, self.fold)
        return fold / f"seed{self.seed}" if self.seed else fold

    @property
    def trained_as(self) -> str | None:
        """The system whose model answers; ``None`` for a rule."""
        system = find_system(self.system)
        if isinstance(system, Control):
            system = find_system(system.of)
        return system.name if isinstance(system, LearnedSystem) else None

    def __str__(self) -> str:
        return f"fold {self.fold}: {self.system}" + (f", seed {self.seed}" if self.seed else "")


def fold_folder(output: Path, fold: int) -> Path:
    """Where the first seeds of a fold lie."""
    return output / "runs" / f"fold{fold}"


def runs_of(plan: BenchmarkPlan, fold: int) -> list[Run]:
    """All runs on a fold, in the order of the plan's systems."""
    return [Run(name, fold, seed) for name in plan.systems for seed in range(plan.seeds.get(name, 1))]


def run_benchmark(
    plan: BenchmarkPlan, output: str | Path, say: Callable[[str], object] = print, progress: bool = True
) -> pd.DataFrame:
    """Run what is not done yet, and return every prediction.

    ``output/runs/foldF/SYSTEM.csv`` are the answers of a system, ``SYSTEM/model`` its model and
    ``SYSTEM.settings.json`` what decided both; further seeds are in ``foldF/seedS``. With a budget,
    ``output/budgets.json`` says how many steps each system has. A run that was interrupted goes on from its
    last checkpoint; several processes may work on different folds or systems.

    To the columns of :func:`~vreloc_pyg.evaluation.evaluate` come ``fold``, ``seed``, ``parameters``,
    ``train_s``, the processor seconds of the training or of the fit of a rule, and ``about``, what a rule
    chose on validation classes.

    ``say`` is told what is begun. If the folder holds answers of other settings, or the data cannot provide
    what a control asks, that is a :class:`DataError` before anything is trained.
    """
    output = Path(output)
    missing = {
        fold: [run for run in runs_of(plan, fold) if not _done(run, plan, output)] for fold in plan.folds
    }
    for fold, runs in missing.items():
        controls = [one for one in (find_system(run.system) for run in runs) if isinstance(one, Control)]
        if controls:
            data = plan.load(fold)
            for control in controls:
                control.ask(spread_pairs(data.splits["test"], plan.num_pairs), data)
    frames = []
    for fold in plan.folds:
        if missing[fold]:
            data = plan.load(fold)
            recall = fold_folder(output, fold) / RECALL_NAME
            if not recall.exists():
                pairs = spread_pairs(data.splits["test"], plan.num_pairs)
                write_json(recall, candidate_recall(pairs, data.proposals))
            for run in missing[fold]:
                say(f"{plan.data}, {run}")
                _answer(run, plan, data, output, progress)
        frames += [read_answers(run.folder(output) / f"{run.system}.csv") for run in runs_of(plan, fold)]
    return pd.concat(frames, ignore_index=True)


def _done(run: Run, plan: BenchmarkPlan, output: Path) -> bool:
    """Whether answers of these very settings are there; :class:`DataError` if there are some of others."""
    folder, settings = run.folder(output), _settings(run, plan)
    # A control is answered by another system's model, which may be there from an earlier run.
    for name in (run.trained_as or run.system, run.system):
        kept = folder / f"{name}.settings.json"
        if kept.exists() and read_json(kept) != settings:
            raise DataError(
                f"{kept} is of a run with other settings; choose another output folder, or remove it"
            )
    return kept.exists() and (folder / f"{run.system}.csv").exists()


def _settings(run: Run, plan: BenchmarkPlan) -> dict[str, object]:
    name = run.trained_as
    training = None if name is None else plan.training_of(name, run.fold, run.seed)
    about = {"data": plan.data, "seed": plan.seed, "num_pairs": plan.num_pairs, "training": training}
    model = None if name is None else plan.model.get(name)
    budget_s = None if name is None or plan.quick else plan.budget_s
    sources = {"features": plan.features, "proposals": plan.proposals, "model": model, "budget_s": budget_s}
    return {**about, **{name: value for name, value in sources.items() if value is not None}}


def _answer(run: Run, plan: BenchmarkPlan, data: TaskData, output: Path, progress: bool) -> None:
    system, folder = find_system(run.system), run.folder(output)
    pairs = spread_pairs(data.splits["test"], plan.num_pairs)
    for name in {run.trained_as or run.system, run.system}:
        write_json(folder / f"{name}.settings.json", _settings(run, plan))
    asked_of = find_system(system.of) if isinstance(system, Control) else system
    localizer: LocalizerProtocol
    parameters, train_s = 0, 0.0
    if isinstance(asked_of, Rule):
        began = process_time()
        localizer = asked_of.fit(data)
        train_s = round(process_time() - began, 2)
    else:
        localizer = trained = _trained(asked_of.name, run, plan, data, output, progress)
        if asked_of is system:
            parameters = trained.num_parameters
            train_s = read_json(folder / system.name / RUN_NAME)["processor_s"]
    check_says_none([localizer], pairs)
    about, asked = about_of(localizer), None
    if isinstance(system, Control):
        localizer, asked = Asked(localizer, system), system.ask(pairs, data)
    frame = rounded(evaluate([localizer], pairs, with_curve(), progress, ask=asked))
    frame = frame.assign(fold=run.fold, seed=run.seed, parameters=parameters, train_s=train_s, about=about)
    write_text(folder / f"{run.system}.csv", frame.to_csv(index=False))


def _trained(
    name: str, run: Run, plan: BenchmarkPlan, data: TaskData, output: Path, progress: bool
) -> Localizer:
    """The model of a system, trained unless it is there already."""
    place, suite = run.folder(output) / name, find_learned(name).suite
    if not is_whole(place / "model"):
        model, training = plan.model.get(name), plan.training_of(name, run.fold, run.seed)
        taught = load_others(suite, data, plan.root, run.fold, plan.seed) if suite else data
        if plan.budget_s is not None and not plan.quick:
            steps = budgeted_steps(name, taught, output, plan.budget_s, model, training)
            training = {**training, "steps_per_epoch": steps}
        begun = (place / "checkpoints" / "last.ckpt").exists()
        train_system(name, taught, place, model, training, resume=begun, progress=progress)
    traits = Traits.of(data) if suite else None
    return Localizer.from_pretrained(place / "model", data.proposals, adapt_to=traits)


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
        texts = dict.fromkeys(("query_id", "reference_id", "label", "about"), str)
        frame = pd.read_csv(path, dtype=texts, **EXACT)
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read the answers {path}: {error}; remove it to make it anew") from None
    return frame.assign(about=frame["about"].fillna("") if "about" in frame else "")


def mean_recall(plan: BenchmarkPlan, output: str | Path) -> dict[str, float]:
    """Recall of the candidate windows in percent, averaged over folds."""
    files = [fold_folder(Path(output), fold) / RECALL_NAME for fold in plan.folds]
    table = pd.DataFrame([read_json(file) for file in files])
    return {str(threshold): float(value) for threshold, value in table.mean().items()}
