"""Equal chances: as many training steps for every system as fill one budget of processor seconds.

Training itself is not timed, so that it stays the same on every machine: a system's pace is measured once,
and kept with the number of steps that follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import torch

from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.files import read_json, write_json
from vreloc_pyg.settings import CheckedSettings, Count, NotNegative, Positive, settings_from_dict
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.pooled import recipe_on
from vreloc_pyg.systems.spec import LearnedSystem, Traits
from vreloc_pyg.training.data import RunData
from vreloc_pyg.training.recipe import make_optimizer

BUDGETS_NAME = "budgets.json"

#: Training steps and validation pairs that are timed, after the first ones, which warm up.
WARM_UP, TIMED_STEPS, TIMED_PAIRS = 2, 10, 10


@dataclass(frozen=True)
class Pace(CheckedSettings):
    """What a system takes, in processor seconds of all threads.

    Args:
        step_s: a training step: drawing the examples, the loss, and moving the weights.
        pair_s: judging a validation pair.
        batch_size: examples of a step.
        num_pairs: validation pairs of an epoch.
        epochs: validations of a run.
    """

    step_s: Positive
    pair_s: NotNegative
    batch_size: Count
    num_pairs: Count
    epochs: Count

    def steps_per_epoch(self, budget_s: float) -> int:
        """Steps between validations that fill the budget, validations included.

        If it is not enough for a step between validations, that is a :class:`SettingsError`.
        """
        steps = int((budget_s / self.epochs - self.num_pairs * self.pair_s) / self.step_s)
        if steps < 1:
            least = self.epochs * (self.num_pairs * self.pair_s + self.step_s)
            raise SettingsError(
                f"A budget of {budget_s:g} processor seconds is too small for {self.epochs} validations of "
                f"{self.num_pairs} pairs each, which take {least:.0f}; raise the budget, or lower "
                "validation_pairs or epochs for all systems"
            )
        return steps


def measure_pace(
    system: LearnedSystem[Any],
    data: TaskData | Sequence[TaskData],
    model: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> Pace:
    """Time a few steps and validation pairs of a system on its real recipe; see :func:`.train_system`."""
    run = system.training_for(training)
    torch.manual_seed(run.seed)
    sets = [data] if isinstance(data, TaskData) else data
    network = system.build(Traits.of(sets[0]), model)
    recipe = recipe_on(system, network, run, sets)
    optimizer = make_optimizer(network.train(), recipe.groups)

    def train(num_steps: int) -> float:
        began = process_time()
        for batch in RunData(recipe, replace(run, steps_per_epoch=num_steps)).train_dataloader():
            losses = recipe.losses(network, batch, run.mixed_precision)
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
        return (process_time() - began) / num_steps

    train(WARM_UP)
    step_s = train(TIMED_STEPS)
    network.eval()
    num_pairs = len(recipe.validation)  # type: ignore[arg-type]
    chosen = [index * num_pairs // TIMED_PAIRS for index in range(TIMED_PAIRS)]
    with torch.no_grad():
        recipe.judge(network, recipe.validation[0])
        began = process_time()
        for index in chosen:
            recipe.judge(network, recipe.validation[index])
        pair_s = (process_time() - began) / TIMED_PAIRS
    return Pace(step_s, pair_s, run.batch_size, num_pairs, run.epochs)


def budgeted_steps(
    name: str,
    data: TaskData | Sequence[TaskData],
    output: str | Path,
    budget_s: float,
    model: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> int:
    """Steps between validations of a system, by its pace in ``output/budgets.json``.

    A pace that is not there yet is measured on the data and written; so all folds and seeds take the same
    steps. A file of another budget is a :class:`DataError`.
    """
    path = Path(output) / BUDGETS_NAME
    known = _read(path, budget_s)
    if name not in known:
        pace = measure_pace(find_learned(name), data, model, training)
        steps = pace.steps_per_epoch(budget_s)
        known = _read(path, budget_s)  # another process may have written in the meantime
        known.setdefault(name, {**pace.to_dict(), "steps_per_epoch": steps})
        write_json(path, {"budget_s": budget_s, "systems": known})
    entry = dict(known[name])
    steps = entry.pop("steps_per_epoch")
    settings_from_dict(Pace, entry)
    return int(steps)


def _read(path: Path, budget_s: float) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        kept = read_json(path)
        given, systems = kept["budget_s"], dict(kept["systems"])
    except (ValueError, KeyError, TypeError) as error:  # a DataError is a ValueError
        raise DataError(f"Cannot read the budgets {path}: {error!r}; remove it to measure anew") from None
    if given != budget_s:
        raise DataError(f"{path} is of a budget of {given:g}, not {budget_s:g}; choose another output folder")
    return systems
