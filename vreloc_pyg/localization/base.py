"""What every learned localizer does with its ranking: answers in seconds, curves, video files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Ranking, Segments
from vreloc_pyg.systems.protocol import check_top_n

if TYPE_CHECKING:
    from vreloc_pyg.localization.locate import VideoAnswer


class RankingLocalizer(ABC):
    """A trained network that ranks segments of a reference.

    Args:
        name: the row in a table.
        proposals: candidate windows of a reference. (default: sliding windows)
        nms_threshold: largest tIoU two answers may have.
        features: what the features it was trained on were made with, where that is known.
        calibration: from a best score to the probability that the reference shows the action at all.

    Raises:
        SettingsError: if ``nms_threshold`` is impossible.
    """

    def __init__(
        self,
        name: str,
        proposals: ProposalSource | None = None,
        nms_threshold: float = 0.5,
        features: FeatureMetadata | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        if not 0 <= nms_threshold <= 1:
            raise SettingsError(f"Expected nms_threshold in [0, 1] (got {nms_threshold})")
        self.name = name
        self.proposals = SlidingWindows() if proposals is None else proposals
        self.nms_threshold = nms_threshold
        self.features = features
        self.calibration = calibration

    @property
    @abstractmethod
    def num_features(self) -> int:
        """F, the width of the features it was trained on."""

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """Number of trained values."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the network, the settings of this localizer and what makes its proposals."""

    @abstractmethod
    def _rank(self, query: Query, reference: Reference) -> Ranking:
        """Every segment that is considered, with its score; widths have been checked."""

    @torch.no_grad()
    def rank(self, query: Query, reference: Reference) -> Ranking:
        """Every segment that is considered, with its score.

        Raises:
            FeatureError: if features are not as wide as those the network was trained on.
        """
        check_features(query.features, f"query {query.video_id!r}", self.num_features)
        check_features(reference.features, f"reference {reference.video_id!r}", self.num_features)
        return self._rank(query, reference)

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The ``top_n`` best segments in seconds, best first.

        Raises:
            FeatureError: if features are not as wide as those the network was trained on.
            SettingsError: if ``top_n`` is below 1.
        """
        check_top_n(top_n)
        return self.rank(query, reference).segments.top(top_n, self.nms_threshold)

    def score_curve(self, query: Query, reference: Reference) -> Tensor:
        """Best score of the windows that cover each step of the reference, ``[num_steps]``; for pictures."""
        return self.rank(query, reference).curve(reference.num_steps)

    def locate(self, query: str | Path, reference: str | Path, **options: Any) -> VideoAnswer:
        """Find the query video's action in the reference video; see :func:`.locate.locate`."""
        from vreloc_pyg.localization.locate import locate

        return locate(query, reference, self, **options)
