"""Proposals of SST's network: the segments that it finds most probable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vreloc_pyg.checkpoint import load_weights, read_config
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings
from vreloc_pyg.proposals.network import NetworkProposals
from vreloc_pyg.proposals.source import Video
from vreloc_pyg.segments import temporal_nms
from vreloc_pyg.settings import settings_from_dict


class SSTProposals(NetworkProposals):
    """Proposals that are a network's most probable anchors after non-maximum suppression.

    Args:
        network: put into eval mode.
        num_proposals: keep only so many of the best; ``None``: all.
        nms_threshold: largest tIoU two proposals may have; .7 in the released code.
        about: plain values to remember in a checkpoint, such as training classes and feature metadata.

    Raises:
        SettingsError: if a value is impossible.
    """

    what = "SST network"
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
        """Of the network, and how anchors are chosen."""
        settings = self.network.settings
        return {
            "num_features": self.network.num_features,
            # A network of a larger system may know more settings than its own.
            "network": {name: getattr(settings, name) for name in SSTSettings.__dataclass_fields__},
            "num_proposals": self.num_proposals,
            "nms_threshold": self.nms_threshold,
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> SSTProposals:
        """With a new network."""
        network = SSTNetwork(settings["num_features"], settings_from_dict(SSTSettings, settings["network"]))
        return cls(network, settings["num_proposals"], settings["nms_threshold"])

    @classmethod
    def from_system(cls, folder: str | Path) -> SSTProposals:
        """Proposals of a model of ``vreloc train --system sst``.

        Args:
            folder: the model.

        Raises:
            CheckpointError: if a file is missing or damaged, or the model is of another system.
        """
        config = read_config(folder)
        system = config.get("rival")
        if system not in ("sst", "sst-triplet"):
            raise CheckpointError(f"The model in {folder} is not one of SST (got {system!r})")
        try:
            known = {name: config["settings"][name] for name in SSTSettings.__dataclass_fields__}
            network = SSTNetwork(config["num_features"], settings_from_dict(SSTSettings, known))
        except (KeyError, TypeError, SettingsError) as error:
            raise CheckpointError(f"The settings of SST in {folder} are unusable: {error}") from None
        load_weights(folder, nn.ModuleDict({"sst": network}))  # as it stands in the system
        return cls(network, about={"features": config.get("features")})
