"""Proposals that a network makes, and how they are saved with it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from vreloc_pyg.checkpoint import check_network, load_weights, read_config, save_model, weights_hash
from vreloc_pyg.errors import CheckpointError
from vreloc_pyg.proposals.source import Video

Kind = TypeVar("Kind", bound="NetworkProposals")


class NetworkProposals(ABC):
    """Proposals of a network.

    Args:
        network: put into eval mode.
        about: plain values to remember in a checkpoint, such as training classes and feature metadata.
    """

    #: What it is, in a checkpoint and in messages.
    kind: ClassVar[str]
    network: nn.Module

    def __init__(self, network: nn.Module, about: dict[str, Any] | None = None) -> None:
        self.network = network.eval()
        self.about = {} if about is None else about

    @abstractmethod
    def propose(self, video: Video) -> Tensor:
        """Half-open step intervals, best first, ``[M, 2]`` int64."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain values that decide the network's shape and what is made of its output."""

    @classmethod
    @abstractmethod
    def from_settings(cls: type[Kind], settings: dict[str, Any]) -> Kind:
        """The inverse of :meth:`settings`, with a new network."""

    def fingerprint(self) -> str:
        """The settings and a hash of the weights."""
        return json.dumps({**self.settings(), "weights": weights_hash(self.network)}, sort_keys=True)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the network and all settings into a folder."""
        return save_model(
            folder, self.network, {"proposals": self.kind, **self.settings(), "about": self.about}
        )

    @classmethod
    def from_pretrained(cls: type[Kind], folder: str | Path) -> Kind:
        """Proposals of :meth:`save_pretrained`; :class:`CheckpointError` if they are damaged."""
        config = read_config(folder)
        try:
            check_network(folder, lambda: cls.from_settings(config).network)
            proposals = cls.from_settings(config)
            proposals.about = dict(config["about"])
        except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise CheckpointError(
                f"The settings of the {cls.kind} proposals in {folder} are unusable: {error}"
            ) from None
        load_weights(folder, proposals.network)
        return proposals
