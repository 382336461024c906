"""Train on human motion of real videos (Penn Action) and localize one query in a reference.

    python examples/train_penn_action.py --root PENN_ACTION --fold 0

PENN_ACTION is the data set's folder with `labels/0001.mat` to `labels/2326.mat`.
"""

import argparse

from vreloc_pyg.datasets import load_task
from vreloc_pyg.experiments.compare import evaluate_task, print_table
from vreloc_pyg.experiments.train import train_system


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--output", default="outputs/train_penn_action")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps-per-epoch", type=int, default=50)
    chosen = parser.parse_args()

    data = load_task("penn_action", chosen.root, chosen.fold)
    run = {"epochs": chosen.epochs, "steps_per_epoch": chosen.steps_per_epoch}
    localizer = train_system("mgffnet", data, chosen.output, training=run)

    query, reference = data.splits["validation"][0]
    answers = localizer.localize(query, reference, top_n=3)
    print(f"\n{query.label} ({query.duration_s:.1f} s) in a reference of {reference.duration_s:.1f} s")
    print("truth:  ", [f"{start:.2f}-{end:.2f} s" for start, end in reference.segments_of(query.label)])
    print("answers:", [f"{start:.2f}-{end:.2f} s" for start, end in answers])
    print_table(evaluate_task(data, [localizer], chosen.output, split="validation"))


if __name__ == "__main__":
    main()
