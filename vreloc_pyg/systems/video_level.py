"""The video-level rival: one recurrent embedding of a whole clip, compared with that of every segment.

Feng et al., *Video Re-localization*, ECCV 2018 (baseline "video level"); thresholds of the triplets from
Zhou et al., section 5.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.encoder import ClipEncoder
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.settings import Below1, CheckedSettings, Count, NotNegative, RunSettings
from vreloc_pyg.systems.examples import draw_hard_window, make_example, pad_clips, segments_up_to
from vreloc_pyg.systems.network import Ranked, RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem, cap_length

#: Starts whose segments the search runs through the network at once.
STARTS_AT_ONCE = 20


@dataclass(frozen=True)
class VideoLevelSettings(CheckedSettings):
    """The network, the triplets and the search of :class:`VideoLevel`.

    Args:
        hidden_channels: d, width of the states.
        dropout: share of state values dropped in training.
        margin: of squared distances between unit vectors.
        longest: greatest length of a segment in steps, of those searched and those trained on. 64 steps are
            the 1024 frames of Feng et al.; a task with longer answers needs more.
        positive_overlap: a positive segment has a greater tIoU with an answer.
        negative_overlap: a negative segment has a smaller tIoU with every answer.
    """

    hidden_channels: Count = 128
    dropout: Below1 = 0.4
    margin: NotNegative = 0.2
    longest: Count = 64
    positive_overlap: Below1 = 0.8
    negative_overlap: Below1 = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negative_overlap > self.positive_overlap:
            raise SettingsError(
                "Expected negative_overlap <= positive_overlap "
                f"(got {self.negative_overlap} and {self.positive_overlap})"
            )


class VideoLevelExample(NamedTuple):
    """A query, a reference, and what picks one segment of each kind.

    Args:
        query, reference, answers: as of :class:`.Example`.
        positive, negative: in [0, 1); see :func:`pick_triplet`.
        hard: a negative segment in place of the one picked, unless it is too long, in steps, ``[2]`` int64.
    """

    query: Tensor
    reference: Tensor
    answers: Tensor
    positive: float
    negative: float
    hard: Tensor | None = None


def draw_video_level(
    pool: TrainingPool, rng: np.random.Generator, augmentation: Augmentation | None
) -> VideoLevelExample:
    """Draw a query, a reference that shows its action, and where among the segments of each kind to pick.

    Which segments there are depends on the network's ``longest``, so the place is drawn as a share of them.
    Half of the negatives are hard ones (:func:`.draw_hard_window`), where the bounds of all instances matter.
    """
    query = pool.draw_query(rng)
    reference = pool.draw_match(query, rng)
    hard = draw_hard_window(reference, reference.steps_of(query.label), rng) if rng.random() < 0.5 else None
    one = make_example(query, reference, rng, augmentation)
    places = float(rng.random()), float(rng.random())
    return VideoLevelExample(one.query, one.reference, one.answers, *places, hard)


def pick_triplet(
    num_steps: int, answers: Tensor, settings: VideoLevelSettings, positive: float, negative: float
) -> tuple[Tensor, Tensor | None]:
    """A positive and a negative segment of a reference, uniform over all that qualify.

    Where no segment up to ``longest`` has the positive overlap, since the answers are longer, those of the
    greatest overlap are positive.

    Args:
        num_steps: length of the reference.
        answers: in steps, ``[G, 2]`` with G >= 1.
        settings: thresholds, and the greatest length.
        positive, negative: uniform in [0, 1); each picks one of the segments of its kind.

    Returns:
        Segments in steps, ``[2]`` int64; no negative where the answers leave no room for one.
    """
    segments = segments_up_to(num_steps, settings.longest)
    overlaps = temporal_iou(segments.double(), answers.cpu().double()).amax(1)  # [M]
    right = overlaps > min(settings.positive_overlap, float(overlaps.max()) - 1e-12)
    wrong = overlaps < settings.negative_overlap
    chosen = [
        own[int(place * len(own))] if len(own := segments[kind]) else None
        for kind, place in ((right, positive), (wrong, negative))
    ]
    assert chosen[0] is not None
    return chosen[0], chosen[1]


class VideoLevel(RankingNetwork):
    r"""Squared distance between last LSTM states, over all segments of the reference.

    .. math::
        f(x) = \frac{h_T}{\lVert h_T \rVert}, \qquad h_t = \mathrm{LSTM}(x_t, h_{t-1}), \qquad
        S(q, [s, e)) = -\lVert f(q) - f(x_{s..e-1}) \rVert^2

    One network reads query and segments.
    """

    def __init__(self, num_features: int, settings: VideoLevelSettings) -> None:
        super().__init__(num_features, settings)
        self.encoder = ClipEncoder(num_features, settings.hidden_channels, settings.dropout)

    def embed(self, clips: Sequence[Tensor]) -> Tensor:
        """Unit vectors of clips ``[T_i, F]``, ``[B, d]``."""
        padded = pad_clips(clips)
        states = self.encoder(padded.features)  # [B, T, d]
        rows = torch.arange(len(states), device=states.device)
        return functional.normalize(states[rows, padded.lengths - 1], dim=-1)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Every segment up to ``longest`` steps; of equal ones the shortest, then the earliest, is first.

        The states of a run from one start are those of all segments that begin there. The windows are not
        looked at.
        """
        target = self.embed([query])  # [1, d]
        num_steps, longest = len(reference), min(self.settings.longest, len(reference))
        padded = functional.pad(reference, (0, 0, 0, longest - 1))
        runs = padded.unfold(0, longest, 1).transpose(1, 2)  # [r, L, F], a view
        distances = reference.new_zeros(num_steps, longest)  # [r, L]
        for first in range(0, num_steps, STARTS_AT_ONCE):
            some, fits = slice(first, first + STARTS_AT_ONCE), slice(min(longest, num_steps - first))
            states = functional.normalize(self.encoder(runs[some, fits]), dim=-1)
            distances[some, fits] = (states - target).square().sum(-1)
        segments = segments_up_to(num_steps, longest).to(reference.device)
        starts, lengths = segments[:, 0], segments[:, 1] - segments[:, 0]
        return Ranked(segments, -distances[starts, lengths - 1])


def distance_hinge(query: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.2) -> Tensor:
    r"""Hinge of squared distances of every triplet (Schroff et al., *FaceNet*, CVPR 2015).

    .. math::
        \max(0, \lVert q_i - p_i \rVert^2 - \lVert q_i - n_i \rVert^2 + \gamma)

    of embeddings ``[N, d]`` each, ``[N]``.
    """
    near, far = (query - positive).square().sum(-1), (query - negative).square().sum(-1)
    return (near - far + margin).clamp(min=0)


def video_level_loss(network: VideoLevel, examples: Sequence[VideoLevelExample]) -> Tensor:
    """Mean of :func:`distance_hinge` over a batch, in which an example without a negative counts with 0."""
    settings: VideoLevelSettings = network.settings
    clips: list[tuple[Tensor, Tensor, Tensor]] = []
    for one in examples:
        right, wrong = pick_triplet(len(one.reference), one.answers, settings, one.positive, one.negative)
        if one.hard is not None and one.hard[1] - one.hard[0] <= settings.longest:
            wrong = one.hard
        if wrong is not None:
            clips.append((one.query, one.reference[slice(*right)], one.reference[slice(*wrong)]))
    if not clips:
        return network.embed([examples[0].query]).sum() * 0  # nothing to learn, and a gradient that says so
    embedded = network.embed([clip for kind in zip(*clips, strict=True) for clip in kind])
    query, positive, negative = embedded.chunk(3)
    return distance_hinge(query, positive, negative, settings.margin).sum() / len(examples)


VIDEO_LEVEL = LearnedSystem(
    name="video-level",
    row="video-level",
    published="video-level",
    network=VideoLevel,
    settings=VideoLevelSettings,
    loss=video_level_loss,
    draw=draw_video_level,
    training=RunSettings(learning_rate=1e-3, batch_size=128, gradient_clip=5.0),
    source="Feng et al., Video Re-localization, ECCV 2018 (baseline: video level)",
    suit=cap_length,
)
