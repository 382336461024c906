"""From a query and a reference to ranked segments in seconds."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vreloc_pyg.checkpoint import read_config
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.localization.base import RankingLocalizer
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.localization.rival import RivalLocalizer
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.nn.ranking import rank_windows, refine_windows
from vreloc_pyg.nn.relevance import Relevance
from vreloc_pyg.proposals.saved import load_saved_proposals, save_proposals
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Ranking, Segments, steps_to_seconds, temporal_nms
from vreloc_pyg.settings import settings_from_dict

#: How far ends are moved in the two rounds of a search, as shares of the window's length.
SEARCH_SHARES = (0.1, 0.04)
#: Largest tIoU of two windows whose surroundings are searched.
SEARCH_NMS = 0.7


def surroundings(windows: Tensor, share: float, num_steps: int) -> Tensor:
    """Windows whose ends lie 0, 1 or 2 strides before or after those of the given ones.

    Args:
        windows: half-open step intervals, ``[M, 2]`` int64.
        share: the stride as a share of a window's length; at least one step.
        num_steps: length of the video.

    Returns:
        Distinct windows inside the video of at least half the length of the one they come from,
        ``[M', 2]`` int64.
    """
    moves = torch.arange(-2, 3, device=windows.device)
    grid = torch.cartesian_prod(moves, moves)  # [25, 2]
    lengths = windows[:, 1] - windows[:, 0]
    stride = (share * lengths).round().long().clamp(min=1)
    moved = windows[:, None] + grid * stride[:, None, None]  # [M, 25, 2]
    moved = torch.stack([moved[..., 0].clamp(min=0), moved[..., 1].clamp(max=num_steps)], dim=-1)
    kept = 2 * (moved[..., 1] - moved[..., 0]) >= lengths[:, None]
    return torch.unique(moved[kept], dim=0)


class Localizer(RankingLocalizer):
    """Ranks the candidate windows of a reference with a trained MGFFNet (paper section 4.8).

    Args:
        model: the network; put into eval mode.
        pairing: how the model was trained to see pairs.
        proposals: candidate windows of a reference.
        refine: move windows by their predicted offsets (paper section 4.8.2).
        search: how many of the best windows have their :func:`surroundings` scored too, in two rounds, so
            that answers are not bound to the grid of the proposals; 0: none.
        nms_threshold: largest tIoU two answers may have.
        name: the row in a table.
        features: what the features it was trained on were made with, where that is known.
        calibration: from a best score to the probability that the reference shows the action at all.

    Raises:
        SettingsError: if model and pairing disagree on pair features or context, or
            ``nms_threshold`` or ``search`` is impossible.

    Example:
        >>> model = MGFFNet(in_channels=8, hidden_channels=8)
        >>> localizer = Localizer(model, Pairing())
        >>> query = Query(torch.randn(9, 8), 0.5, "jump", "a")
        >>> reference = Reference(torch.randn(60, 8), 0.5, torch.empty(0, 2), (), "b")
        >>> len(localizer.localize(query, reference, top_n=3))
        3
    """

    def __init__(
        self,
        model: MGFFNet,
        pairing: Pairing,
        proposals: ProposalSource | None = None,
        refine: bool = True,
        nms_threshold: float = 0.5,
        name: str = "MGFFNet",
        features: FeatureMetadata | None = None,
        calibration: Calibration | None = None,
        search: int = 0,
    ) -> None:
        if search < 0:
            raise SettingsError(f"Expected search >= 0 (got {search})")
        if model.settings.pair_features != pairing.pair_features:
            raise SettingsError(
                f"Expected pair_features of model and pairing to agree (got {model.settings.pair_features} "
                f"and {pairing.pair_features})"
            )
        if model.settings.regression == "boundaries" and model.settings.context != pairing.context:
            raise SettingsError(
                f"Expected context of model and pairing to agree (got {model.settings.context} "
                f"and {pairing.context})"
            )
        super().__init__(name, proposals, nms_threshold, features, calibration)
        self.model = model.eval()
        self.pairing = pairing
        self.refine = refine
        self.search = search

    @classmethod
    def from_pretrained(cls, folder: str | Path, proposals: ProposalSource | None = None) -> RankingLocalizer:
        """A localizer saved by :meth:`save_pretrained`, or a :class:`.RivalLocalizer` saved by its own.

        Args:
            folder: where it was saved.
            proposals: to use in place of those it was saved with.

        Raises:
            CheckpointError: if a file is missing, damaged or does not fit the other, or the proposals were
                read from a list, which no checkpoint holds, and none are given.
        """
        config = read_config(folder)
        if "rival" in config:
            return RivalLocalizer.from_pretrained(folder, proposals)
        model = MGFFNet.from_pretrained(folder)
        try:
            pairing, features = settings_from_dict(Pairing, config["pairing"]), config["features"]
            calibration = config.get("calibration")
            return cls(
                model,
                pairing,
                load_saved_proposals(folder, config["proposals"]) if proposals is None else proposals,
                features=None if features is None else FeatureMetadata.from_dict(features),
                calibration=None if calibration is None else settings_from_dict(Calibration, calibration),
                **config["localizer"],
            )
        except (KeyError, TypeError, AttributeError, SettingsError) as error:
            raise CheckpointError(
                f"The settings of the localizer in {folder} are unusable: {error}"
            ) from None

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the model, the settings of this localizer and what makes its proposals."""
        return self.model.save_pretrained(
            folder,
            pairing=self.pairing.to_dict(),
            proposals=save_proposals(folder, self.proposals),
            features=None if self.features is None else self.features.to_dict(),
            calibration=None if self.calibration is None else vars(self.calibration),
            localizer={
                "refine": self.refine,
                "search": self.search,
                "nms_threshold": self.nms_threshold,
                "name": self.name,
            },
        )

    def _rank(self, query: Query, reference: Reference) -> Ranking:
        windows = self.proposals.propose(reference)
        relevance = self._score(query, reference, windows)
        for share in SEARCH_SHARES if self.search else ():
            best = temporal_nms(windows.double(), relevance.score, SEARCH_NMS, self.search)
            around = surroundings(windows[best], share, reference.num_steps)
            parts = zip(relevance, self._score(query, reference, around), strict=True)
            windows, relevance = torch.cat([windows, around]), Relevance(*map(torch.cat, parts))
        answers = windows.double()
        if self.refine:
            answers = refine_windows(windows, relevance.offsets, reference.num_steps)
        bounds = steps_to_seconds(answers, reference.seconds_per_step)
        return Ranking(windows, Segments(bounds, relevance.score))

    def _score(self, query: Query, reference: Reference, windows: Tensor) -> Relevance:
        return rank_windows(self.model, self.pairing, query.features, reference.features, windows)

    def score_curve(self, query: Query, reference: Reference) -> Tensor:
        """As of :class:`.RankingLocalizer`; -1, the least score there is, where no window lies."""
        return self.rank(query, reference).curve(reference.num_steps, least=-1.0)

    @property
    def num_features(self) -> int:
        """F, the width of the features it was trained on (with relative nodes, of all their groups)."""
        if self.pairing.nodes == "features":
            return self.model.settings.in_channels
        return max(high for _, high in self.pairing.feature_groups)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())
