"""``vreloc train-actionness``."""

from __future__ import annotations

from vreloc_pyg.commands.listing import settings_text
from vreloc_pyg.commands.options import Override, TaskOptions


def train_actionness(
    task: TaskOptions,
    *,
    output: str,
    network: Override | None = None,
    training: Override | None = None,
    grouping: Override | None = None,
    resume: bool = False,
) -> None:
    """Train the actionness classifier whose groups are proposals; the best by AUC on validation classes.

    Args:
        task: the data.
        output: folder for the classifier, to be given as --proposals, and its curves.
        network: settings of the classifier to replace, such as --network.num-layers 3.
        training: settings of the run to replace, such as --training.epochs 5.
        grouping: settings of temporal actionness grouping to replace, such as --grouping.smoothing 2.
        resume: continue the run in OUTPUT from its last checkpoint.

    Example:
        vreloc train-actionness --output outputs/actionness --training.epochs 2
    """
    from vreloc_pyg.experiments.candidates import train_proposals

    run = {"seed": task.seed, **(training or {})}
    _, auc = train_proposals(task.load(), output, network, run, grouping, resume)
    print(f"AUC on validation classes: {auc:.3f}. Saved in {output}; use it with --proposals {output}")


def further_help() -> list[str]:
    """What the help lists beside the options."""
    return [
        settings_text("network", "nn.actionness_classifier", "ActionnessSettings"),
        settings_text("training", "training.actionness", "ActionnessTraining"),
        settings_text("grouping", "proposals.tag", "TAGSettings"),
    ]
