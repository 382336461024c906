"""The training-free rule: the window whose feature statistics are nearest to the query's."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from vreloc_pyg.baselines.base import check_top_n
from vreloc_pyg.datasets.base import Query, Reference, check_features
from vreloc_pyg.features.pose import mirror_image
from vreloc_pyg.features.statistics import window_statistics
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Segments, steps_to_seconds


@dataclass(frozen=True)
class WindowRule:
    """Ranks windows by how near the mean and standard deviation of their features are to the query's.

    .. math::
        S(w) = -\\lVert (\\mu_w, \\sigma_w) - (\\mu_q, \\sigma_q) \\rVert_2
        - \\lambda \\left| \\log \\frac{\\mathrm{len}_w}{\\mathrm{len}_q} \\right|

    No training, and no order in time within a window. A learned model that does not beat it has learned
    nothing.

    Args:
        windows: the candidates.
        length_weight: lambda, 0 in the plain rule.
        mirror: index and sign of the mirror image of features
            (:meth:`vreloc_pyg.features.pose.Skeleton.mirror_features`); the nearer of the query and its
            mirror image counts. ``None``: the query only.
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies. The best
            segment is the same either way.
        name: the row in a table.
    """

    windows: ProposalSource = field(default_factory=SlidingWindows)
    length_weight: float = 0.0
    mirror: tuple[tuple[int, ...], tuple[float, ...]] | None = None
    nms_threshold: float | None = 0.5
    name: str = "window rule"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The nearest windows; the score is minus the distance.

        Raises:
            FeatureError: if query and reference have features of different width.
            SettingsError: if ``top_n`` is below 1.
        """
        check_features(reference.features, f"reference {reference.video_id!r}", width=query.features.size(1))
        windows = self.windows.propose(reference)
        candidates = window_statistics(reference.features, windows)  # [M, 2 F]
        images = [query.features]
        if self.mirror is not None:
            images.append(mirror_image(query.features, *self.mirror))
        whole = torch.tensor([[0, query.num_steps]])
        wanted = torch.cat([window_statistics(image, whole) for image in images])  # [V, 2 F]
        distance = (candidates[:, None] - wanted).norm(dim=2).amin(dim=1)
        lengths = (windows[:, 1] - windows[:, 0]).to(distance)
        distance = distance + self.length_weight * torch.log(lengths / query.num_steps).abs()
        segments = Segments(steps_to_seconds(windows, reference.seconds_per_step), -distance)
        return segments.top(check_top_n(top_n), self.nms_threshold)
