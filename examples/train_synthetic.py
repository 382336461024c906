"""Train on the embedded synthetic data and compare with the rules, without the command line."""

import argparse

import torch

from vreloc_pyg.datasets import Synthetic, TaskData
from vreloc_pyg.evaluation import evaluate, format_intervals, recall, result_table, to_markdown
from vreloc_pyg.localization import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED
from vreloc_pyg.systems.rules.window_rule import WindowRule
from vreloc_pyg.systems.spec import Traits
from vreloc_pyg.training.run import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="outputs/train_synthetic")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps-per-epoch", type=int, default=50)
    chosen = parser.parse_args()

    splits = Synthetic(num_train=300, num_validation=20, num_test=40).splits()
    windows = SlidingWindows(shortest=5, longest=64)
    data = TaskData("synthetic", splits, windows, shortest=5, longest=64)

    # What `vreloc train` does (vreloc_pyg.experiments.train), step by step.
    settings = RECOMMENDED.training_for({"epochs": chosen.epochs, "steps_per_epoch": chosen.steps_per_epoch})
    torch.manual_seed(settings.seed)
    network = RECOMMENDED.build(Traits.of(data))
    train(network, RECOMMENDED.recipe(network, settings, data), settings, chosen.output)
    localizer = Localizer(RECOMMENDED, network, windows)
    localizer.save_pretrained(f"{chosen.output}/model")

    results = evaluate([WindowRule(windows), localizer], splits["test"])
    print(to_markdown(format_intervals(result_table(results, [recall(0.5), recall(0.7)]))))


if __name__ == "__main__":
    main()
