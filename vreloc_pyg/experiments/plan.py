"""What a benchmark run consists of: data set, folds, systems, and how each is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vreloc_pyg.datasets.tasks import TaskData, default_root, find_task, load_task
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments.elsewhere import other_roots
from vreloc_pyg.systems.catalog import choose_systems, find_learned, find_system
from vreloc_pyg.systems.spec import LearnedSystem

#: Settings of every run with ``quick``: enough to see that a system works, not how well.
QUICK_TRAINING = {"epochs": 2, "steps_per_epoch": 8, "batch_size": 8, "validation_pairs": 10}
QUICK_PAIRS = 20

#: Runs of a fold are seeded so far apart, which is more than there are folds.
SEED_STRIDE = 1000


@dataclass(frozen=True)
class BenchmarkPlan:
    """Everything that decides the predictions of a benchmark run.

    Args:
        data: the data set, see :func:`vreloc_pyg.datasets.tasks.load_task`.
        root: folder of its files. (default: its name within ``$VRELOC_DATA``, for what is read from files)
        folds: class folds.
        systems: names of :data:`~vreloc_pyg.systems.catalog.SYSTEMS`.
        seed: decides the data; the first run of fold f is seeded with ``seed + f``.
        training: settings of runs to replace, by system, or under ``"all"``.
        max_pairs: answer only so many test pairs a fold, spread evenly; ``None``: all.
        quick: few training steps and pairs.
        features: feature store, for data that need one.
        proposals: candidate windows, see :func:`vreloc_pyg.proposals.listed.load_proposals`; ``{fold}``
            stands for the number of the fold. (default: sliding windows)
        model: settings of networks to replace, by system.
        budget_s: processor seconds that every learned system is trained for, validations included: they
            decide its ``steps_per_epoch`` (:mod:`.budget`); ``None``: as many steps as its settings say. With
            ``quick`` there is no budget.
        seeds: runs of a learned system on each fold, with other weights and draws, by system. (default: 1)

    Raises:
        SettingsError: if a name is unknown, a fold impossible, or files are needed and none are given.
        DataError: if there are no proposals at the place of a fold, or a system is trained on other data sets
            (:attr:`.LearnedSystem.suite`) that are not there.
    """

    data: str
    root: str | None = None
    folds: tuple[int, ...] = (0,)
    systems: tuple[str, ...] = ()
    seed: int = 0
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_pairs: int | None = None
    quick: bool = False
    features: str | None = None
    proposals: str | None = None
    model: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    budget_s: float | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        task = find_task(self.data)
        object.__setattr__(self, "data", task.name)
        if self.root is None and (root := default_root(task)) is not None:
            object.__setattr__(self, "root", str(root))
        for spec in map(find_system, self.systems):
            if isinstance(spec, LearnedSystem) and spec.suite:
                other_roots(spec.suite, self.data, self.root)
        for system in {*self.training, *self.model, *self.seeds} - {"all"}:
            find_learned(system)
        if "all" in self.model:
            raise SettingsError("Settings of a model are given by system: the networks differ")
        if "all" in self.seeds or any(type(count) is not int or count < 1 for count in self.seeds.values()):
            raise SettingsError(f"Expected seeds as a number >= 1 by system (got {dict(self.seeds)})")
        if self.budget_s is not None and not self.budget_s > 0:
            raise SettingsError(f"Expected a budget > 0 (got {self.budget_s})")
        if self.budget_s is not None and any("steps_per_epoch" in one for one in self.training.values()):
            raise SettingsError("The budget decides steps_per_epoch: give one or the other")
        num_folds = task.num_folds(self.root)
        wrong = [fold for fold in self.folds if not 0 <= fold < num_folds]
        if wrong or not self.folds:
            raise SettingsError(f"{task.name} has folds 0 to {num_folds - 1} (got {wrong or 'none'})")
        if self.max_pairs is not None and self.max_pairs < 1:
            raise SettingsError(f"Expected max_pairs >= 1 or none (got {self.max_pairs})")
        for fold in self.folds:
            path = self.proposals_of(fold)
            if path is not None and not Path(path).exists():
                raise DataError(f"There are no proposals {path}, of fold {fold}")

    def proposals_of(self, fold: int) -> str | None:
        """Where the candidate windows of a fold are, if they are given."""
        return None if self.proposals is None else self.proposals.replace("{fold}", str(fold))

    def training_of(self, system: str, fold: int, seed: int = 0) -> dict[str, Any]:
        """Settings to replace in the run of a system on a fold, the first or another of its ``seeds``."""
        chosen: dict[str, Any] = {"seed": self.seed + fold + SEED_STRIDE * seed}
        if self.quick:
            chosen |= QUICK_TRAINING
        return {**chosen, **self.training.get("all", {}), **self.training.get(system, {})}

    def words(self) -> list[str]:
        """The options of a command line that make this plan; folders of data in capitals."""
        words = ["--data", self.data]
        if self.root is not None:
            words += ["--root", self.data.upper()]
        if self.systems:
            words += [
                "--systems",
                "all" if self.systems == choose_systems(["all"]) else shown_words(self.systems),
            ]
        every = self.folds == choose_folds(["all"], self.data, self.root)
        words += ["--folds", "all" if every else shown_words(self.folds)]
        if self.features is not None:
            words += ["--features", Path(self.features).name]
        if self.proposals is not None:
            words += ["--proposals", self.proposals]
        for option, settings in (("training", self.training), ("model", self.model)):
            for system, values in settings.items():
                words += [f"--{option}.{system}", json.dumps(dict(values))]
        if self.max_pairs is not None:
            words += ["--max-pairs", str(self.max_pairs)]
        if self.budget_s is not None:
            words += ["--budget", f"{self.budget_s:g}"]
        for system, count in self.seeds.items():
            words += [f"--seeds.{system}", str(count)]
        words += ["--quick"] * self.quick
        return [*words, "--seed", str(self.seed)] if self.seed else words

    def load(self, fold: int) -> TaskData:
        """The data of a fold; see :func:`vreloc_pyg.datasets.tasks.load_task`."""
        proposals = self.proposals_of(fold)
        return load_task(self.data, self.root, fold, self.seed, features=self.features, proposals=proposals)

    @property
    def num_pairs(self) -> int | None:
        """How many test pairs of a fold are answered at most."""
        return QUICK_PAIRS if self.quick and self.max_pairs is None else self.max_pairs


def shown_words(words: Sequence[object]) -> str:
    """A list as an option of a command line takes it; a word with a comma in it is quoted."""
    texts = [json.dumps(word) if "," in str(word) else str(word) for word in words]
    return texts[0] if len(texts) == 1 and "," not in texts[0] else f"[{','.join(texts)}]"


def make_plan(dataset: str, systems: Sequence[str], folds: Sequence[str], **options: Any) -> BenchmarkPlan:
    """A plan from the words of a command line.

    Args:
        dataset, systems, folds: see :func:`.find_task`, :func:`.choose_systems` and :func:`choose_folds`.
        **options: of :class:`BenchmarkPlan`; those that are ``None`` keep their default.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return BenchmarkPlan(
        dataset,
        folds=choose_folds(folds, dataset, given.get("root")),
        systems=choose_systems(systems),
        **given,
    )


def choose_folds(names: Sequence[str], data: str, root: str | None = None) -> tuple[int, ...]:
    """Folds by number, or ``all`` of the data set in ``root``."""
    if "all" in names:
        return tuple(range(find_task(data).num_folds(root)))
    if not all(name.isdigit() for name in names):
        raise SettingsError(f"Expected folds as numbers, or all (got {', '.join(names)})")
    return tuple(sorted({int(name) for name in names}))
