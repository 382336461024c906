"""How weights that were trained on positions and velocities of poses are put on other features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vreloc_pyg.systems.mgffnet.ranker_settings import RankerSettings
from vreloc_pyg.systems.spec import Traits


def describe_others(
    trained: RankerSettings, described: Mapping[str, Any], traits: Traits
) -> Mapping[str, Any]:
    """Settings for other features, as like as can be to those that a network was trained on.

    A network that was trained on two groups, positions and velocities, reads two of that kind: those of other
    poses, whatever groups their skeleton names, and the values and changes of other features
    (:func:`~vreloc_pyg.sequences.values_and_changes.values_and_changes`). Any other network needs as many
    groups as it was trained on.

    Args:
        trained: of the network.
        described: what suits the features otherwise.
        traits: of the features.
    """
    groups = trained.feature_groups
    halves = len(groups) == 2 and groups[0][0] == 0 and groups[0][1] == groups[1][0] == groups[1][1] / 2
    if not halves:
        return described
    if traits.skeleton is not None:
        positions_velocities = replace(traits.skeleton, groups=()).feature_groups()
        return {**described, "feature_groups": positions_velocities, "units": "own"}
    width = traits.num_features
    return {**described, "feature_groups": ((0, width), (width, 2 * width)), "units": "reference"}
