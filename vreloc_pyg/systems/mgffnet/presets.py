"""The two presets: the literal paper, and what did best on validation classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import EpisodeSampler, GradedSampler, TripletSampler
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.nn.mgff_settings import MGFFSettings, preset_settings
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.sequences.pose import Skeleton
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.systems.mgffnet.training_settings import TrainingSettings


@dataclass(frozen=True)
class Preset:
    """Everything that decides a trained model, given the data.

    Args:
        name: ``"paper"`` or ``"recommended"``.
        model: of the network.
        pairing: of clips to graphs.
        sampler: of training episodes.
        augmentation: of training features; ``None`` for none.
        training: of losses and optimisers.
        proposals: candidate windows of a reference, for validation and answers.
        refine: move the best window by its predicted offsets.
        search: how many of the best windows have their surroundings scored too
            (:class:`vreloc_pyg.localization.Localizer`); only in answers, not in validation.
    """

    name: str
    model: MGFFSettings
    pairing: Pairing
    sampler: EpisodeSampler = field(default_factory=TripletSampler)
    augmentation: Augmentation | None = None
    training: TrainingSettings = field(default_factory=TrainingSettings)
    proposals: ProposalSource = field(default_factory=SlidingWindows)
    refine: bool = True
    search: int = 0


def make_preset(
    name: str,
    num_features: int,
    proposals: ProposalSource | None = None,
    skeleton: Skeleton | None = None,
    model: Mapping[str, Any] | None = None,
    pairing: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    shortest: int | None = None,
) -> Preset:
    """A preset for features of a given width, with single settings replaced.

    Args:
        name: ``"paper"``: the literal reading of the paper; ``"recommended"``: what did best on validation
            classes.
        num_features: F.
        proposals: candidate windows of a reference.
        skeleton: of pose features; ``recommended`` then knows their mirror image, their groups and how to
            rotate them.
        model, pairing, training: settings to replace in
            :class:`~vreloc_pyg.nn.MGFFSettings`, :class:`~vreloc_pyg.graphs.Pairing` and
            :class:`TrainingSettings`.
        shortest: least length in steps of a window drawn in training by ``recommended``; by default that of
            ``proposals`` where they are sliding windows, else 2.

    Raises:
        SettingsError: if the preset or a setting is unknown or impossible.
    """
    proposals = SlidingWindows() if proposals is None else proposals
    if shortest is None:
        shortest = proposals.shortest if isinstance(proposals, SlidingWindows) else 2
    if name == "paper":
        chosen = Preset(
            name,
            preset_settings(name, in_channels=num_features),
            Pairing(),
            TripletSampler(proposals),
            proposals=proposals,
        )
    elif name == "recommended":
        chosen = _recommended(num_features, proposals, skeleton, shortest)
    else:
        raise SettingsError(f"Unknown preset {name!r}; known are paper, recommended")
    new_pairing = settings_from_dict(Pairing, {**chosen.pairing.to_dict(), **(pairing or {})})
    given = {
        "in_channels": new_pairing.node_channels(num_features),
        "pair_features": new_pairing.pair_features,
        "context": new_pairing.context,
        **(model or {}),
    }
    return replace(
        chosen,
        model=settings_from_dict(MGFFSettings, {**chosen.model.to_dict(), **given}),
        pairing=new_pairing,
        training=settings_from_dict(TrainingSettings, {**asdict(chosen.training), **(training or {})}),
    )


def _recommended(
    num_features: int, proposals: ProposalSource, skeleton: Skeleton | None, shortest: int
) -> Preset:
    groups: tuple[tuple[int, int], ...] = ((0, num_features),)
    mirror: tuple[tuple[int, ...], tuple[float, ...]] = ((), ())
    augmentation = Augmentation(feature_dropout=0.1, speed=0.25, scale=0.1)
    if skeleton is not None:
        if num_features != skeleton.num_features:
            raise SettingsError(f"Expected {skeleton.num_features} pose features (got {num_features})")
        groups, mirror = skeleton.feature_groups(), skeleton.mirror_features()
        augmentation = replace(
            augmentation, rotation=15.0, joints=skeleton.num_joints, dims=skeleton.num_dims
        )
    return Preset(
        "recommended",
        preset_settings("recommended", in_channels=num_features),
        Pairing(
            num_steps=16,
            fit="resample",
            nodes="relative",
            pair_features=True,
            context=0.2,
            feature_groups=groups,
            mirror_index=mirror[0],
            mirror_sign=mirror[1],
        ),
        GradedSampler(num_candidates=24, shortest=shortest),
        augmentation,
        TrainingSettings(
            loss="listwise",
            l2_weight=0.0,
            learning_rate=2e-3,
            regression_learning_rate=1e-3,
            weight_decay=1e-2,
            schedule="decay",
            regression_overlap=0.4,
            batch_size=16,
            epochs=10,
            steps_per_epoch=50,
            gradient_clip=2.0,
            ema_decay=0.998,
        ),
        proposals,
        refine=False,
        search=3,
    )
