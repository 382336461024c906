"""The paper's Table 3 and its relatives: one setting of MGFFNet changed at a time, on validation classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from vreloc_pyg.checkpoint import is_whole
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import evaluate
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.runs import read_answers, spread_pairs
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.files import read_json, write_json, write_text
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.mgffnet.presets import PAPER, RECOMMENDED
from vreloc_pyg.systems.mgffnet.ranker import MGFFRanker
from vreloc_pyg.systems.protocol import Kin


@dataclass(frozen=True)
class Change:
    """What one row of the ablation changes in the settings of a preset.

    Args:
        row: its name in the table.
        model: settings of network, pairs and answers.
        training: settings of the run.
        windows: settings of the sliding windows that are ranked.
        answers: settings that a trained model can be given afterwards, ``refine``, or those of
            :class:`.AnswerSettings`.
        proposals: other candidate windows, as of :class:`.BenchmarkPlan`.

    A row that changes windows, proposals or answers only is not trained anew: the unchanged model is asked.
    A trained row's answers are chosen on the validation split, but for those that it names.
    """

    row: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    windows: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    proposals: str | None = None

    @property
    def trains(self) -> bool:
        """Whether the row needs a model of its own."""
        return bool(self.model or self.training) or not (self.windows or self.answers or self.proposals)


#: The row without any change, of each preset that is changed.
BASES = {RECOMMENDED.name: Change("recommended"), PAPER.name: Change("paper")}

#: The paper's Table 3: n layers by the scales 1 to k. Its ninth field, n = 2 and k = 1, 2, 3, is no change.
TABLE_3 = tuple(
    Change(
        f"n = {layers}, k = {', '.join(map(str, range(1, last + 1)))}",
        model={"num_layers": layers, "scales": list(range(1, last + 1))},
    )
    for layers in (1, 2, 3)
    for last in (1, 2, 3)
    if (layers, last) != (2, 3)
)

#: The paper's CNN and graph types (section 4.4), other lengths of clips, and other numbers of windows.
GRAPH_CHANGES = (
    Change("CNN (no graph)", model={"aggregate": False}),
    Change("binary weights", model={"weight": "binary"}),
    Change("exponential weights", model={"weight": "exponential"}),
    Change("Laplacian weights", model={"weight": "laplacian"}),
    Change("T = 8", model={"num_steps": 8}),
    Change("T = 32", model={"num_steps": 32}),
    Change("T = 16, padded and masked", model={"fit": "pad", "nodes": "features"}),
    Change(
        "T = 16, padded, not masked",
        model={"mask_padding": False, "fit": "pad", "nodes": "features"},
    ),
    Change("half as many windows", windows={"overlap": 0.4}),
    Change("twice as many windows", windows={"overlap": 0.85}),
)

#: What the recommended preset adds to the paper's, each taken away, and what was tried beside it.
RECIPE_CHANGES = (
    Change("features as nodes", model={"nodes": "features"}),
    Change("no context", model={"context": 0.0}),
    Change("no mirror image", model={"mirror_index": [], "mirror_sign": []}),
    Change("no pair features", model={"pair_features": False}),
    Change("one pool", model={"pool": "all"}),
    Change("no residuals", model={"residual": False}),
    Change("no input normalisation", model={"input_norm": False}),
    Change("64 channels", model={"hidden_channels": 64}),
    Change("triplet loss", training={"loss": "triplet", "reduction": "mean"}),
    Change("flatter targets (temperature .2)", training={"overlap_temperature": 0.2}),
    Change("sharper targets (temperature .05)", training={"overlap_temperature": 0.05}),
    Change("12 candidates", training={"num_candidates": 12}),
    Change("parts of references as queries (.3)", training={"own_parts": 0.3}),
    Change("no augmentation", training={"augment": False}),
    Change("weights not averaged", training={"ema_decay": None}),
    Change("no search about the best windows", answers={"search": 0}),
    Change("refined by offsets", answers={"refine": True}),
    Change("refined by boundaries", model={"regression": "boundaries", "refine": True}),
    Change(
        "refined by boundaries, no search",
        model={"regression": "boundaries", "refine": True},
        answers={"search": 0},
    ),
)

SETS = {"table3": TABLE_3, "graph": GRAPH_CHANGES, "recipe": RECIPE_CHANGES}
SETS["all"] = tuple(change for changes in list(SETS.values()) for change in changes)


def other_proposals(sources: Mapping[str, str]) -> tuple[Change, ...]:
    """Rows that rank other candidate windows, ``proposals`` as of :class:`.BenchmarkPlan`, by their names."""
    taken = {change.row for change in (*BASES.values(), *SETS["all"])}
    for row in sources:
        if row in taken:
            raise SettingsError(f"The ablation has a row {row!r} already; give these proposals another name")
    return tuple(Change(row, proposals=path) for row, path in sources.items())


def choose_changes(names: Sequence[str]) -> tuple[Change, ...]:
    """Changes by the names of sets (``table3``, ``graph``, ...) or of rows, in the table's order."""
    rows = {change.row: change for change in SETS["all"]}
    for name in names:
        if name not in SETS and name not in rows:
            raise SettingsError(f"Unknown ablation {name!r}; known are {', '.join([*SETS, *rows])}")
    chosen = {change.row for name in names for change in SETS.get(name, ()) or (rows[name],)}
    return tuple(change for change in SETS["all"] if change.row in chosen)


def base_of(system: str) -> Change:
    """The row of an unchanged preset; :class:`SettingsError` for another system."""
    if system not in BASES:
        raise SettingsError(f"The ablation changes {' or '.join(BASES)} (got {system!r})")
    return BASES[system]


def run_ablation(
    plan: BenchmarkPlan, changes: Sequence[Change], output: str | Path, system: str = RECOMMENDED.name
) -> pd.DataFrame:
    """Train a preset, by default the recommended, and every change of it on every fold; return the answers.

    Pairs are those of the validation classes, since settings are chosen by them. Answers are kept in
    ``output/ablation/foldF/ROW.csv``: what is done is not done again. Of the plan, data, folds, seed, number
    of pairs, and the settings of runs of the system count.

    Raises:
        SettingsError: if the system is none of the presets.
        DataError: if the folder holds answers of other settings, or there are no proposals of a row.
    """
    frames, base = [], base_of(system)
    given = {change.row: replace(plan, proposals=change.proposals) for change in changes if change.proposals}
    for fold in plan.folds:
        data: TaskData | None = None
        for change in (base, *changes):
            stem = Path(output) / "ablation" / f"fold{fold}" / _file_name(change.row)
            training = {**plan.training_of(system, fold), **change.training}
            about: dict[str, Any] = {**asdict(change), "training": training, "data": plan.data}
            about |= {"seed": plan.seed, "split": "validation", "num_pairs": plan.num_pairs}
            about |= {} if system == RECOMMENDED.name else {"system": system}
            answers, settings = stem.with_suffix(".csv"), stem.with_suffix(".json")
            if settings.exists() and read_json(settings) != json.loads(json.dumps(about)):
                raise DataError(f"{settings} is of a run with other settings; choose another output folder")
            if not answers.exists():
                data = data or plan.load(fold)
                print(f"{plan.data}, fold {fold}: {change.row}")
                write_json(settings, about)
                localizer = _trained(system, change, training, data, stem)
                if change.row in given:
                    localizer.proposals = given[change.row].load(fold).proposals
                pairs = spread_pairs(data.splits["validation"], plan.num_pairs)
                frame = evaluate([localizer], pairs)
                frame = frame.assign(fold=fold, parameters=localizer.num_parameters)
                write_text(answers, frame.to_csv(index=False))
            frames.append(read_answers(answers))
    return pd.concat(frames, ignore_index=True)


def _trained(name: str, change: Change, training: Mapping[str, Any], data: TaskData, stem: Path) -> Localizer:
    place = stem if change.trains else stem.with_name(_file_name(BASES[name].row))
    if change.trains and not is_whole(stem / "model"):
        kin: Kin = "own" if change is BASES[name] else "ablation"
        system = replace(find_learned(name), row=change.row, kin=kin)
        begun = (stem / "checkpoints" / "last.ckpt").exists()
        train_system(system, data, stem, change.model, training, calibrated=False, resume=begun)
    asked = Localizer.from_pretrained(place / "model")
    asked.name = change.row
    if change.windows:
        if not isinstance(asked.proposals, SlidingWindows):
            raise SettingsError(f"The ablation {change.row!r} changes sliding windows; there are others")
        asked.proposals = replace(asked.proposals, **change.windows)
    network = asked.ranker
    assert isinstance(network, MGFFRanker)
    afterwards = dict(change.answers)
    if "refine" in afterwards:
        network.settings = replace(network.settings, refine=afterwards.pop("refine"))
    asked.answers = replace(asked.answers, **afterwards)
    return asked


def _file_name(row: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in row).strip("-")
