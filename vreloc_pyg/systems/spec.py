"""What a system is: every row of a table, from chance to MGFFNet, is a spec.

A rival is one file that ends in a :class:`LearnedSystem`, and one line in :mod:`vreloc_pyg.systems.catalog`;
training, checkpoints, evaluation and tables then know it (CONTRIBUTING.md walks through one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from torch import Tensor

from vreloc_pyg.checkpoint import state_problems
from vreloc_pyg.datasets.augmentation import usual_changes
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.segments import Segments
from vreloc_pyg.sequences.pose import Skeleton
from vreloc_pyg.settings import RunSettings, settings_from_dict, settings_of
from vreloc_pyg.systems.examples import draw_example
from vreloc_pyg.systems.judging import PairDataset, judge
from vreloc_pyg.systems.network import RankingNetwork
from vreloc_pyg.systems.protocol import Kin, LocalizerProtocol, check_kin
from vreloc_pyg.training.recipe import Losses, Recipe

Network = TypeVar("Network", bound=RankingNetwork)


@dataclass(frozen=True)
class Traits:
    """What settings of a system may depend on: facts of a task, none of which is an answer.

    Args:
        num_features: F, width of the features.
        shortest: least length in steps of a window drawn in training.
        longest: greatest length in steps of an answer that is considered.
        skeleton: of pose features; ``None`` for other features.
    """

    num_features: int
    shortest: int = 2
    longest: int = 128
    skeleton: Skeleton | None = None

    @classmethod
    def of(cls, data: TaskData) -> Traits:
        """Those of a loaded task."""
        return cls(data.splits["train"].num_features, data.shortest, data.longest, data.skeleton)


@dataclass(frozen=True, kw_only=True)
class System:
    """A row of a table.

    Args:
        name: what commands call it: lower case, with hyphens.
        row: what tables call it.
        kin: what it is to the package's own network, see :data:`.Kin`.
        source: the paper.
        published: the row of :func:`vreloc_pyg.evaluation.published_numbers` that it re-implements.
        in_all: whether ``all`` names it too.
        in_readme: whether the short table of the README shows it.
    """

    name: str
    row: str
    kin: Kin
    source: str = ""
    published: str | None = None
    in_all: bool = True
    in_readme: bool = True

    def __post_init__(self) -> None:
        check_kin(self.kin, self.name)


@dataclass(frozen=True, kw_only=True)
class Rule(System):
    """A system without a network.

    Args:
        fit: the system, fitted on a task's training split where it learns from one.
        beside: whether it stands beside a trained model wherever one is evaluated.
    """

    kin: Kin = "rule"
    fit: Callable[[TaskData], LocalizerProtocol]
    beside: bool = True


@dataclass(frozen=True, kw_only=True)
class Control(System):
    """Another system that is asked something else, to see what its answers rest on.

    Args:
        of: name of the system.
        ask: the query for each pair of some pairs of a task, in place of its own.
    """

    kin: Kin = "control"
    of: str
    ask: Callable[[RelocalizationSplit, TaskData], Sequence[Query]]


@dataclass(frozen=True)
class Asked:
    """A system under the name and kin of a control."""

    system: LocalizerProtocol
    control: Control

    @property
    def name(self) -> str:
        return self.control.row

    @property
    def kin(self) -> Kin:
        return self.control.kin

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The system's answers."""
        return self.system.localize(query, reference, top_n)


def describe_features(traits: Traits) -> Mapping[str, Any]:
    """For :attr:`LearnedSystem.suit` of a network that is told groups of features and their mirror image."""
    if traits.skeleton is None:
        return {"feature_groups": ((0, traits.num_features),), "mirror_index": (), "mirror_sign": ()}
    traits.skeleton.check_width(traits.num_features)
    index, sign = traits.skeleton.mirror_features()
    groups = traits.skeleton.feature_groups()
    return {"feature_groups": groups, "mirror_index": index, "mirror_sign": sign}


def cap_length(traits: Traits) -> Mapping[str, Any]:
    """For :attr:`LearnedSystem.suit` of a network with the setting ``longest``."""
    return {"longest": traits.longest}


@dataclass(frozen=True, kw_only=True)
class LearnedSystem(System, Generic[Network]):
    """A system that is trained.

    Args:
        network, settings: its class, and the frozen dataclass of its settings, with a default for each;
            ``network(num_features, settings)`` makes one.
        loss: of a network in training mode and a batch; a scalar, or scalars by name that are added.
        draw: draws one example of a :class:`.TrainingPool`, a NumPy random generator, and an
            :class:`.Augmentation` or ``None``. A system that needs windows, other references or random
            segments draws them here, so that an example is a function of the random state alone.
        collate: makes a batch of examples. (default: a list)
        training: how it is trained by default.
        chosen: settings of the network in place of their defaults.
        suit: settings that suit a task, where a published cap on lengths is that of the paper's data.
        judged_windows: only so many of a validation pair's candidates are judged, spread evenly, where all of
            them would cost more than the training; ``None``: all.
        pools: whether examples of different data sets may share a batch: once drawn, nothing of them depends
            on the features of their set. Then it can be trained on several (:func:`.pooled_recipe`).
        suite: data sets of which it is trained on those that it is *not* asked about, so that it has seen no
            clip of the one that it is; empty: it is trained on the one that it is asked about.

    Wherever settings are replaced, an unknown one or an impossible value is a :class:`SettingsError`.
    """

    kin: Kin = "rival"
    network: Callable[[int, Any], Network]
    settings: type[Any]
    loss: Callable[..., Tensor | Losses]
    draw: Callable[..., Any] = draw_example
    collate: Callable[[Sequence[Any]], Any] = list
    training: RunSettings = field(default_factory=RunSettings)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    suit: Callable[[Traits], Mapping[str, Any]] = lambda traits: {}
    judged_windows: int | None = None
    pools: bool = False
    suite: tuple[str, ...] = ()

    def settings_for(self, traits: Traits, replaced: Mapping[str, Any] | None = None) -> Any:
        """Settings of the network on a task, some replaced."""
        values = {**self.chosen, **self.suit(traits), **(replaced or {})}
        return settings_from_dict(self.settings, values)

    def build(self, traits: Traits, replaced: Mapping[str, Any] | None = None) -> Network:
        """A new network for a task, some settings replaced."""
        return self.network(traits.num_features, self.settings_for(traits, replaced))

    def suit_others(self, network: Network, traits: Traits) -> Mapping[str, Any]:
        """Settings that suit a task, for the weights of a network that was trained on another."""
        return self.suit(traits)

    def adapted(self, network: Network, traits: Traits) -> Network:
        """A new network of a trained one's settings but those that suit another task, for its weights.

        Raises:
            SettingsError: if the weights depend on the width or the groups of the features, which differ.
        """
        settings = settings_of(self.settings, network.settings, self.suit_others(network, traits))
        other = self.network(traits.num_features, settings)
        problems = state_problems(other.state_dict(), network.state_dict())
        if problems:
            raise SettingsError(
                f"The system {self.name!r} trained on features of width {network.num_features} cannot be put "
                f"on others, here of width {traits.num_features}: its weights depend on them ({problems})"
            )
        return other

    def training_for(self, replaced: Mapping[str, Any] | None = None) -> RunSettings:
        """Settings of a run, some replaced."""
        return settings_of(type(self.training), self.training, replaced)

    def recipe(self, network: Network, training: RunSettings, data: TaskData) -> Recipe:
        """What a training run of a new network needs; the data's validation split chooses."""
        pool = TrainingPool(data.splits["train"], training.crop)
        augmentation = usual_changes(network.num_features, data.skeleton) if training.augment else None
        return Recipe(
            draw=partial(self.draw, pool, augmentation=augmentation),
            loss=self.loss,
            groups=network.parameter_groups(training),
            validation=PairDataset(
                data.splits["validation"], data.proposals, training.validation_pairs, self.judged_windows
            ),
            judge=judge,
            collate=self.collate,
        )
