"""Training a rival: the same data, seeds, checkpoints and curves as MGFFNet's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.systems.spec import Rival, RivalNetwork, RivalTraining
from vreloc_pyg.training.data import PairDataset, ValidationPair
from vreloc_pyg.training.judging import log_answer
from vreloc_pyg.training.run import fit


class RivalModule(lightning.LightningModule):
    """Trains a rival's network with one optimiser.

    Logs ``train/loss``, and of the best segment of validation pairs what :func:`.judging.log_answer` logs.

    Args:
        rival: whose loss it is.
        network: the network.
        training: settings of the run.
    """

    def __init__(self, rival: Rival, network: RivalNetwork, training: RivalTraining) -> None:
        super().__init__()
        self.rival = rival
        self.network = network
        self.training_settings = training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        chosen = self.training_settings
        groups = self.network.parameter_groups(chosen.learning_rate)
        return torch.optim.AdamW(groups, chosen.learning_rate, weight_decay=chosen.weight_decay)

    def configure_gradient_clipping(self, optimizer: Any, *unused: Any, **also_unused: Any) -> None:
        clip = self.training_settings.gradient_clip
        if clip is not None:
            self.clip_gradients(optimizer, gradient_clip_val=clip, gradient_clip_algorithm="norm")

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # As RelocalizationModule: dropout of an epoch depends on its number alone.
        if batch_idx == 0:
            torch.manual_seed(self.training_settings.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Sequence[Any], batch_idx: int) -> Tensor:
        loss = self.rival.loss(self.network, batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: ValidationPair, batch_idx: int) -> None:
        ranked = self.network.rank(batch.query, batch.reference, batch.windows)
        answers = ranked.windows if ranked.answers is None else ranked.answers
        # Not argmax: of equal scores the first must win, as in Segments.top.
        best = int((ranked.scores == ranked.scores.max()).nonzero()[0])
        log_answer(self, answers[best : best + 1].double(), batch.truths)


class ExampleDataset(Dataset[Any]):
    """Example ``index`` of an epoch, a function of ``(seed, epoch, index)`` alone.

    Args:
        pool: the training split.
        rival: draws the examples.
        size: examples in an epoch.
        augmentation: changes to the features; ``None`` for none.
        seed: decides everything with ``epoch``.
        epoch: number of the epoch.
    """

    def __init__(
        self,
        pool: TrainingPool,
        rival: Rival,
        size: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        self.pool = pool
        self.rival = rival
        self.size = size
        self.augmentation = augmentation
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        return self.rival.draw(self.pool, rng, self.augmentation)


def bucketed(examples: Sequence[Any], batch_size: int, seed: Sequence[int]) -> list[list[Any]]:
    """Batches of examples whose references are of like lengths, in a random order.

    Args:
        examples: with a ``reference [r, F]`` each.
        batch_size: examples a batch; the number of examples is a multiple of it.
        seed: decides the order.
    """
    ordered = sorted(examples, key=lambda example: len(example.reference))
    batches = [ordered[first : first + batch_size] for first in range(0, len(ordered), batch_size)]
    return [batches[index] for index in np.random.default_rng(seed).permutation(len(batches))]


class RivalData(lightning.LightningDataModule):
    """Examples and validation pairs of a rival's run.

    Args:
        rival: draws the examples.
        training: settings of the run.
        train: split to draw examples from.
        validation: split whose pairs choose the checkpoint.
        proposals: candidates of validation references.
        augmentation: changes to the features, used if the settings ask for it.
        num_workers: processes that prepare examples.
    """

    def __init__(
        self,
        rival: Rival,
        training: RivalTraining,
        train: RelocalizationSplit,
        validation: RelocalizationSplit,
        proposals: ProposalSource,
        augmentation: Augmentation | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.rival = rival
        self.training = training
        self.pool = TrainingPool(train, training.crop)
        self.validation = validation
        self.proposals = proposals
        self.augmentation = augmentation if training.augment else None
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[Any]:
        chosen = self.training
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        size = chosen.batch_size * chosen.steps_per_epoch
        examples = ExampleDataset(self.pool, self.rival, size, self.augmentation, chosen.seed, epoch)
        if chosen.buckets:
            batches = bucketed([examples[i] for i in range(size)], chosen.batch_size, [chosen.seed, epoch])
            return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
        return DataLoader(examples, chosen.batch_size, collate_fn=list, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[ValidationPair]:
        pairs = PairDataset(self.validation, self.proposals, self.training.validation_pairs)
        return DataLoader(pairs, batch_size=None)


def train_rival(
    rival: Rival,
    network: RivalNetwork,
    data: RivalData,
    output: str | Path,
    **options: Any,
) -> RivalNetwork:
    """Train a network and return it as it did best on the validation pairs, in eval mode.

    Args:
        rival: which.
        network: new, drawn under the seed of the run.
        data: examples, validation pairs and the settings of the run.
        output: folder for ``checkpoints`` and the curves, ``metrics.csv``.
        **options: of :func:`vreloc_pyg.training.run.fit`.

    Raises:
        CheckpointError: if there is nothing to resume, or the checkpoint does not fit.
    """
    fit(RivalModule(rival, network, data.training), data, data.training, output, **options)
    return network.eval()
