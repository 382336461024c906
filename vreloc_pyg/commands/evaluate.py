"""``vreloc evaluate``."""

from __future__ import annotations

from typing import Literal

from vreloc_pyg.commands.options import TaskOptions


def evaluate(
    task: TaskOptions,
    *,
    checkpoint: str,
    output: str,
    split: Literal["validation", "test"] = "test",
    metrics: list[str] | None = None,
    adapt: bool = False,
) -> None:
    """Evaluate a trained model beside Chance, the query-blind rules and the window rules.

    Args:
        task: the data; its proposals replace those of the checkpoint where given.
        checkpoint: folder of a saved model, such as OUTPUT/model of train.
        output: folder for the tables.
        split: whose pairs are answered.
        metrics: columns of the tables, such as [R@1(0.5),R@5(0.5),start error]; by default R@1 at eight
            thresholds, the mean tIoU and the errors of both ends in seconds.
        adapt: put the model on features of another kind than it was trained on, where its weights allow it;
            with --checkpoint mgffnet the network that comes with the package answers on any features.

    Example:
        vreloc evaluate --checkpoint outputs/first/model --output outputs/first/test
    """
    from vreloc_pyg.evaluation.metrics import METRICS, metric_named
    from vreloc_pyg.experiments.compare import evaluate_task, load_localizer, print_table

    chosen = METRICS if metrics is None else [metric_named(name) for name in metrics]
    data = task.load()
    localizer = load_localizer(checkpoint, data, adapt)
    print_table(evaluate_task(data, [localizer], output, split, chosen))
    print(f"\nTables are in {output}")
