"""The paper's Table 3 and its relatives: one setting of MGFFNet changed at a time, on validation classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from vreloc_pyg.datasets.tasks import Benchmark
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.run import read_answers, spread_pairs
from vreloc_pyg.experiments.train import train_localizer
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.localization import Localizer, RankingLocalizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.known import variant_preset


@dataclass(frozen=True)
class Change:
    """What one row of the ablation changes in the recommended settings.

    Args:
        row: its name in the table.
        group: its heading.
        model: settings of the network.
        pairing: settings of pair graphs.
        training: settings of the run.
        sampler: settings of the sampler of episodes.
        windows: settings of the sliding windows that are ranked.
        preset: fields of the preset, such as ``augmentation``.
        answers: attributes of the trained localizer, ``refine`` or ``search``.
        proposals: other candidate windows, as of :class:`.BenchmarkPlan`.

    A row that changes windows, proposals or answers only is not trained anew: the recommended model is asked.
    """

    row: str
    group: str
    model: Mapping[str, Any] = field(default_factory=dict)
    pairing: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    sampler: Mapping[str, Any] = field(default_factory=dict)
    windows: Mapping[str, Any] = field(default_factory=dict)
    preset: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    proposals: str | None = None

    @property
    def trains(self) -> bool:
        """Whether the row needs a model of its own."""
        return not (self.windows or self.answers or self.proposals)


BASE = Change("recommended", "")

#: The paper's Table 3 (n layers, scales k), its CNN and graph types (section 4.4), and convolutions of PyG.
GRAPH_CHANGES = (
    Change("n = 1", "layers", model={"num_layers": 1}),
    Change("n = 3", "layers", model={"num_layers": 3}),
    Change("k = 1", "scales", model={"scales": [1]}),
    Change("k = 1, 2", "scales", model={"scales": [1, 2]}),
    Change("CNN (no graph)", "graph", model={"aggregate": False}),
    Change("binary weights", "graph", model={"weight": "binary"}),
    Change("exponential weights", "graph", model={"weight": "exponential"}),
    Change("Laplacian weights", "graph", model={"weight": "laplacian"}),
    Change("GAT branches", "graph", model={"conv": "gat", "weight": "binary"}),
    Change("SAGE branches", "graph", model={"conv": "sage", "weight": "binary"}),
    Change("T = 8", "steps", pairing={"num_steps": 8}),
    Change("T = 32", "steps", pairing={"num_steps": 32}),
    Change("T = 16, padded and masked", "steps", pairing={"fit": "pad", "nodes": "features"}),
    Change(
        "T = 16, padded, not masked",
        "steps",
        model={"mask_padding": False},
        pairing={"fit": "pad", "nodes": "features"},
    ),
    Change("half as many windows", "proposals", windows={"overlap": 0.4}),
    Change("twice as many windows", "proposals", windows={"overlap": 0.85}),
)

#: What the recommended preset adds to the paper's, each taken away.
RECIPE_CHANGES = (
    Change("features as nodes", "nodes", pairing={"nodes": "features"}),
    Change("no context", "nodes", pairing={"context": 0.0}),
    Change("no mirror image", "nodes", pairing={"mirror_index": [], "mirror_sign": []}),
    Change("no pair features", "heads", pairing={"pair_features": False}),
    Change("one pool", "heads", model={"pool": "all"}),
    Change("no residuals", "network", model={"residual": False}),
    Change("no input normalisation", "network", model={"input_norm": False}),
    Change("64 channels", "network", model={"hidden_channels": 64}),
    Change("triplet loss", "loss", training={"loss": "triplet", "reduction": "mean"}),
    Change("flatter targets (temperature .2)", "loss", training={"overlap_temperature": 0.2}),
    Change("sharper targets (temperature .05)", "loss", training={"overlap_temperature": 0.05}),
    Change("12 candidates", "sampling", sampler={"num_candidates": 12}),
    Change("no augmentation", "training", preset={"augmentation": None}),
    Change("weights not averaged", "training", training={"ema_decay": None}),
    Change("no search about the best windows", "answers", answers={"search": 0}),
    Change("refined by offsets", "answers", answers={"refine": True}),
    Change("refined by boundaries", "answers", model={"regression": "boundaries"}, preset={"refine": True}),
    Change(
        "refined by boundaries, no search",
        "answers",
        model={"regression": "boundaries"},
        preset={"refine": True, "search": 0},
    ),
)

SETS = {"graph": GRAPH_CHANGES, "recipe": RECIPE_CHANGES, "all": (*GRAPH_CHANGES, *RECIPE_CHANGES)}


def other_proposals(sources: Mapping[str, str]) -> tuple[Change, ...]:
    """Rows that rank other candidate windows.

    Args:
        sources: ``proposals`` as of :class:`.BenchmarkPlan`, by the name of the row.

    Raises:
        SettingsError: if a row has the name of another.
    """
    taken = {BASE.row, *(change.row for change in SETS["all"])}
    for row in sources:
        if row in taken:
            raise SettingsError(f"The ablation has a row {row!r} already; give these proposals another name")
    return tuple(Change(row, "proposals", proposals=path) for row, path in sources.items())


def choose_changes(names: Sequence[str]) -> tuple[Change, ...]:
    """Changes by the name of a set (``graph``, ``recipe``, ``all``) or of a row, in the order of the table.

    Raises:
        SettingsError: if a name is neither.
    """
    rows = {change.row: change for change in SETS["all"]}
    for name in names:
        if name not in SETS and name not in rows:
            raise SettingsError(f"Unknown ablation {name!r}; known are {', '.join([*SETS, *rows])}")
    chosen = {change.row for name in names for change in SETS.get(name, ()) or (rows[name],)}
    return tuple(change for change in SETS["all"] if change.row in chosen)


def run_ablation(
    plan: BenchmarkPlan,
    changes: Sequence[Change],
    output: str | Path,
    split: str = "validation",
    say: Callable[[str], object] = print,
    progress: bool = True,
) -> pd.DataFrame:
    """Train the recommended preset and every change of it on every fold; return the answers on a split.

    Answers are kept in ``output/ablation/foldF/ROW.csv``: what is done is not done again.

    Args:
        plan: data, folds, seed, settings of runs to replace (those of ``mgffnet``) and the number of pairs.
        changes: the rows.
        output: folder of the results.
        split: whose pairs are answered; validation classes, since settings are chosen by them.
        say: told what is begun.
        progress: show progress bars.

    Raises:
        DataError: if the folder holds answers of other settings, or there are no proposals of a row.
    """
    frames = []
    given = {change.row: replace(plan, proposals=change.proposals) for change in changes if change.proposals}
    for fold in plan.folds:
        benchmark: Benchmark | None = None
        for change in (BASE, *changes):
            stem = Path(output) / "ablation" / f"fold{fold}" / _file_name(change.row)
            training = {**plan.training_of("mgffnet", fold), **change.training}
            about: dict[str, Any] = {**asdict(change), "training": training, "data": plan.data}
            about |= {"seed": plan.seed, "split": split, "num_pairs": plan.num_pairs}
            answers, settings = stem.with_suffix(".csv"), stem.with_suffix(".json")
            if settings.exists() and json.loads(settings.read_text()) != json.loads(json.dumps(about)):
                raise DataError(f"{settings} is of a run with other settings; choose another output folder")
            if not answers.exists():
                benchmark = benchmark or plan.load(fold)
                say(f"{plan.data}, fold {fold}: {change.row}")
                write_json(settings, about)
                localizer = _trained(change, training, benchmark, stem, progress)
                if change.row in given:
                    localizer.proposals = given[change.row].load(fold).proposals
                pairs = spread_pairs(benchmark.splits[split], plan.num_pairs)
                frame = evaluate([localizer], pairs, progress=progress)
                frame = frame.assign(fold=fold, parameters=localizer.num_parameters)
                write_text(answers, frame.to_csv(index=False))
            frames.append(read_answers(answers))
    return pd.concat(frames, ignore_index=True)


def _trained(
    change: Change, training: Mapping[str, Any], benchmark: Benchmark, stem: Path, progress: bool
) -> RankingLocalizer:
    if not change.trains:
        asked = Localizer.from_pretrained(stem.with_name(_file_name(BASE.row)) / "model")
        if change.windows:
            if not isinstance(asked.proposals, SlidingWindows):
                raise SettingsError(f"The ablation {change.row!r} changes sliding windows; there are others")
            asked.proposals = replace(asked.proposals, **change.windows)
        for name, value in change.answers.items():
            setattr(asked, name, value)
        asked.name = change.row
        return asked
    if (stem / "model").exists():
        return Localizer.from_pretrained(stem / "model")
    preset = variant_preset("mgffnet", benchmark, None, change.model, change.pairing, training)
    preset = replace(preset, sampler=replace(preset.sampler, **change.sampler), **change.preset)  # type: ignore[type-var]
    resume = (stem / "checkpoints" / "last.ckpt").exists()
    return train_localizer(benchmark, preset, stem, change.row, False, resume=resume, progress=progress)


def _file_name(row: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in row).strip("-")
