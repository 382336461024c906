"""Every system by name, in the order of tables. Knowing the names imports nothing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vreloc_pyg.errors import SettingsError

if TYPE_CHECKING:
    from vreloc_pyg.datasets.tasks import TaskData
    from vreloc_pyg.systems.protocol import LocalizerProtocol
    from vreloc_pyg.systems.spec import LearnedSystem, System

#: Name of each system, and where its spec is in this package, or the spec itself; a new one is a line here.
SYSTEMS: dict[str, str | System] = {
    "chance": ".rules.chance:CHANCE",
    "whole-reference": ".rules.query_blind:WHOLE_REFERENCE",
    "centred-half": ".rules.query_blind:CENTRED_HALF",
    "centred-steps": ".rules.query_blind:CENTRED_STEPS",
    "prior-segment": ".rules.query_blind:PRIOR_SEGMENT",
    "cut-detector": ".rules.query_blind:CUT_DETECTOR",
    "window-rule": ".rules.window_rule:WINDOW_RULE",
    "window-rule-best": ".rules.window_rule:BEST_WINDOW_RULE",
    "frame-level": ".rules.frame_level:FRAME_LEVEL",
    "frame-level-strict": ".rules.frame_level:STRICT",
    "frame-level-sdtw": ".rules.frame_level:SDTW",
    "frame-level-slope": ".rules.frame_level:SLOPE",
    "similarity-curve": ".rules.similarity_curve:SIMILARITY_CURVE",
    "mean-cosine": ".rules.mean_cosine:MEAN_COSINE",
    "audit-chance-length": ".rules.audit:CHANCE_OF_LENGTH",
    "audit-start": ".rules.audit:AT_START",
    "audit-nearest-length": ".rules.audit:NEAREST_LENGTH",
    "audit-joins-known": ".rules.audit:KNOWN_JOINS",
    "audit-joins-speed": ".rules.audit:BY_SPEED",
    "audit-joins-haste": ".rules.audit:BY_HASTE",
    "audit-joins-rest": ".rules.audit:BY_REST",
    "audit-joins-jerk": ".rules.audit:BY_JERK",
    "audit-joins-look": ".rules.audit:BY_LOOK",
    "audit-another-class": ".rules.audit:ANOTHER_CLASS",
    "audit-backwards": ".rules.audit:BACKWARDS",
    "alignment": ".rules.alignment_choice:ALIGNMENT",
    "strongest-rule": ".rules.strongest_rule:STRONGEST_RULE",
    "video-level": ".video_level:VIDEO_LEVEL",
    "sst": ".sst:SST_RIVAL",
    "cgbm": ".cross_gated.cross_gated:CROSS_GATED",
    "aft-srm": ".aft_srm.aft_srm:AFT_SRM",
    "matching-transformer": ".matching_transformer.matching_transformer:MATCHING_TRANSFORMER",
    "similarity-net": ".similarity_net.similarity_net:SIMILARITY_NET",
    "mgffnet": ".mgffnet.presets:RECOMMENDED",
    "mgffnet-cnn": ".mgffnet.presets:CNN",
    "mgffnet-binary": ".mgffnet.presets:BINARY",
    "mgffnet-exponential": ".mgffnet.presets:EXPONENTIAL",
    "mgffnet-laplacian": ".mgffnet.presets:LAPLACIAN",
    "mgffnet-match": ".mgffnet.presets:MATCHING",
    "mgffnet-match-cnn": ".mgffnet.presets:MATCHING_CNN",
    "mgffnet-match-permuted": ".mgffnet.presets:MATCHING_PERMUTED",
    "mgffnet-match-apart": ".mgffnet.presets:MATCHING_APART",
    "mgffnet-match-gatv2": ".mgffnet.presets:MATCHING_GATV2",
    "mgffnet-match-no-path": ".mgffnet.presets:MATCHING_NO_PATH",
    "mgffnet-elsewhere": ".mgffnet.presets:ELSEWHERE",
    "mgffnet-paper": ".mgffnet.presets:PAPER",
    "mgffnet-paper-cnn": ".mgffnet.presets:PAPER_CNN",
    "wrong-query": ".mgffnet.presets:WRONG_QUERY",
}


def find_system(name: str) -> System:
    """The spec of a system; :class:`SettingsError`, with the known names, for another name."""
    if name not in SYSTEMS:
        raise SettingsError(f"Unknown system {name!r}; known are {', '.join(SYSTEMS)}")
    place = SYSTEMS[name]
    if not isinstance(place, str):
        return place
    module, _, attribute = place.partition(":")
    system: System = getattr(import_module(module, __package__), attribute)
    return system


def every_system() -> list[System]:
    """All specs, in the order of tables."""
    return [find_system(name) for name in SYSTEMS]


def find_learned(name: str) -> LearnedSystem[Any]:
    """The spec of a system that can be trained; :class:`SettingsError`, with those there are, for others."""
    from vreloc_pyg.systems.spec import LearnedSystem

    system = find_system(name)
    if not isinstance(system, LearnedSystem):
        known = ", ".join(other.name for other in every_system() if isinstance(other, LearnedSystem))
        raise SettingsError(f"The system {name!r} is not trained; those that are: {known}")
    return system


def choose_systems(names: Sequence[str]) -> tuple[str, ...]:
    """Names of systems in the order of tables.

    A name may be that of a system; of a kin (``rule``, ``rival``, ...), which stands for all of it; or
    ``all``, every system but those that say otherwise. Another name is a :class:`SettingsError`.
    """
    from vreloc_pyg.systems.protocol import KINS

    for name in names:
        if name not in ("all", *KINS):
            find_system(name)
    return tuple(
        system.name
        for system in every_system()
        if system.name in names or system.kin in names or ("all" in names and system.in_all)
    )


def fitted_rules(data: TaskData) -> list[LocalizerProtocol]:
    """The rules that stand beside a trained model, fitted on a task."""
    from vreloc_pyg.systems.spec import Rule

    return [system.fit(data) for system in every_system() if isinstance(system, Rule) and system.beside]
