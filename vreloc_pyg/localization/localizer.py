"""From a query and a reference to ranked segments in seconds."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import vreloc_pyg.checkpoint as checkpoint
from vreloc_pyg.datasets.splits import Query, Reference, check_features
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.localization.shipped import model_folder
from vreloc_pyg.proposals.saved import load_saved_proposals, save_proposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Ranking, Segments
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.systems.answering import Answering, AnswerSettings
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.network import Ranker, RankingNetwork, best_segments, ranked_windows
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.spec import LearnedSystem, System, Traits

#: Of saved localizers; a folder without it was written before there was one.
FORMAT = 2


class Localizer:
    """A system that ranks the candidate windows of a reference, with all that its answers need.

    Args:
        system: what it is; its row is the localizer's name.
        ranker: a network of the system, put into eval mode, or a rule that ranks.
        proposals: candidate windows of a reference. (default: sliding windows)
        nms_threshold: largest tIoU two answers may have.
        features: what the features it was trained on were made with, where that is known.
        calibration: from a best score to the probability that the reference shows the action at all.
        answers: mirror image, search and length (:func:`~vreloc_pyg.systems.answering.choose_answers` finds
            them). (default: none)

    Example:
        >>> from vreloc_pyg.systems.catalog import find_learned
        >>> from vreloc_pyg.systems.spec import Traits
        >>> system = find_learned("mgffnet")
        >>> localizer = Localizer(system, system.build(Traits(num_features=8)))
        >>> query = Query(torch.randn(9, 8), 0.5, "jump", "a")
        >>> reference = Reference(torch.randn(60, 8), 0.5, torch.empty(0, 2), (), "b")
        >>> len(localizer.localize(query, reference, top_n=3))
        3
    """

    def __init__(
        self,
        system: System,
        ranker: Ranker,
        proposals: ProposalSource | None = None,
        nms_threshold: float = 0.5,
        features: FeatureMetadata | None = None,
        calibration: Calibration | None = None,
        answers: AnswerSettings | None = None,
    ) -> None:
        if not 0 <= nms_threshold <= 1:
            raise SettingsError(f"Expected nms_threshold in [0, 1] (got {nms_threshold})")
        self.system = system
        self.name = system.row
        self.ranker = ranker.eval() if isinstance(ranker, nn.Module) else ranker
        self.proposals = SlidingWindows() if proposals is None else proposals
        self.nms_threshold = nms_threshold
        self.features = features
        self.calibration = calibration
        self.answers = AnswerSettings() if answers is None else answers

    @property
    def kin(self) -> Kin:
        """What the system is to the package's own network."""
        return self.system.kin

    @property
    def num_features(self) -> int | None:
        """F, the width of the features it was trained on; ``None`` where any will do."""
        return self.ranker.num_features

    @property
    def num_parameters(self) -> int:
        """Number of trained values."""
        return self.ranker.num_parameters

    @property
    def local(self) -> bool:
        """Whether a window's score rests on its own steps alone."""
        return self.ranker.local and not self.answers.search and not self.answers.length_weight

    @property
    def _asked(self) -> Ranker:
        return Answering(self.ranker, self.answers)

    @torch.no_grad()
    def rank(self, query: Query, reference: Reference) -> Ranking:
        """Every segment that is considered, with its score.

        Raises:
            FeatureError: if features are not as wide as those the system was trained on.
        """
        check_features(query.features, f"query {query.video_id!r}", self.num_features)
        check_features(reference.features, f"reference {reference.video_id!r}", self.num_features)
        return ranked_windows(self._asked, query, reference, self.proposals.propose(reference))

    @torch.no_grad()
    def best(self, ranking: Ranking, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The ``top_n`` best of :meth:`rank`'s segments in seconds, best first."""
        return best_segments(self._asked, ranking, query, reference, top_n, self.nms_threshold)

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The ``top_n`` best segments in seconds, best first."""
        check_top_n(top_n)
        return self.best(self.rank(query, reference), query, reference, top_n)

    def score_curve(self, query: Query, reference: Reference) -> Tensor:
        """Best score of the windows that cover each step of the reference, ``[num_steps]``; for pictures."""
        return self.rank(query, reference).curve(reference.num_steps, self.ranker.least_score)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the network, the settings of this localizer and what makes its proposals."""
        if not isinstance(self.ranker, RankingNetwork):
            raise SettingsError(f"The system {self.name!r} has no network to save")
        config = {
            "format": FORMAT,
            "system": self.system.name,
            "row": self.name,
            "num_features": self.num_features,
            "settings": asdict(self.ranker.settings),
            "proposals": save_proposals(folder, self.proposals),
            "nms_threshold": self.nms_threshold,
            "features": None if self.features is None else self.features.to_dict(),
            "calibration": None if self.calibration is None else vars(self.calibration),
            "answers": self.answers.to_dict(),
        }
        return checkpoint.save_model(folder, self.ranker, config)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        proposals: ProposalSource | None = None,
        system: LearnedSystem[Any] | None = None,
        adapt_to: Traits | None = None,
    ) -> Localizer:
        """A localizer saved by :meth:`save_pretrained`.

        Args:
            folder: where it was saved, or the name of a model that comes with the package
                (:data:`.shipped.SHIPPED`).
            proposals: to use in place of those it was saved with.
            system: of one's own, which the catalog does not know.
            adapt_to: put the weights on other features, with the settings that suit those, such as their
                groups and mirror image: ``Traits.of(data)``. What is known of the features that it was
                trained on, and of probabilities there, is forgotten.

        Raises:
            SettingsError: if its weights cannot be put on the features of ``adapt_to``.
            CheckpointError: if a file is missing, damaged or does not fit the other, or was written by
                version 0.1; or the proposals were read from a list, which no checkpoint holds, and none are
                given.
        """
        folder = model_folder(folder)
        config = checkpoint.read_config(folder)
        path = Path(folder) / checkpoint.CONFIG_NAME
        if config.get("format") != FORMAT and ("rival" in config or "pairing" in config):
            trained = config.get("rival", "mgffnet")
            raise CheckpointError(
                f"{path} was written by version 0.1, whose models cannot be read any more; train it again: "
                f"vreloc train --system {trained}"
            )
        try:
            known = find_learned(config["system"]) if system is None else system
            settings = settings_from_dict(known.settings, config["settings"])
            build = partial(known.network, config["num_features"], settings)
            checkpoint.check_network(folder, build)
            network = build()
            features, calibration = config["features"], config["calibration"]
            found = cls(
                known,
                network,
                load_saved_proposals(folder, config["proposals"]) if proposals is None else proposals,
                config["nms_threshold"],
                None if features is None else settings_from_dict(FeatureMetadata, features),
                None if calibration is None else settings_from_dict(Calibration, calibration),
                settings_from_dict(AnswerSettings, config["answers"]),
            )
            found.name = config["row"]
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"The settings of the localizer in {path} are unusable: {error}") from None
        checkpoint.load_weights(folder, network)
        if adapt_to is not None:
            other = known.adapted(network, adapt_to)
            other.load_state_dict(network.state_dict())
            found.ranker, found.features, found.calibration = other.eval(), None, None
            found.answers = found.answers.on(adapt_to.skeleton)
        return found
