"""The training-free rule: the window whose feature statistics are nearest to the query's."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Ranking, Segments, seconds_to_steps, steps_to_seconds
from vreloc_pyg.sequences.pose import mirror_image
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.systems.protocol import check_top_n


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
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`); the nearer of the query and its
            mirror image counts. ``None``: the query only.
        normalize: divide every step's features by their norm first; for features of networks.
        search_steps: move the ends of the best windows by up to so many steps to where the score is best.
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies. The best
            segment is the same either way.
        name: the row in a table.
    """

    windows: ProposalSource = field(default_factory=SlidingWindows)
    length_weight: float = 0.0
    mirror: tuple[tuple[int, ...], tuple[float, ...]] | None = None
    normalize: bool = False
    search_steps: int = 0
    nms_threshold: float | None = 0.5
    name: str = "window rule"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The nearest windows; the score is minus the distance.

        Raises:
            FeatureError: if query and reference have features of different width.
            SettingsError: if ``top_n`` is below 1.
        """
        check_top_n(top_n)
        best = self.rank(query, reference).segments.top(top_n, self.nms_threshold)
        return self.refined(query, reference, best)

    def refined(self, query: Query, reference: Reference, segments: Segments) -> Segments:
        """The best windows whose ends are up to ``search_steps`` from those of the segments."""
        if self.search_steps == 0:
            return segments
        step = reference.seconds_per_step
        moves = torch.arange(-self.search_steps, self.search_steps + 1)
        around = torch.cartesian_prod(moves, moves)  # [(2 s + 1)^2, 2]
        windows = (seconds_to_steps(segments.bounds, step, reference.num_steps)[:, None] + around).flatten(
            0, 1
        )
        inside = (
            (windows[:, 0] >= 0) & (windows[:, 0] < windows[:, 1]) & (windows[:, 1] <= reference.num_steps)
        )
        windows = torch.unique(windows[inside], dim=0)
        scores = -self._cost(query, reference, windows)
        return Segments(steps_to_seconds(windows, step), scores).top(len(segments), self.nms_threshold)

    def rank(self, query: Query, reference: Reference) -> Ranking:
        """Every window with its score.

        Raises:
            FeatureError: if query and reference have features of different width.
        """
        windows = self.windows.propose(reference)
        scores = -self._cost(query, reference, windows)
        return Ranking(windows, Segments(steps_to_seconds(windows, reference.seconds_per_step), scores))

    def _cost(self, query: Query, reference: Reference, windows: Tensor) -> Tensor:
        """Distance and length penalty of windows, ``[M]``."""
        features, clip = reference.features, query.features
        check_features(features, f"reference {reference.video_id!r}", width=clip.size(1))
        if self.normalize:
            features, clip = (torch.nn.functional.normalize(one, dim=1) for one in (features, clip))
        images = [clip]
        if self.mirror is not None:
            images.append(mirror_image(clip, *self.mirror))
        whole = torch.tensor([[0, query.num_steps]])
        wanted = torch.cat([window_statistics(image, whole) for image in images])  # [V, 2 F]
        distance = torch.cat([_distances(features, block, wanted) for block in windows.split(BLOCK)])
        lengths = (windows[:, 1] - windows[:, 0]).to(distance)
        return distance + self.length_weight * torch.log(lengths / query.num_steps).abs()


#: So many windows are compared at once.
BLOCK = 8192


def _distances(features: Tensor, windows: Tensor, wanted: Tensor) -> Tensor:
    """Distance of each window's statistics to the nearest of ``wanted [V, 2 F]``, ``[M]``."""
    first, last = int(windows[:, 0].min()), int(windows[:, 1].max())
    found = window_statistics(features[first:last], windows - first)  # [M, 2 F]
    return torch.stack([(found - one).norm(dim=1) for one in wanted]).amin(dim=0)
