"""The paper's Table 3 and its relatives: one setting of MGFFNet changed at a time, on validation classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.runs import read_answers, spread_pairs
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.files import write_json, write_text
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED
from vreloc_pyg.systems.mgffnet.ranker import MGFFRanker


@dataclass(frozen=True)
class Change:
    """What one row of the ablation changes in the recommended settings.

    Args:
        row: its name in the table.
        group: its heading.
        model: settings of network, pairs and answers.
        training: settings of the run.
        windows: settings of the sliding windows that are ranked.
        answers: settings that a trained model can be given afterwards, ``refine`` or ``search``.
        proposals: other candidate windows, as of :class:`.BenchmarkPlan`.

    A row that changes windows, proposals or answers only is not trained anew: the recommended model is asked.
    """

    row: str
    group: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    windows: Mapping[str, Any] = field(default_factory=dict)
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
    Change("T = 8", "steps", model={"num_steps": 8}),
    Change("T = 32", "steps", model={"num_steps": 32}),
    Change("T = 16, padded and masked", "steps", model={"fit": "pad", "nodes": "features"}),
    Change(
        "T = 16, padded, not masked",
        "steps",
        model={"mask_padding": False, "fit": "pad", "nodes": "features"},
    ),
    Change("half as many windows", "proposals", windows={"overlap": 0.4}),
    Change("twice as many windows", "proposals", windows={"overlap": 0.85}),
)

#: What the recommended preset adds to the paper's, each taken away.
RECIPE_CHANGES = (
    Change("features as nodes", "nodes", model={"nodes": "features"}),
    Change("no context", "nodes", model={"context": 0.0}),
    Change("no mirror image", "nodes", model={"mirror_index": [], "mirror_sign": []}),
    Change("no pair features", "heads", model={"pair_features": False}),
    Change("one pool", "heads", model={"pool": "all"}),
    Change("no residuals", "network", model={"residual": False}),
    Change("no input normalisation", "network", model={"input_norm": False}),
    Change("64 channels", "network", model={"hidden_channels": 64}),
    Change("triplet loss", "loss", training={"loss": "triplet", "reduction": "mean"}),
    Change("flatter targets (temperature .2)", "loss", training={"overlap_temperature": 0.2}),
    Change("sharper targets (temperature .05)", "loss", training={"overlap_temperature": 0.05}),
    Change("12 candidates", "sampling", training={"num_candidates": 12}),
    Change("no augmentation", "training", training={"augment": False}),
    Change("weights not averaged", "training", training={"ema_decay": None}),
    Change("no search about the best windows", "answers", answers={"search": 0}),
    Change("refined by offsets", "answers", answers={"refine": True}),
    Change("refined by boundaries", "answers", model={"regression": "boundaries", "refine": True}),
    Change(
        "refined by boundaries, no search",
        "answers",
        model={"regression": "boundaries", "refine": True, "search": 0},
    ),
)

SETS = {"graph": GRAPH_CHANGES, "recipe": RECIPE_CHANGES, "all": (*GRAPH_CHANGES, *RECIPE_CHANGES)}


def other_proposals(sources: Mapping[str, str]) -> tuple[Change, ...]:
    """Rows that rank other candidate windows, ``proposals`` as of :class:`.BenchmarkPlan`, by their names."""
    taken = {BASE.row, *(change.row for change in SETS["all"])}
    for row in sources:
        if row in taken:
            raise SettingsError(f"The ablation has a row {row!r} already; give these proposals another name")
    return tuple(Change(row, "proposals", proposals=path) for row, path in sources.items())


def choose_changes(names: Sequence[str]) -> tuple[Change, ...]:
    """Changes by the names of sets (``graph``, ``recipe``, ``all``) or of rows, in the table's order."""
    rows = {change.row: change for change in SETS["all"]}
    for name in names:
        if name not in SETS and name not in rows:
            raise SettingsError(f"Unknown ablation {name!r}; known are {', '.join([*SETS, *rows])}")
    chosen = {change.row for name in names for change in SETS.get(name, ()) or (rows[name],)}
    return tuple(change for change in SETS["all"] if change.row in chosen)


def run_ablation(plan: BenchmarkPlan, changes: Sequence[Change], output: str | Path) -> pd.DataFrame:
    """Train the recommended preset and every change of it on every fold; return the answers.

    Pairs are those of the validation classes, since settings are chosen by them. Answers are kept in
    ``output/ablation/foldF/ROW.csv``: what is done is not done again. Of the plan, data, folds, seed, number
    of pairs, and the settings of runs of the recommended system count.

    Raises:
        DataError: if the folder holds answers of other settings, or there are no proposals of a row.
    """
    frames = []
    given = {change.row: replace(plan, proposals=change.proposals) for change in changes if change.proposals}
    for fold in plan.folds:
        data: TaskData | None = None
        for change in (BASE, *changes):
            stem = Path(output) / "ablation" / f"fold{fold}" / _file_name(change.row)
            training = {**plan.training_of(RECOMMENDED.name, fold), **change.training}
            about: dict[str, Any] = {**asdict(change), "training": training, "data": plan.data}
            about |= {"seed": plan.seed, "split": "validation", "num_pairs": plan.num_pairs}
            answers, settings = stem.with_suffix(".csv"), stem.with_suffix(".json")
            if settings.exists() and json.loads(settings.read_text()) != json.loads(json.dumps(about)):
                raise DataError(f"{settings} is of a run with other settings; choose another output folder")
            if not answers.exists():
                data = data or plan.load(fold)
                print(f"{plan.data}, fold {fold}: {change.row}")
                write_json(settings, about)
                localizer = _trained(change, training, data, stem)
                if change.row in given:
                    localizer.proposals = given[change.row].load(fold).proposals
                pairs = spread_pairs(data.splits["validation"], plan.num_pairs)
                frame = evaluate([localizer], pairs)
                frame = frame.assign(fold=fold, parameters=localizer.num_parameters)
                write_text(answers, frame.to_csv(index=False))
            frames.append(read_answers(answers))
    return pd.concat(frames, ignore_index=True)


def _trained(change: Change, training: Mapping[str, Any], data: TaskData, stem: Path) -> Localizer:
    if change.trains:
        if (stem / "model").exists():
            return Localizer.from_pretrained(stem / "model")
        system = replace(RECOMMENDED, row=change.row, kin="own" if change is BASE else "ablation")
        begun = (stem / "checkpoints" / "last.ckpt").exists()
        return train_system(system, data, stem, change.model, training, calibrated=False, resume=begun)
    asked = Localizer.from_pretrained(stem.with_name(_file_name(BASE.row)) / "model")
    asked.name = change.row
    if change.windows:
        if not isinstance(asked.proposals, SlidingWindows):
            raise SettingsError(f"The ablation {change.row!r} changes sliding windows; there are others")
        asked.proposals = replace(asked.proposals, **change.windows)
    if change.answers:
        network = asked.ranker
        assert isinstance(network, MGFFRanker)
        network.settings = replace(network.settings, **change.answers)
    return asked


def _file_name(row: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in row).strip("-")
