"""Similarity-net: a convolutional network that is shown distances only, and ranks windows by them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.losses import listwise_loss
from vreloc_pyg.sequences.pose import check_groups, check_mirror, mirror_image
from vreloc_pyg.settings import Below1, CheckedSettings, Context, Count, RunSettings, Within
from vreloc_pyg.systems.network import EVERYTHING, Ranked, RankingNetwork
from vreloc_pyg.systems.similarity_net.distance_maps import (
    MAPS_PER_GROUP,
    PLACE_MAPS,
    reference_maps,
    window_maps,
)
from vreloc_pyg.systems.spec import LearnedSystem, describe_features
from vreloc_pyg.training.recipe import Recipe

#: Cells of maps that are scored at once: what the layers make of so few stays in a processor's cache.
CELLS = 128 * 16 * 24
#: Steps of a side of a map.
MapSide = Annotated[int, Within("[1, 1000]")]


@dataclass(frozen=True)
class SimilarityNetSettings(CheckedSettings):
    """Everything that decides the shape and the arithmetic of :class:`SimilarityNet`.

    Args:
        hidden_channels: of the convolutions; the first has half.
        dropout: share of values dropped before the score, in training.
        num_query, num_window: size of a map, Tq and Tw.
        context: see :func:`.window_maps`.
        feature_groups: ranges of feature columns that have maps of their own.
        mirror_index, mirror_sign: how to mirror features
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`); empty: no mirror images.
    """

    hidden_channels: Count = 32
    dropout: Below1 = 0.2
    num_query: MapSide = 16
    num_window: MapSide = 24
    context: Context = 0.2
    feature_groups: tuple[tuple[int, int], ...] = ((0, 1),)
    mirror_index: tuple[int, ...] = ()
    mirror_sign: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.feature_groups)
        if not self.feature_groups:
            raise SettingsError("Expected at least one of feature_groups (got none)")
        check_mirror(self.mirror_index, self.mirror_sign)


class SimilarityNet(RankingNetwork):
    r"""Scores windows of a reference by an image of their distances to the query.

    .. math::
        S(q, w) = \mathrm{MLP}([\mathrm{mean}(Z), \max(Z), \rho, |\rho|]), \qquad
        Z = \mathrm{CNN}(\mathrm{maps}(q, w)), \qquad \rho = \log \frac{\mathrm{len}_w}{\mathrm{len}_q}

    Actions that run alike leave a dark diagonal, whichever action it is: the network cannot know a class,
    since it is shown :func:`.window_maps` and no feature.
    """

    settings: SimilarityNetSettings

    def __init__(self, num_features: int, settings: SimilarityNetSettings) -> None:
        super().__init__(num_features, settings)
        width, half = settings.hidden_channels, max(1, settings.hidden_channels // 2)
        num_maps = MAPS_PER_GROUP * len(settings.feature_groups) + PLACE_MAPS
        self.norm = nn.BatchNorm2d(num_maps)
        self.convolutions = nn.Sequential(
            *_layer(num_maps, half, stride=1),
            *_layer(half, width, stride=2),
            *_layer(width, width, stride=1),
            *_layer(width, width, stride=2),
        )
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout), nn.Linear(2 * width + 2, width), nn.ReLU(), nn.Linear(width, 1)
        )

    @property
    def takes(self) -> frozenset[str]:
        return EVERYTHING - {"mirror"}  # its maps hold the nearer of both images

    def forward(self, maps: Tensor, log_ratio: Tensor) -> Tensor:
        """Scores ``[M]`` of windows by their maps ``[M, C, Tq, Tw]`` and their log ratios of length."""
        found = self.convolutions(self.norm(maps)).flatten(2)  # [M, d, Tq Tw / 16]
        numbers = torch.stack([log_ratio, log_ratio.abs()], dim=1)
        pooled = torch.cat([found.mean(2), found.amax(2), numbers], dim=1)
        scores: Tensor = self.head(pooled).squeeze(1)
        return scores

    def maps(self, query: Tensor, reference: Tensor) -> Tensor:
        """Distances of a query and a whole reference, :func:`.reference_maps`."""
        chosen = self.settings
        images = [query]
        if chosen.mirror_index:
            images.append(mirror_image(query, chosen.mirror_index, chosen.mirror_sign))
        return reference_maps(images, reference, chosen.feature_groups, chosen.num_query)

    def cut(self, maps: Tensor, windows: Tensor) -> Tensor:
        """The :func:`.window_maps` of windows."""
        return window_maps(maps, windows, self.settings.num_window, self.settings.context)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """The windows with their scores."""
        maps = self.maps(query, reference)
        chunk = max(1, CELLS // (self.settings.num_query * self.settings.num_window))
        parts = [
            self(self.cut(maps, some), log_ratios(some, len(query)).to(maps)) for some in windows.split(chunk)
        ]
        return Ranked(windows, torch.cat(parts))


def _layer(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    """A 3 x 3 convolution with batch norm and ReLU."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]


def log_ratios(windows: Tensor, query_steps: float) -> Tensor:
    """Logarithm of the length of windows over that of the query, ``[M]``."""
    return torch.log((windows[:, 1] - windows[:, 0]).float()) - math.log(query_steps)


class GradedExample(NamedTuple):
    """A query, and windows of a reference whose overlaps with the answer are known.

    Args:
        query, reference: features, ``[q, F]`` and ``[r, F]``.
        windows: half-open step intervals, ``[C, 2]`` int64.
        log_ratio: logarithm of their lengths over the query's, ``[C]``.
        overlaps: tIoU with the answer, ``[C]``.
    """

    query: Tensor
    reference: Tensor
    windows: Tensor
    log_ratio: Tensor
    overlaps: Tensor


def draw_graded(
    pool: TrainingPool,
    rng: np.random.Generator,
    augmentation: Augmentation | None,
    sampler: GradedSampler,
) -> GradedExample:
    """Draw windows of one reference; an augmentation changes features, and the query's length."""
    drawn = sampler.draw(pool, rng)
    (group,) = drawn.candidates
    own, theirs, steps = drawn.query.features, group.reference.features, float(drawn.query.num_steps)
    if augmentation is not None:
        change = augmentation.draw_episode(own.size(1), rng)
        of_query = augmentation.draw_query(own.size(1), rng)
        own, theirs, steps = change(of_query(own)), change(theirs), steps / of_query.speed
    return GradedExample(own, theirs, group.windows, log_ratios(group.windows, steps), group.overlaps)


def similarity_loss(network: SimilarityNet, examples: Sequence[GradedExample]) -> Tensor:
    """The listwise loss of a batch (:func:`.listwise_loss`)."""
    maps = torch.cat([network.cut(network.maps(one.query, one.reference), one.windows) for one in examples])
    scores = network(maps, torch.cat([one.log_ratio for one in examples]))
    overlaps = torch.stack([one.overlaps for one in examples])
    return listwise_loss(scores.view(overlaps.shape), overlaps)


class SimilaritySystem(LearnedSystem[SimilarityNet]):
    """Similarity-net: its windows are none shorter than the task's."""

    def recipe(self, network: SimilarityNet, training: RunSettings, data: TaskData) -> Recipe:
        draw = partial(draw_graded, sampler=GradedSampler(shortest=data.shortest))
        return LearnedSystem.recipe(replace(self, draw=draw), network, training, data)


SIMILARITY_NET = SimilaritySystem(
    name="similarity-net",
    row="similarity-net",
    network=SimilarityNet,
    settings=SimilarityNetSettings,
    loss=similarity_loss,
    draw=draw_graded,
    training=RunSettings(
        learning_rate=2e-3,
        weight_decay=1e-2,
        batch_size=16,
        steps_per_epoch=40,
        gradient_clip=2.0,
        ema_decay=0.99,
        schedule="decay",
        augment=True,
    ),
    source="in the spirit of CNN-based query-by-example (Ram, Miculicich and Bourlard, Interspeech 2018)",
    suit=describe_features,
)
