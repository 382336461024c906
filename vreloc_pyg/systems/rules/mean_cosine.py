"""Ten lines that anybody would write first: windows as long as the query, compared by their mean features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.segments import Segments, steps_to_seconds
from vreloc_pyg.settings import CheckedSettings, Share
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.spec import Rule


@dataclass(frozen=True)
class MeanCosine(CheckedSettings):
    """Cosine of the mean features of the query and of every window of its length.

    Args:
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies.
    """

    nms_threshold: Share | None = 0.5
    name: ClassVar[str] = "mean cosine (no training)"
    kin: ClassVar[Kin] = "rule"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The nearest windows; a reference shorter than the query is one window."""
        check_top_n(top_n)
        check_features(reference.features, f"reference {reference.video_id!r}", query.features.size(1))
        features = reference.features.detach().cpu().double()
        length = min(query.num_steps, len(features))
        sums = torch.nn.functional.pad(features.cumsum(0), (0, 0, 1, 0))
        wanted = query.features.detach().cpu().double().mean(0)
        scores = torch.cosine_similarity(sums[length:] - sums[:-length], wanted[None])
        starts = torch.arange(len(scores))
        steps = torch.stack([starts, starts + length], dim=1)
        segments = Segments(steps_to_seconds(steps, reference.seconds_per_step), scores)
        return segments.top(top_n, self.nms_threshold)


MEAN_COSINE = Rule(
    name="mean-cosine", row=MeanCosine.name, in_readme=False, beside=False, fit=lambda data: MeanCosine()
)
