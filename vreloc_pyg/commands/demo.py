"""``vreloc demo``."""

from __future__ import annotations


def demo(*, output: str = "outputs/demo", epochs: int = 6, pictures: int = 100, seed: int = 0) -> None:
    """Train on synthetic data, evaluate beside the rules, and draw what happened.

    Args:
        output: folder for tables, curves, pictures and the model.
        epochs: validations, each after 50 training steps.
        pictures: number of timeline pictures, at most; there are 100 queries.
        seed: decides data, weights and draws.

    Example:
        vreloc demo --output outputs/demo
    """
    from vreloc_pyg.datasets.tasks import load_task
    from vreloc_pyg.experiments.compare import print_table
    from vreloc_pyg.experiments.demo import run_demo

    data = load_task("synthetic", seed=seed)
    run = {"epochs": epochs, "steps_per_epoch": 50, "seed": seed}
    table = run_demo(data, output, run, pictures)
    print_table(table, ("R@1(0.5)", "R@1(0.7)", "mean tIoU"))
    count = int(table["N"].iloc[0])
    print(f"\nR@1 in % of {count} queries of classes never seen in training, [95 % interval].")
    print(
        f"Tables, curves and a timeline for each query are in {output}; begin with {output}/timelines/00.png"
    )
