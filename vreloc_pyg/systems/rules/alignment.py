"""Query by example without training: the stretch that is aligned with the query at least cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.segments import Segments, steps_to_seconds, temporal_nms
from vreloc_pyg.sequences.pose import Skeleton, mirror_image
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.sequences.windows import cut_windows
from vreloc_pyg.settings import CheckedSettings, Count, NotNegative, Share
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.rules.paths import Array, best_paths

#: Steps of a clip that is compared with the bank.
BANK_STEPS = 8


@dataclass(frozen=True)
class AlignmentSettings(CheckedSettings):
    """The parts of :class:`Alignment`, each a switch. The defaults did well on validation classes.

    Args:
        rows: how the distances of one query step are made comparable with those of the others: ``"plain"``
            not at all, ``"range"`` from 0 for their least to 1 for their greatest.
        normalize: divide every step's features by their norm first; not those of a pose.
        velocities: all features of a pose are compared, not its positions alone.
        mirror: the nearer of the query and its mirror image counts, where features have a skeleton.
        length_weight: of the logarithm of the ratio of lengths.
        statistics_weight: of the distance of mean and standard deviation, see :class:`.WindowRule`.
        bank_weight: of the distance to the nearest clips of a bank, if there is one.
        bank_nearest: so many are averaged.
    """

    rows: Literal["plain", "range"] = "plain"
    normalize: bool = True
    velocities: bool = True
    mirror: bool = True
    length_weight: NotNegative = 0.05
    statistics_weight: NotNegative = 0.2
    bank_weight: NotNegative = 0.2
    bank_nearest: Count = 8


class Candidates(NamedTuple):
    """The best segment to every end step, and what its cost is made of.

    Args:
        video: what is compared of the reference, ``[r, F']``.
        steps: half-open step intervals, by start, ``[M, 2]`` int64.
        path, ratio, statistics: see :class:`Alignment`, ``[M]`` float64 each.
    """

    video: Tensor
    steps: Tensor
    path: Array
    ratio: Array
    statistics: Array


@dataclass(frozen=True)
class Alignment:
    r"""Subsequence alignment with what spoken term detection adds to it.

    .. math::
        C(s, e) = \bar D_{s,e} + \alpha \left| \log \frac{e - s}{q} \right| + \beta\, \bar\sigma_{s,e}
        - \gamma\, \bar b_{s,e}

    - :math:`\bar D` is the mean distance along the path from s to e, of ``asymmetric`` moves
      (:class:`.FrameLevel`); for every end there is one start, that of the least mean. Distances are divided
      by their mean over the table, so that features need no scale of their own, or brought to rows from 0
      to 1.
    - :math:`\bar\sigma` is the distance of window statistics, over its mean over the candidates.
    - :math:`\bar b` is the mean distance of the candidate's nearest clips in a bank of *training* classes,
      over its mean over the candidates: what is like something else too is a worse answer. (T-norm of
      speaker verification: Auckenthaler et al., Digital Signal Processing 10, 2000.) Clips are resampled to
      8 steps, and none of the bank that shares a source with the reference takes part. Only candidates that
      are left by non-maximum suppression are compared: near-copies of a segment differ by less than their
      distances to other actions can tell.

    Segmental alignment of a query: Park and Glass, *Unsupervised pattern discovery in speech*, IEEE TASLP
    16, 2008; slope limits: Sakoe and Chiba, IEEE TASSP 26, 1978.

    Args:
        settings: its parts.
        skeleton: of pose features; ``None`` for other features.
        bank: clips of training classes; none, and :math:`\gamma` is 0.
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies.
    """

    settings: AlignmentSettings = AlignmentSettings()
    skeleton: Skeleton | None = None
    bank: tuple[Query, ...] = field(default=(), repr=False)
    nms_threshold: Share | None = 0.5
    name: ClassVar[str] = "alignment (no training)"
    kin: ClassVar[Kin] = "rule"

    @property
    def about(self) -> str:
        """The settings that are not the default ones."""
        own, usual = self.settings.to_dict(), AlignmentSettings().to_dict()
        return ", ".join(f"{name} {value}" for name, value in own.items() if value != usual[name])

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The candidates of least cost; the score is minus the cost."""
        check_top_n(top_n)
        steps, scores = self.rank(self.candidates(query, reference), reference)
        return Segments(steps_to_seconds(steps, reference.seconds_per_step), scores).top(top_n)

    def rank(self, found: Candidates, reference: Reference) -> tuple[Tensor, Tensor]:
        """The candidates that no better one overlaps too much, ``[K, 2]`` in steps, and their scores."""
        chosen = self.settings
        cost = found.path + chosen.length_weight * found.ratio + chosen.statistics_weight * found.statistics
        steps, scores = found.steps, torch.from_numpy(-cost)
        if self.nms_threshold is not None:
            kept = temporal_nms(steps.double(), scores, self.nms_threshold)
            steps, scores = steps[kept], scores[kept]
        if chosen.bank_weight:
            distances = self._bank_distance(reference, found.video, steps)
            scores = scores + chosen.bank_weight * torch.from_numpy(distances)
        return steps, scores

    def candidates(self, query: Query, reference: Reference) -> Candidates:
        """The segments that are considered; features of different widths are a :class:`FeatureError`."""
        check_features(reference.features, f"reference {reference.video_id!r}", query.features.size(1))
        images = self._images(query.features)
        video = self._compared(reference.features)
        paths = [best_paths(self._table(image, video), "asymmetric") for image in images]
        starts, means = map(np.stack, zip(*paths, strict=True))  # [V, r] each
        ends = np.flatnonzero(np.isfinite(means.min(0)))
        start, path = starts[means.argmin(0)[ends], ends], means.min(0)[ends]
        order = np.lexsort((ends, start))  # equal costs keep this order
        steps = torch.from_numpy(np.stack([start, ends + 1], axis=1)[order])
        ratio = np.log((steps[:, 1] - steps[:, 0]).numpy() / query.num_steps)
        statistics = _over_mean(statistics_distance(images, video, steps))
        return Candidates(video, steps, path[order], np.abs(ratio), statistics)

    def _compared(self, features: Tensor) -> Tensor:
        """What is compared of features ``[T, F]``, in float64."""
        features = features.detach().cpu().double()
        if self.skeleton is not None:
            positions, _ = self.skeleton.feature_groups()
            return features if self.settings.velocities else features[:, slice(*positions)]
        return torch.nn.functional.normalize(features, dim=1) if self.settings.normalize else features

    def _images(self, features: Tensor) -> list[Tensor]:
        """A clip and, where that counts, its mirror image."""
        images = [features]
        if self.skeleton is not None:
            self.skeleton.check_width(features.size(1))
            if self.settings.mirror:
                images.append(mirror_image(features, *self.skeleton.mirror_features()))
        return [self._compared(image) for image in images]

    def _table(self, image: Tensor, video: Tensor) -> Array:
        """Comparable distances of query and reference steps, ``[q, r]``."""
        table: Array = torch.cdist(image, video, compute_mode="donot_use_mm_for_euclid_dist").numpy()
        if self.settings.rows == "plain":
            return _over_mean(table)
        table = table - table.min(axis=1, keepdims=True)
        greatest = table.max(axis=1, keepdims=True)
        return table / np.where(greatest > 0, greatest, 1)

    @cached_property
    def _bank(self) -> Tensor:
        """Clips of the bank and, where that counts, their mirror images, resampled, ``[B, V, 8 F]``."""
        return torch.stack(
            [torch.cat([_resampled(image) for image in self._images(clip.features)]) for clip in self.bank]
        )

    def _bank_distance(self, reference: Reference, video: Tensor, steps: Tensor) -> Array:
        """Mean distance of candidates to their nearest clips of the bank, over its mean, ``[M]``."""
        foreign = [index for index, clip in enumerate(self.bank) if not reference.shares_source(clip)]
        if not foreign:
            return np.zeros(len(steps))
        clips = self._bank[foreign].flatten(0, 1)
        distances = torch.cdist(_resampled(video, steps), clips)  # [M, B V]
        nearest = min(self.settings.bank_nearest, len(clips))
        return _over_mean(distances.topk(nearest, largest=False).values.mean(1).double().numpy())


def statistics_distance(images: list[Tensor], video: Tensor, steps: Tensor) -> Array:
    """Distance between mean and standard deviation of windows and of the nearest of some clips, ``[M]``."""
    found = window_statistics(video, steps)
    wanted = torch.cat([window_statistics(image, torch.tensor([[0, len(image)]])) for image in images])
    return torch.cdist(found, wanted).amin(1).numpy()


def _resampled(features: Tensor, windows: Tensor | None = None) -> Tensor:
    """Windows of a video, by default the whole, as vectors of 8 steps one after the other."""
    if windows is None:
        windows = torch.tensor([[0, len(features)]])
    return cut_windows(features.float(), windows, BANK_STEPS)[0].flatten(1)


def _over_mean(values: Array) -> Array:
    mean = float(values.mean())
    return values / mean if mean > 0 else values
