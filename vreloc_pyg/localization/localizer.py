"""From a query and a reference to ranked segments in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vreloc_pyg.checkpoint import read_config
from vreloc_pyg.datasets.base import Query, Reference, check_features
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.nn.ranking import rank_windows, refine_windows
from vreloc_pyg.proposals.actionness import ActionnessProposals
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Ranking, Segments, steps_to_seconds
from vreloc_pyg.settings import settings_from_dict

if TYPE_CHECKING:
    from vreloc_pyg.localization.locate import VideoAnswer


class Localizer:
    """Ranks the candidate windows of a reference with a trained MGFFNet (paper section 4.8).

    Args:
        model: the network; put into eval mode.
        pairing: how the model was trained to see pairs.
        proposals: candidate windows of a reference.
        refine: move windows by their predicted offsets (paper section 4.8.2).
        nms_threshold: largest tIoU two answers may have.
        name: the row in a table.
        features: what the features it was trained on were made with, where that is known.
        calibration: from a best score to the probability that the reference shows the action at all.

    Raises:
        SettingsError: if model and pairing disagree on pair features, or ``nms_threshold`` is impossible.

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
    ) -> None:
        if model.settings.pair_features != pairing.pair_features:
            raise SettingsError(
                f"Expected pair_features of model and pairing to agree (got {model.settings.pair_features} "
                f"and {pairing.pair_features})"
            )
        if not 0 <= nms_threshold <= 1:
            raise SettingsError(f"Expected nms_threshold in [0, 1] (got {nms_threshold})")
        self.model = model.eval()
        self.pairing = pairing
        self.proposals = SlidingWindows() if proposals is None else proposals
        self.refine = refine
        self.nms_threshold = nms_threshold
        self.name = name
        self.features = features
        self.calibration = calibration

    @classmethod
    def from_pretrained(cls, folder: str | Path, proposals: ProposalSource | None = None) -> Localizer:
        """A localizer saved by :meth:`save_pretrained`.

        Args:
            folder: where it was saved.
            proposals: to use in place of those it was saved with.

        Raises:
            CheckpointError: if a file is missing, damaged or does not fit the other, or the proposals were
                read from a list, which no checkpoint holds, and none are given.
        """
        model, config = MGFFNet.from_pretrained(folder), read_config(folder)
        try:
            pairing, features = settings_from_dict(Pairing, config["pairing"]), config["features"]
            calibration = config.get("calibration")
            return cls(
                model,
                pairing,
                _load_proposals(folder, config["proposals"]) if proposals is None else proposals,
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
            proposals=_save_proposals(folder, self.proposals),
            features=None if self.features is None else self.features.to_dict(),
            calibration=None if self.calibration is None else vars(self.calibration),
            localizer={"refine": self.refine, "nms_threshold": self.nms_threshold, "name": self.name},
        )

    @torch.no_grad()
    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The ``top_n`` best segments in seconds, best first, scores in [-1, 1].

        Raises:
            FeatureError: if features are not as wide as those the model was trained on.
            SettingsError: if ``top_n`` is below 1.
        """
        if top_n < 1:
            raise SettingsError(f"Expected top_n >= 1 (got {top_n})")
        return self.rank(query, reference).segments.top(top_n, self.nms_threshold)

    @torch.no_grad()
    def rank(self, query: Query, reference: Reference) -> Ranking:
        """Every candidate window with its score, refined where this localizer refines.

        Raises:
            FeatureError: if features are not as wide as those the model was trained on.
        """
        check_features(query.features, f"query {query.video_id!r}", self.num_features)
        check_features(reference.features, f"reference {reference.video_id!r}", self.num_features)
        windows = self.proposals.propose(reference)
        relevance = rank_windows(self.model, self.pairing, query.features, reference.features, windows)
        answers = windows.double()
        if self.refine:
            answers = refine_windows(windows, relevance.offsets, reference.num_steps)
        bounds = steps_to_seconds(answers, reference.seconds_per_step)
        return Ranking(windows, Segments(bounds, relevance.score))

    def score_curve(self, query: Query, reference: Reference) -> Tensor:
        """Best score of the windows that cover each step of the reference, ``[num_steps]``; for pictures."""
        return self.rank(query, reference).curve(reference.num_steps, least=-1.0)

    def locate(self, query: str | Path, reference: str | Path, **options: Any) -> VideoAnswer:
        """Find the query video's action in the reference video; see :func:`.locate.locate`."""
        from vreloc_pyg.localization.locate import locate

        return locate(query, reference, self, **options)

    @property
    def num_features(self) -> int:
        """F, the width of the features it was trained on (with relative nodes, of all their groups)."""
        if self.pairing.nodes == "features":
            return self.model.settings.in_channels
        return max(high for _, high in self.pairing.feature_groups)


#: Folder of the actionness classifier within a localizer's.
ACTIONNESS = "actionness"


def _save_proposals(folder: str | Path, proposals: ProposalSource) -> dict[str, Any]:
    """Write what makes the proposals and return how to find it again."""
    if isinstance(proposals, CachedProposals):
        return _save_proposals(folder, proposals.source)
    if isinstance(proposals, SlidingWindows):
        return {"sliding_windows": vars(proposals)}
    if isinstance(proposals, ActionnessProposals):
        proposals.save_pretrained(Path(folder) / ACTIONNESS)
        return {"actionness": ACTIONNESS}
    return {"given": proposals.fingerprint()}


def _load_proposals(folder: str | Path, saved: dict[str, Any]) -> ProposalSource:
    if len(saved) != 1:
        raise SettingsError(f"Expected one kind of proposals (got {', '.join(saved) or 'none'})")
    if "sliding_windows" in saved:
        return settings_from_dict(SlidingWindows, saved["sliding_windows"])
    if "actionness" in saved:
        return ActionnessProposals.from_pretrained(Path(folder) / saved["actionness"])
    raise CheckpointError(
        f"The localizer in {folder} was trained with proposals that no checkpoint holds "
        f"({saved.get('given', 'unknown')}); give them again"
    )
