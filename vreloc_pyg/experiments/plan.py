"""What a benchmark run consists of: data set, folds, systems, and how each is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any, get_args

from vreloc_pyg.datasets.tasks import NUM_FOLDS, SKELETONS, Benchmark, BenchmarkName, load_benchmark
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.systems.catalog import FrameLevel, LocalizerProtocol
from vreloc_pyg.systems.known import VARIANTS, check_system, learned_systems

#: Chance, the query-blind rules and the window rules.
RULES = "rules"
#: Training-free systems beside the rules, by name.
TRAINING_FREE: dict[str, LocalizerProtocol] = {
    "frame-level": FrameLevel(),
    "frame-level-strict": FrameLevel("strict"),
    "frame-level-sdtw": FrameLevel("sdtw"),
    "frame-level-slope": FrameLevel("slope"),
}
#: The recommended model asked with a query of another class: what it finds without knowing the action.
WRONG_QUERY = "wrong-query"
#: Not among ``all``: an option of SST, ablations of the graph, which ``vreloc ablate`` compares, and the
#: literal preset, which takes hours of a CPU.
NOT_IN_ALL = (
    "sst-triplet",
    "mgffnet-binary",
    "mgffnet-exponential",
    "mgffnet-laplacian",
    "mgffnet-gat",
    "mgffnet-sage",
    "mgffnet-paper",
)

#: Settings of every run with ``quick``: enough to see that a system works, not how well.
QUICK_TRAINING = {"epochs": 2, "steps_per_epoch": 8, "batch_size": 8, "validation_pairs": 10}
QUICK_PAIRS = 20


@dataclass(frozen=True)
class BenchmarkPlan:
    """Everything that decides the predictions of a benchmark run.

    Args:
        data: the data set, see :func:`vreloc_pyg.datasets.tasks.load_benchmark`.
        root: folder of its files. (default: its name within ``$VRELOC_DATA``, for what is read from files)
        folds: class folds.
        systems: names, see :func:`known_systems`.
        seed: decides the data; a run of fold f is seeded with ``seed + f``.
        training: settings of runs to replace, by system, or under ``"all"``.
        max_pairs: answer only so many test pairs a fold, spread evenly; ``None``: all.
        quick: few training steps and pairs.
        features: feature store, for data that need one.
        proposals: candidate windows, see :func:`vreloc_pyg.proposals.listed.load_proposals`; ``{fold}``
            stands for the number of the fold. (default: sliding windows)
        model: settings of networks to replace, by system.

    Raises:
        SettingsError: if a name is unknown, a fold impossible, or files are needed and none are given.
        DataError: if there are no proposals at the place of a fold.
    """

    data: BenchmarkName
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

    def __post_init__(self) -> None:
        if self.root is None and self.data != "synthetic" and environ.get("VRELOC_DATA"):
            object.__setattr__(self, "root", str(Path(environ["VRELOC_DATA"]) / self.data))
        for system in self.systems:
            if system not in known_systems():
                raise SettingsError(f"Unknown system {system!r}; known are {', '.join(known_systems())}")
        for system in {*self.training, *self.model} - {"all"}:
            check_system(system)
        if "all" in self.model:
            raise SettingsError("Settings of a model are given by system: the networks differ")
        wrong = [fold for fold in self.folds if not 0 <= fold < num_folds(self.data)]
        if wrong or not self.folds:
            raise SettingsError(
                f"{self.data} has folds 0 to {num_folds(self.data) - 1} (got {wrong or 'none'})"
            )
        if self.max_pairs is not None and self.max_pairs < 1:
            raise SettingsError(f"Expected max_pairs >= 1 or none (got {self.max_pairs})")
        for fold in self.folds:
            path = self.proposals_of(fold)
            if path is not None and not Path(path).exists():
                raise DataError(f"There are no proposals {path}, of fold {fold}")

    def proposals_of(self, fold: int) -> str | None:
        """Where the candidate windows of a fold are, if they are given."""
        return None if self.proposals is None else self.proposals.replace("{fold}", str(fold))

    def training_of(self, system: str, fold: int) -> dict[str, Any]:
        """Settings to replace in the run of a system on a fold."""
        chosen: dict[str, Any] = {"seed": self.seed + fold}
        if self.quick:
            chosen |= QUICK_TRAINING
        return {**chosen, **self.training.get("all", {}), **self.training.get(system, {})}

    def words(self) -> list[str]:
        """The options of a command line that make this plan; folders of data in capitals."""
        words = ["--dataset", self.data]
        if self.root is not None:
            words += ["--root", self.data.upper()]
        if self.systems:
            words += [
                "--systems",
                "all" if self.systems == choose_systems(["all"]) else shown_words(self.systems),
            ]
        every = self.folds == choose_folds(["all"], self.data)
        words += ["--folds", "all" if every else shown_words(self.folds)]
        if self.features is not None:
            words += ["--features", Path(self.features).name]
        if self.proposals is not None:
            words += ["--proposals", self.proposals]
        for option, settings in (("training", self.training), ("model", self.model)):
            for system, values in settings.items():
                words += [f"--{option}.{system}", json.dumps(dict(values))]
        if self.max_pairs is not None:
            words += ["--max_pairs", str(self.max_pairs)]
        words += ["--quick"] * self.quick
        return [*words, "--seed", str(self.seed)] if self.seed else words

    def load(self, fold: int) -> Benchmark:
        """The data of a fold; see :func:`vreloc_pyg.datasets.tasks.load_benchmark`."""
        proposals = self.proposals_of(fold)
        return load_benchmark(
            self.data, self.root, fold, self.seed, features=self.features, proposals=proposals
        )

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
        dataset: see :func:`data_name`.
        systems: see :func:`choose_systems`.
        folds: see :func:`choose_folds`.
        **options: of :class:`BenchmarkPlan`; those that are ``None`` keep their default.
    """
    data = data_name(dataset)
    given = {name: value for name, value in options.items() if value is not None}
    return BenchmarkPlan(data, folds=choose_folds(folds, data), systems=choose_systems(systems), **given)


def num_folds(data: str) -> int:
    """Class folds of a data set."""
    return NUM_FOLDS if data in SKELETONS else 1


def known_systems() -> tuple[str, ...]:
    """Names of all systems, in the order of tables."""
    learned = learned_systems()
    rivals = tuple(name for name in learned if name not in VARIANTS)
    return (RULES, *TRAINING_FREE, *rivals, *VARIANTS, WRONG_QUERY)


def choose_systems(names: Sequence[str]) -> tuple[str, ...]:
    """Systems by name, in the order of tables; ``all`` is every one but the ablations of the graph.

    Args:
        names: of systems, or ``all``.

    Raises:
        SettingsError: if one is unknown.
    """
    if "all" in names:
        names = [*names, *(name for name in known_systems() if name not in NOT_IN_ALL)]
    for name in names:
        if name != "all" and name not in known_systems():
            raise SettingsError(f"Unknown system {name!r}; known are all, {', '.join(known_systems())}")
    return tuple(name for name in known_systems() if name in names)


def choose_folds(names: Sequence[str], data: str) -> tuple[int, ...]:
    """Folds by number, or ``all``.

    Raises:
        SettingsError: if one is no number.
    """
    if "all" in names:
        return tuple(range(num_folds(data)))
    if not all(name.isdigit() for name in names):
        raise SettingsError(f"Expected folds as numbers, or all (got {', '.join(names)})")
    return tuple(sorted({int(name) for name in names}))


def data_name(dataset: str) -> BenchmarkName:
    """A data set by the name of its benchmark: ``penn-action-reloc`` or ``penn_action``.

    Raises:
        SettingsError: if it is unknown.
    """
    names: dict[str, BenchmarkName] = {name: name for name in get_args(BenchmarkName)}
    names |= {name.replace("_", "-"): name for name in names.values()}
    names |= {f"{name.replace('_', '-')}-reloc": name for name in ("penn_action", "utkinect")}
    if dataset not in names:
        raise SettingsError(f"Unknown data set {dataset!r}; known are {', '.join(names)}")
    return names[dataset]
