"""Episodes and evaluation pairs as Lightning data loaders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch_geometric.data import Batch, Data

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import Candidates, EpisodeSampler, TrainingPool
from vreloc_pyg.datasets.splits import Query, RelocalizationSplit
from vreloc_pyg.graphs.pair_data import MultiScaleEdges
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import encode_offsets


class TrainingBatch(NamedTuple):
    """B episodes of C candidates each.

    Args:
        graphs: a PyG ``Batch`` of B * C pairs, candidates of one query adjacent.
        overlaps: tIoU of each candidate with the answer, ``[B, C]``.
        offsets: :math:`(T_c^*, T_l^*)` of each candidate, ``[B, C, 2]``.
    """

    graphs: Data
    overlaps: Tensor
    offsets: Tensor


class _Example(NamedTuple):
    graphs: list[Data]
    overlaps: Tensor
    offsets: Tensor


class EpisodeDataset(Dataset[_Example]):
    """Episode ``index`` of an epoch, a function of ``(seed, epoch, index)`` alone.

    So the episodes do not depend on the number of workers, and a resumed run sees the same ones.

    Args:
        pool: the training split.
        sampler: draws episodes.
        pairing: makes pair graphs of them.
        size: episodes in an epoch.
        augmentation: changes to the features; ``None`` for none.
        edges: adds edge sets; ``None`` leaves the model to its closed form.
        seed: decides everything with ``epoch``.
        epoch: number of the epoch.
    """

    def __init__(
        self,
        pool: TrainingPool,
        sampler: EpisodeSampler,
        pairing: Pairing,
        size: int,
        augmentation: Augmentation | None = None,
        edges: MultiScaleEdges | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        self.pool = pool
        self.sampler = sampler
        self.pairing = pairing
        self.size = size
        self.augmentation = augmentation
        self.edges = edges
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> _Example:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        episode = self.sampler.draw(self.pool, rng)
        graphs = self._pair(episode.query, episode.candidates, rng)
        if self.edges is not None:
            graphs = [self.edges(graph) for graph in graphs]
        windows = torch.cat([group.windows for group in episode.candidates]).float()
        truths = torch.cat([group.truths for group in episode.candidates]).float()
        overlaps = torch.cat([group.overlaps for group in episode.candidates])
        return _Example(graphs, overlaps, encode_offsets(windows, truths))

    def _pair(self, query: Query, groups: Sequence[Candidates], rng: np.random.Generator) -> list[Data]:
        own, speed, change = query.features, 1.0, None
        if self.augmentation is not None:
            change = self.augmentation.draw_episode(own.size(1), rng)
            of_query = self.augmentation.draw_query(own.size(1), rng)
            own, speed = change(of_query(own)), of_query.speed
        graphs = []
        for group in groups:
            theirs = group.reference.features
            if change is not None:
                theirs = change(theirs)
            graphs += self.pairing.pair(own, theirs, group.windows, speed).graphs()
        return graphs


def collate_episodes(examples: Sequence[_Example]) -> TrainingBatch:
    """Batch episodes of equally many candidates."""
    graphs = Batch.from_data_list([graph for example in examples for graph in example.graphs])
    overlaps = torch.stack([example.overlaps for example in examples])
    return TrainingBatch(graphs, overlaps, torch.stack([example.offsets for example in examples]))


class ValidationPair(NamedTuple):
    """A pair to be judged.

    Args:
        query: features ``[Tq, F]``.
        reference: features ``[N, F]``.
        windows: the candidates in steps, ``[M, 2]`` int64.
        truths: the answers in steps, ``[G, 2]``.
    """

    query: Tensor
    reference: Tensor
    windows: Tensor
    truths: Tensor


class PairDataset(Dataset[ValidationPair]):
    """The evaluation pairs of a split with their candidates, or ``size`` of them, spread evenly."""

    def __init__(
        self, split: RelocalizationSplit, proposals: ProposalSource, size: int | None = None
    ) -> None:
        self.split = split
        self.proposals = proposals
        size = len(split) if size is None else min(size, len(split))
        self.chosen = [index * len(split) // size for index in range(size)]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> ValidationPair:
        query, reference = self.split[self.chosen[index]]
        truths = reference.segments_of(query.label) / reference.seconds_per_step
        return ValidationPair(query.features, reference.features, self.proposals.propose(reference), truths)


class RelocalizationData(lightning.LightningDataModule):
    """Training episodes and validation pairs for :class:`~vreloc_pyg.training.RelocalizationModule`.

    The trainer must be told to reload data loaders every epoch
    (:func:`vreloc_pyg.training.make_trainer` does), so that every epoch draws new episodes.

    Args:
        train: split to draw episodes from.
        validation: split whose pairs choose the checkpoint.
        sampler, pairing, augmentation, edges, seed: see :class:`EpisodeDataset`.
        proposals: candidates of validation references.
        batch_size: episodes a step.
        steps_per_epoch: steps between validations.
        num_workers: processes that prepare episodes.
        validation_pairs: judge only so many pairs; ``None``: all.
        crop: see :class:`~vreloc_pyg.datasets.sampling.TrainingPool`.
    """

    def __init__(
        self,
        train: RelocalizationSplit,
        validation: RelocalizationSplit,
        sampler: EpisodeSampler,
        pairing: Pairing,
        proposals: ProposalSource,
        augmentation: Augmentation | None = None,
        edges: MultiScaleEdges | None = None,
        batch_size: int = 32,
        steps_per_epoch: int = 100,
        seed: int = 0,
        num_workers: int = 0,
        validation_pairs: int | None = None,
        crop: float = 0.0,
    ) -> None:
        super().__init__()
        self.pool = TrainingPool(train, crop)
        self.validation_pairs = validation_pairs
        self.validation = validation
        self.sampler = sampler
        self.pairing = pairing
        self.proposals = proposals
        self.augmentation = augmentation
        self.edges = edges
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[_Example]:
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        episodes = EpisodeDataset(
            self.pool,
            self.sampler,
            self.pairing,
            self.batch_size * self.steps_per_epoch,
            self.augmentation,
            self.edges,
            self.seed,
            epoch,
        )
        return DataLoader(
            episodes, self.batch_size, collate_fn=collate_episodes, num_workers=self.num_workers
        )

    def val_dataloader(self) -> DataLoader[ValidationPair]:
        pairs = PairDataset(self.validation, self.proposals, self.validation_pairs)
        return DataLoader(pairs, batch_size=None)
