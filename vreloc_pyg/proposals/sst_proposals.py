"""Proposals of SST's network: the segments that it finds most probable."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings
from vreloc_pyg.proposals.network_proposals import NetworkProposals
from vreloc_pyg.proposals.source import Video
from vreloc_pyg.segments import temporal_nms
from vreloc_pyg.settings import settings_from_dict


class SSTProposals(NetworkProposals):
    """Proposals that are a network's most probable anchors after non-maximum suppression.

    Args:
        network, about: see :class:`.NetworkProposals`.
        num_proposals: keep only so many of the best; ``None``: all.
        nms_threshold: largest tIoU two proposals may have; .7 in the released code.
    """

    kind = "sst"
    network: SSTNetwork

    def __init__(
        self,
        network: SSTNetwork,
        num_proposals: int | None = 200,
        nms_threshold: float = 0.7,
        about: dict[str, Any] | None = None,
    ) -> None:
        if (num_proposals is not None and num_proposals < 1) or not 0 <= nms_threshold <= 1:
            raise SettingsError(
                "Expected num_proposals >= 1 or none and nms_threshold in [0, 1] "
                f"(got {num_proposals} and {nms_threshold})"
            )
        super().__init__(network, about)
        self.num_proposals = num_proposals
        self.nms_threshold = nms_threshold

    @torch.no_grad()
    def propose(self, video: Video) -> Tensor:
        """Anchors as steps, best first, ``[M, 2]`` int64."""
        windows, scores = self.network.score_anchors(video.features)
        windows, scores = windows.cpu(), scores.cpu()
        return windows[temporal_nms(windows.double(), scores, self.nms_threshold, self.num_proposals)]

    def settings(self) -> dict[str, Any]:
        return {
            "num_features": self.network.num_features,
            "network": asdict(self.network.settings),
            "num_proposals": self.num_proposals,
            "nms_threshold": self.nms_threshold,
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> SSTProposals:
        network = SSTNetwork(settings["num_features"], settings_from_dict(SSTSettings, settings["network"]))
        return cls(network, settings["num_proposals"], settings["nms_threshold"])
