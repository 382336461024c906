"""Training episodes of MGFFNet: a query beside candidate windows, as clips of one length or as graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import EpisodeSampler, TrainingPool
from vreloc_pyg.graphs.pairing import Pairing, Pairs
from vreloc_pyg.segments import encode_offsets


class DensePairs(NamedTuple):
    """Pairs of clips of one length each.

    Args:
        queries, proposals: ``[N, Tq, F]`` and ``[N, Tp, F]``.
        mask: steps that are no padding, ``[N, Tq + Tp]`` bool; ``None`` if all are.
        pair_features: ``[N, 6]``, or 7; ``None`` if there are none.
        logits: of the edges between both clips, ``[N, H, Tq, Tp]``; ``None`` if they have none.
    """

    queries: Tensor
    proposals: Tensor
    mask: Tensor | None
    pair_features: Tensor | None
    logits: Tensor | None


class Episode(NamedTuple):
    """A query and its C candidates as pairs.

    Args:
        pairs: one a group of candidates.
        overlaps: tIoU of each candidate with the answer, ``[C]``.
        offsets: :math:`(T_c^*, T_l^*)` of each candidate, ``[C, 2]``.
    """

    pairs: list[Pairs]
    overlaps: Tensor
    offsets: Tensor


class EpisodeBatch(NamedTuple):
    """B episodes of C candidates each.

    Args:
        pairs: B * C pairs, candidates of one query adjacent; a PyG ``Batch`` where clips keep their lengths.
        overlaps, offsets: those of the episodes, ``[B, C]`` and ``[B, C, 2]``.
    """

    pairs: DensePairs | Data
    overlaps: Tensor
    offsets: Tensor


def draw_episode(
    pool: TrainingPool,
    rng: np.random.Generator,
    augmentation: Augmentation | None,
    sampler: EpisodeSampler,
    pairing: Pairing,
) -> Episode:
    """Draw an episode and pair its clips; ``rng`` decides the draw, and an augmentation changes features."""
    drawn = sampler.draw(pool, rng)
    own, speed, change = drawn.query.features, 1.0, None
    if augmentation is not None:
        change = augmentation.draw_episode(own.size(1), rng)
        of_query = augmentation.draw_query(own.size(1), rng)
        own, speed = change(of_query(own)), of_query.speed
    pairs = []
    for group in drawn.candidates:
        theirs = group.reference.features
        if change is not None:
            theirs = change(theirs)
        pairs.append(pairing.pair(own, theirs, group.windows, speed))
    windows, truths, overlaps = (
        torch.cat([getattr(group, part) for group in drawn.candidates])
        for part in ("windows", "truths", "overlaps")
    )
    return Episode(pairs, overlaps, encode_offsets(windows.float(), truths.float()))


def collate_episodes(episodes: Sequence[Episode]) -> EpisodeBatch:
    """Batch episodes of equally many candidates."""
    every = [pairs for episode in episodes for pairs in episode.pairs]
    overlaps = torch.stack([episode.overlaps for episode in episodes])
    offsets = torch.stack([episode.offsets for episode in episodes])
    return EpisodeBatch(dense_pairs(every), overlaps, offsets)


def dense_pairs(every: Sequence[Pairs]) -> DensePairs | Data:
    """Pairs one after the other: as tensors, or as graphs where clips keep their lengths."""
    if any(isinstance(pairs.proposals, list) for pairs in every):
        return Batch.from_data_list([graph for pairs in every for graph in pairs.graphs()])
    masks = [
        torch.cat([pairs.query_mask.expand(len(pairs.version), -1), pairs.proposal_mask], dim=1)
        for pairs in every
        if pairs.proposal_mask is not None
    ]
    numbers = [pairs.pair_features for pairs in every if pairs.pair_features is not None]
    logits = [pairs.logits for pairs in every if pairs.logits is not None]
    return DensePairs(
        torch.cat([pairs.queries[pairs.version] for pairs in every]),
        torch.cat([pairs.proposals for pairs in every if isinstance(pairs.proposals, Tensor)]),
        torch.cat(masks) if masks else None,
        torch.cat(numbers) if numbers else None,
        torch.cat(logits) if logits else None,
    )
