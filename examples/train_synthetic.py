"""Train on the embedded synthetic data and compare with the rules, without the command line."""

import argparse

from vreloc_pyg.datasets import Synthetic
from vreloc_pyg.evaluation import evaluate, format_intervals, result_table, to_markdown
from vreloc_pyg.localization import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.catalog import WindowRule
from vreloc_pyg.training import make_preset, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="outputs/train_synthetic")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps-per-epoch", type=int, default=50)
    chosen = parser.parse_args()

    splits = Synthetic(num_train=300, num_validation=20, num_test=40).splits()
    windows = SlidingWindows(shortest=5, longest=64)
    preset = make_preset(
        "recommended",
        num_features=splits["train"].num_features,
        proposals=windows,
        training={"epochs": chosen.epochs, "steps_per_epoch": chosen.steps_per_epoch},
    )
    model = train(preset, splits["train"], splits["validation"], chosen.output)
    localizer = Localizer(model, preset.pairing, windows, preset.refine)
    localizer.save_pretrained(f"{chosen.output}/model")

    results = evaluate([WindowRule(windows), localizer], splits["test"])
    print(to_markdown(format_intervals(result_table(results, thresholds=(0.5, 0.7)))))


if __name__ == "__main__":
    main()
