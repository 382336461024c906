"""``vreloc train``."""

from __future__ import annotations

from pathlib import Path

from vreloc_pyg.commands.listing import system_settings
from vreloc_pyg.commands.options import Override, TaskOptions


def train(
    task: TaskOptions,
    *,
    output: str,
    system: str = "mgffnet",
    model: Override | None = None,
    training: Override | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    num_workers: int = 0,
) -> None:
    """Train a system; the best model on the validation classes is saved in OUTPUT/model.

    With several data sets, as --data jhmdb-reloc,utkinect-reloc with a root each, every example is of one of
    them; `vreloc evaluate --adapt` puts the model on any other.

    Args:
        task: the data.
        output: folder for checkpoints, curves, settings and the model.
        system: one of {learned}.
        model: settings of the system to replace, such as --model.hidden-channels 64.
        training: settings of the run to replace, such as --training.epochs 5.
        resume: continue the run in OUTPUT from its last checkpoint.
        tensorboard: log for TensorBoard too.
        num_workers: processes that prepare training episodes.

    Example:
        vreloc train --system cgbm --output outputs/cgbm --training.epochs 2
    """
    from vreloc_pyg.experiments.train import train_system

    train_system(
        system,
        task.load_all(),
        output,
        model,
        {"seed": task.seed, **(training or {})},
        resume=resume,
        tensorboard=tensorboard,
        num_workers=num_workers,
    )
    place = Path(output)
    print(f"Saved the best model in {place / 'model'} and the curves in {place / 'metrics.csv'}")


def further_help(system: str = "mgffnet") -> list[str]:
    """What the help lists beside the options."""
    return system_settings(system)
