"""Training and validation examples as Lightning data loaders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning
import numpy as np
from torch.utils.data import DataLoader, Dataset

from vreloc_pyg.settings import RunSettings
from vreloc_pyg.training.recipe import Recipe


class ExampleDataset(Dataset[Any]):
    """Example ``index`` of an epoch, a function of ``(seed, epoch, index)`` alone.

    So the examples do not depend on the number of workers, and a resumed run sees the same ones. ``draw``
    makes an example of a random state; an epoch has ``size`` of them.
    """

    def __init__(
        self, draw: Callable[[np.random.Generator], Any], size: int, seed: int = 0, epoch: int = 0
    ) -> None:
        self.draw = draw
        self.size = size
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        return self.draw(np.random.default_rng([self.seed, self.epoch, index]))


def bucketed(examples: Sequence[Any], batch_size: int, seed: Sequence[int]) -> list[list[Any]]:
    """Batches of examples whose ``reference``s are of like lengths, in a random order.

    The number of examples is a multiple of ``batch_size``.
    """
    ordered = sorted(examples, key=lambda example: len(example.reference))
    batches = [ordered[first : first + batch_size] for first in range(0, len(ordered), batch_size)]
    return [batches[index] for index in np.random.default_rng(seed).permutation(len(batches))]


class RunData(lightning.LightningDataModule):
    """The examples of a recipe.

    The trainer must be told to reload data loaders every epoch (:func:`.make_trainer` does), so that every
    epoch draws new examples.

    Args:
        recipe: draws the examples.
        settings: of the run.
        num_workers: processes that prepare examples.
    """

    def __init__(self, recipe: Recipe, settings: RunSettings, num_workers: int = 0) -> None:
        super().__init__()
        self.recipe = recipe
        self.settings = settings
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[Any]:
        chosen = self.settings
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        size = chosen.batch_size * chosen.steps_per_epoch
        examples = ExampleDataset(self.recipe.draw, size, chosen.seed, epoch)
        if chosen.buckets:
            batches = bucketed([examples[i] for i in range(size)], chosen.batch_size, [chosen.seed, epoch])
            return DataLoader(batches, batch_size=None, collate_fn=self.recipe.collate)  # type: ignore[arg-type]
        return DataLoader(
            examples, chosen.batch_size, collate_fn=self.recipe.collate, num_workers=self.num_workers
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.recipe.validation, batch_size=None)  # type: ignore[arg-type]
