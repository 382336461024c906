"""Training any learned system into a folder from which it can be read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.localization.calibration import calibrate
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.systems.answering import CHOOSING_PAIRS, choose_answers
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.judging import PairDataset
from vreloc_pyg.systems.pooled import recipe_on
from vreloc_pyg.systems.spec import LearnedSystem, Traits
from vreloc_pyg.training.run import train


def train_system(
    system: str | LearnedSystem[Any],
    data: TaskData | Sequence[TaskData],
    output: str | Path,
    model: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    *,
    calibrated: bool = True,
    resume: bool = False,
    progress: bool = True,
    tensorboard: bool = False,
    num_workers: int = 0,
) -> Localizer:
    """Train a system on a task and save it, as it did best, into ``output/model``.

    Mirror image, search and length of its answers are chosen on the validation split afterwards.
    What a network proposes by itself, as SST does, is saved into ``output/proposals``.

    Args:
        system: a name of the catalog, or a spec of one's own.
        data: its training split is trained on, its validation split chooses. Of several, for systems whose
            weights suit them all, the model is saved as that of the first, by whose pairs its answers are
            chosen.
        output: folder for the model, checkpoints and curves.
        model, training: settings of the network and of the run to replace.
        calibrated: fit the probability that a reference shows the action at all, on the validation split;
            never of several data sets.
        resume, progress, tensorboard, num_workers: of :func:`vreloc_pyg.training.run.train`.

    Raises:
        SettingsError: if a system of a suite of data sets is given others than all but one of them.
    """
    spec = find_learned(system) if isinstance(system, str) else system
    run = spec.training_for(training)
    torch.manual_seed(run.seed)
    sets = [data] if isinstance(data, TaskData) else list(data)
    first = sets[0]
    names = {one.name for one in sets}
    if spec.suite and (not names < {*spec.suite} or len(names) < len(spec.suite) - 1):
        raise SettingsError(
            f"The system {spec.name!r} is trained on all but one of {', '.join(spec.suite)} "
            f"(got {', '.join(sorted(names))})"
        )
    network = spec.build(Traits.of(first), model)
    recipe = recipe_on(spec, network, run, sets)
    options: dict[str, Any] = {"resume": resume, "progress": progress, "tensorboard": tensorboard}
    train(network, recipe, run, output, num_workers=num_workers, **options)
    pairs = PairDataset(first.splits["validation"], first.proposals, CHOOSING_PAIRS, spec.judged_windows)
    answers = choose_answers(network, pairs, first.skeleton)
    localizer = Localizer(spec, network, first.proposals, answers=answers)
    if len(sets) == 1:
        localizer.features = first.features
        if calibrated:
            localizer.calibration = calibrate(localizer, first.splits["validation"])
    proposals = network.proposals()
    if proposals is not None:
        proposals.save_pretrained(Path(output) / "proposals")
    localizer.save_pretrained(Path(output) / "model")  # last: where it is whole, nothing is missing
    return localizer
