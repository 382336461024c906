"""One network trained on several data sets at once, so that another one can be left out."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.systems.judging import ValidationPair, judge
from vreloc_pyg.systems.network import RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem, Traits
from vreloc_pyg.training.recipe import Recipe


class PooledPair(NamedTuple):
    """A validation pair, and the number of the data set that it is of."""

    number: int
    pair: ValidationPair


class PooledPairs(Dataset[PooledPair]):
    """The validation pairs of every data set, one after the other."""

    def __init__(self, sets: Sequence[Any]) -> None:
        self.sets = sets
        self.places = [(number, index) for number, one in enumerate(sets) for index in range(len(one))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> PooledPair:
        number, place = self.places[index]
        return PooledPair(number, self.sets[number][place])


def recipe_on(
    system: LearnedSystem[Any], network: RankingNetwork, training: RunSettings, sets: Sequence[TaskData]
) -> Recipe:
    """What a training run needs, on one data set or on several (:func:`pooled_recipe`)."""
    if len(sets) == 1:
        return system.recipe(network, training, sets[0])
    return pooled_recipe(system, network, training, sets)


def pooled_recipe(
    system: LearnedSystem[Any], network: RankingNetwork, training: RunSettings, sets: Sequence[TaskData]
) -> Recipe:
    """What a training run of one network on several data sets needs.

    An example draws a data set, each as likely, and then is an example of that set, with the settings that
    suit it, such as feature groups and mirror image. The validation pairs of all of them choose.

    Args:
        system: one that :attr:`pools <.LearnedSystem.pools>`.
        network: new, for the first data set.
        training: of the run; ``validation_pairs`` of each data set are judged.
        sets: the data sets; skeletons and widths may differ.

    Raises:
        SettingsError: if the system cannot: its weights depend on the features.
    """
    if not system.pools:
        raise SettingsError(
            f"The system {system.name!r} trains on one data set only: its examples depend on the features; "
            "'mgffnet' trains on several"
        )
    traits = [Traits.of(data) for data in sets]
    settings = [system.adapted(network, one).settings for one in traits]
    views = [as_on(network, one.num_features, own) for one, own in zip(traits, settings, strict=True)]
    recipes = [system.recipe(view, training, data) for view, data in zip(views, sets, strict=True)]

    own = [(one.num_features, of) for one, of in zip(traits, settings, strict=True)]
    pairs = PooledPairs([recipe.validation for recipe in recipes])
    draw, judge_them = partial(draw_pooled, recipes), partial(judge_pooled, own=own)
    return replace(recipes[0], draw=draw, validation=pairs, judge=judge_them)


def draw_pooled(recipes: Sequence[Recipe], rng: np.random.Generator) -> Any:
    """An example of one of the recipes, each as likely."""
    return recipes[int(rng.integers(len(recipes)))].draw(rng)


def judge_pooled(
    network: RankingNetwork, pooled: PooledPair, own: Sequence[tuple[int, Any]]
) -> dict[str, Tensor]:
    """The judgement of a validation pair; ``own`` are width and settings of every data set."""
    number, pair = pooled
    return judge(as_on(network, *own[number]), pair)


def as_on(network: RankingNetwork, num_features: int, settings: Any) -> RankingNetwork:
    """The same network, weights shared, as it is on features of a width."""
    view = copy(network)
    view.num_features, view.settings = num_features, settings
    return view
