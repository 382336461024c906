"""Rules that never look at the query.

They are strong on this task: a learned model that does not beat them has learned nothing.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.sliding_window import window_lengths
from vreloc_pyg.segments import Segments, steps_to_seconds, temporal_iou
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.systems.protocol import Kin, answer_lengths, answer_steps, not_fitted
from vreloc_pyg.systems.spec import Rule


class WholeReference:
    """The whole reference is the answer."""

    name = "whole reference"
    kin: Kin = "rule"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """One segment, ``[0, duration)``, of score 0."""
        return answer_steps(torch.tensor([[0, reference.num_steps]]), torch.zeros(1), reference, top_n)


class CentredSegment:
    """A segment in the middle of the reference.

    Args:
        fraction: its length as a share of the reference's, in (0, 1]; or
        num_steps: its length in steps, at most the reference's.
    """

    kin: Kin = "rule"

    def __init__(self, fraction: float | None = None, num_steps: int | None = None) -> None:
        if (fraction is None) == (num_steps is None):
            raise SettingsError(f"Expected either fraction or num_steps (got {fraction} and {num_steps})")
        if fraction is not None and not 0 < fraction <= 1:
            raise SettingsError(f"Expected 0 < fraction <= 1 (got {fraction})")
        if num_steps is not None and num_steps < 1:
            raise SettingsError(f"Expected num_steps >= 1 (got {num_steps})")
        self.fraction = fraction
        self.num_steps = num_steps

    @property
    def name(self) -> str:
        return f"centred {self.num_steps} steps" if self.fraction is None else f"centred {self.fraction:.0%}"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """One segment of score 0."""
        if self.fraction is not None:
            length = max(1, round(self.fraction * reference.num_steps))
        else:
            assert self.num_steps is not None
            length = min(self.num_steps, reference.num_steps)
        start = (reference.num_steps - length) // 2
        return answer_steps(torch.tensor([[start, start + length]]), torch.zeros(1), reference, top_n)


class PriorSegment:
    """The one position and length that fit the training split best.

    The position is a share of the room that the segment leaves: 0 is flush with the reference's start, 1
    with its end. Both are chosen on a grid (positions in steps of 0.05, lengths growing by 10 %) by the mean
    R@1 over the thresholds .5 to .9; the first of equals wins.

    Attributes:
        start_fraction_, num_steps_: position in [0, 1] and length in steps (after :meth:`fit`).
    """

    name = "prior segment"
    kin: Kin = "rule"
    start_fraction_: float
    num_steps_: int

    def fit(self, split: RelocalizationSplit) -> PriorSegment:
        """Choose position and length on a training split."""
        fractions = torch.linspace(0, 1, 21, dtype=torch.float64)
        lengths = torch.tensor(window_lengths(1, int(answer_lengths(split).max()), 1.1))
        grid = torch.cartesian_prod(fractions, lengths.double())  # [A, 2]
        thresholds = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9], dtype=torch.float64)
        recall = torch.zeros(len(grid), dtype=torch.float64)
        for query, reference in (split[index] for index in range(len(split))):
            steps = place_steps(grid[:, 0], grid[:, 1].long(), reference.num_steps)
            bounds = steps_to_seconds(steps, reference.seconds_per_step)
            tiou = temporal_iou(bounds, reference.segments_of(query.label)).amax(1)
            recall += (tiou.unsqueeze(1) > thresholds).double().mean(1)
        best = int(recall.argmax())
        self.start_fraction_, self.num_steps_ = float(grid[best, 0]), int(grid[best, 1])
        return self

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """One segment of score 0."""
        if not hasattr(self, "num_steps_"):
            raise not_fitted(self)
        fraction = torch.tensor([self.start_fraction_], dtype=torch.float64)
        steps = place_steps(fraction, torch.tensor([self.num_steps_]), reference.num_steps)
        return answer_steps(steps, torch.zeros(1), reference, top_n)


class CutDetector:
    """A segment between two neighbouring cuts, where cuts are the largest jumps of the features.

    The strength of a boundary b is the distance between the mean features just before and just after it,

    .. math::
        c_b = \\lVert \\mu_{[b - w, b)} - \\mu_{[b, b + w)} \\rVert_2 .

    For a reference of n steps the round(n / m) - 1 strongest boundaries at least w steps apart are cuts,
    where m is the median length of a training answer. They and both ends of the video bound the candidates.
    The answer is the candidate whose length is nearest to m in ratio, the earlier of equals. Where references
    are composed of clips this row shows how far joins betray the answer.

    Attributes:
        context: w, in steps.
        typical_steps_: m in steps (after :meth:`fit`).
    """

    name = "cut detector (length)"
    kin: Kin = "rule"
    context = 4
    typical_steps_: float

    def fit(self, split: RelocalizationSplit) -> CutDetector:
        """Learn the median length of an answer on a training split."""
        self.typical_steps_ = float(answer_lengths(split).double().quantile(0.5))
        return self

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """Segments between neighbouring cuts; the score is minus the log of the ratio of lengths."""
        if not hasattr(self, "typical_steps_"):
            raise not_fitted(self)
        num_cuts = max(0, round(reference.num_steps / self.typical_steps_) - 1)
        cuts = strongest_cuts(reference.features, num_cuts, self.context)
        edges = torch.cat([cuts.new_zeros(1), cuts, cuts.new_tensor([reference.num_steps])])
        candidates = torch.stack([edges[:-1], edges[1:]], dim=1)
        distance = (torch.diff(edges).double() / self.typical_steps_).log().abs()
        return answer_steps(candidates, -distance, reference, top_n)


def strongest_cuts(features: Tensor, num_cuts: int, context: int) -> Tensor:
    """The strongest boundaries at least ``context`` steps apart and off both ends (:class:`CutDetector`).

    Args:
        features: ``[num_steps, F]``.
        num_cuts: how many are wanted; fewer are returned where no more fit.
        context: steps on each side that are compared.

    Returns:
        Ascending boundaries, ``[C]`` int64; b lies between steps b - 1 and b.
    """
    num_steps, num_features = features.shape
    boundaries = torch.arange(context, max(context, num_steps - context + 1))
    if num_cuts == 0 or len(boundaries) == 0:
        return boundaries[:0]
    before = torch.stack([boundaries - context, boundaries], dim=1)
    means = [window_statistics(features, windows)[:, :num_features] for windows in (before, before + context)]
    strength = torch.linalg.vector_norm(means[0] - means[1], dim=1)
    cuts: list[int] = []
    for boundary in boundaries[strength.argsort(descending=True, stable=True)].tolist():
        if all(abs(boundary - cut) >= context for cut in cuts):
            cuts.append(boundary)
        if len(cuts) == num_cuts:
            break
    return torch.tensor(sorted(cuts))


def place_steps(fractions: Tensor, lengths: Tensor, num_steps: int) -> Tensor:
    """Step intervals at shares of the room that their lengths leave in a video, ``[A, 2]`` int64.

    Fractions ``[A]`` are 0 for flush with the start to 1 for flush with the end; lengths ``[A]``, in steps,
    are cut to the video's.
    """
    lengths = lengths.clamp(max=num_steps)
    starts = torch.round(fractions * (num_steps - lengths)).long()
    return torch.stack([starts, starts + lengths], dim=1)


WHOLE_REFERENCE = Rule(
    name="whole-reference", row=WholeReference.name, in_readme=False, fit=lambda data: WholeReference()
)
CENTRED_HALF = Rule(
    name="centred-half", row="centred 50%", in_readme=False, fit=lambda data: CentredSegment(fraction=0.5)
)
CENTRED_STEPS = replace(
    CENTRED_HALF, name="centred-steps", row="centred 20 steps", fit=lambda data: CentredSegment(num_steps=20)
)
PRIOR_SEGMENT = Rule(
    name="prior-segment",
    row=PriorSegment.name,
    in_readme=False,
    fit=lambda data: PriorSegment().fit(data.splits["train"]),
)
CUT_DETECTOR = Rule(
    name="cut-detector",
    row=CutDetector.name,
    in_readme=False,
    fit=lambda data: CutDetector().fit(data.splits["train"]),
)
