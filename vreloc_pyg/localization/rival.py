"""Rivals as localizers: their answers in seconds, their checkpoints."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

import vreloc_pyg.checkpoint as checkpoint
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.localization.base import RankingLocalizer
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.proposals.saved import load_saved_proposals, save_proposals
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Ranking, Segments, steps_to_seconds
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.systems.catalog import RIVALS
from vreloc_pyg.systems.spec import Rival, RivalNetwork


class RivalLocalizer(RankingLocalizer):
    """A trained rival (:mod:`vreloc_pyg.systems.spec`).

    Args:
        rival: which.
        network: its network; put into eval mode.
        proposals, nms_threshold, features, calibration: see :class:`.RankingLocalizer`.
    """

    def __init__(
        self,
        rival: Rival,
        network: RivalNetwork,
        proposals: ProposalSource | None = None,
        nms_threshold: float = 0.5,
        features: FeatureMetadata | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(rival.name, proposals, nms_threshold, features, calibration)
        self.rival = rival
        self.network = network.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path, proposals: ProposalSource | None = None) -> RivalLocalizer:
        """A rival saved by :meth:`save_pretrained`; ``proposals`` replace those it was saved with.

        Raises:
            CheckpointError: if a file is missing, damaged or does not fit the other, or the rival is unknown.
        """
        config = checkpoint.read_config(folder)
        try:
            rival = RIVALS[config["rival"]]
            network = rival.build(config["num_features"], config["settings"])
            features, calibration = config["features"], config["calibration"]
            found = cls(
                rival,
                network,
                load_saved_proposals(folder, config["proposals"]) if proposals is None else proposals,
                config["nms_threshold"],
                None if features is None else FeatureMetadata.from_dict(features),
                None if calibration is None else settings_from_dict(Calibration, calibration),
            )
        except (KeyError, TypeError, AttributeError, SettingsError) as error:
            path = Path(folder) / checkpoint.CONFIG_NAME
            raise CheckpointError(f"The settings of the rival in {path} are unusable: {error}") from None
        checkpoint.load_weights(folder, network)
        return found

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the network, the settings of this localizer and what makes its proposals."""
        config = {
            "rival": self.rival.name,
            "num_features": self.num_features,
            "settings": asdict(self.network.settings),
            "proposals": save_proposals(folder, self.proposals),
            "nms_threshold": self.nms_threshold,
            "features": None if self.features is None else self.features.to_dict(),
            "calibration": None if self.calibration is None else vars(self.calibration),
        }
        return checkpoint.save_model(folder, self.network, config)

    @property
    def num_features(self) -> int:
        return self.network.num_features

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())

    def _rank(self, query: Query, reference: Reference) -> Ranking:
        ranked = self.network.rank(query.features, reference.features, self.proposals.propose(reference))
        answers = ranked.windows.double() if ranked.answers is None else ranked.answers
        bounds = steps_to_seconds(answers, reference.seconds_per_step)
        return Ranking(ranked.windows, Segments(bounds, ranked.scores.to(torch.float64)))
