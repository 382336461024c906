"""Proposals grouped from actionness."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.proposals.network_proposals import NetworkProposals
from vreloc_pyg.proposals.source import Video
from vreloc_pyg.proposals.tag import TAGSettings, temporal_actionness_grouping
from vreloc_pyg.settings import settings_from_dict


class ActionnessProposals(NetworkProposals):
    """Proposals grouped from a classifier's actionness.

    Args:
        classifier, about: see :class:`.NetworkProposals`.
        grouping: settings of temporal actionness grouping.
        max_proposals: keep only so many of the best; ``None``: all.
    """

    kind = "actionness"
    network: ActionnessClassifier

    def __init__(
        self,
        classifier: ActionnessClassifier,
        grouping: TAGSettings | None = None,
        max_proposals: int | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        if max_proposals is not None and (type(max_proposals) is not int or max_proposals < 1):
            raise SettingsError(f"Expected a whole number max_proposals >= 1 or none (got {max_proposals})")
        super().__init__(classifier, about)
        self.grouping = TAGSettings() if grouping is None else grouping
        self.max_proposals = max_proposals

    def propose(self, video: Video) -> Tensor:
        """Groups as steps, best first, ``[M, 2]`` int64; the whole video where there is none."""
        curve = self.network.actionness(video.features)
        groups = temporal_actionness_grouping(curve, self.grouping)
        if len(groups) == 0:
            return torch.tensor([[0, video.num_steps]])
        return groups.bounds[: self.max_proposals].round().long()

    def settings(self) -> dict[str, Any]:
        return {
            "classifier": asdict(self.network.settings),
            "grouping": asdict(self.grouping),
            "max_proposals": self.max_proposals,
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> ActionnessProposals:
        classifier = ActionnessClassifier(settings_from_dict(ActionnessSettings, settings["classifier"]))
        grouping = settings_from_dict(TAGSettings, settings["grouping"])
        return cls(classifier, grouping, settings["max_proposals"])
