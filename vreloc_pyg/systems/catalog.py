"""Systems to compare with: every one answers ``localize(query, reference, top_n)``."""

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.systems.aft_srm.aft_srm import AFT_SRM
from vreloc_pyg.systems.cross_gated.cross_gated import CROSS_GATED
from vreloc_pyg.systems.matching_transformer.matching_transformer import MATCHING_TRANSFORMER
from vreloc_pyg.systems.protocol import LocalizerProtocol
from vreloc_pyg.systems.rules.chance import Chance
from vreloc_pyg.systems.rules.frame_level import FrameLevel
from vreloc_pyg.systems.rules.query_blind import CentredSegment, CutDetector, PriorSegment, WholeReference
from vreloc_pyg.systems.rules.window_rule import WindowRule
from vreloc_pyg.systems.spec import Rival
from vreloc_pyg.systems.sst import SST_RIVAL, SST_TRIPLET
from vreloc_pyg.systems.video_level import VIDEO_LEVEL

#: Name of the best training-free system of :func:`standard_rules`.
STRONGEST_RULE = "window rule, length and mirror"

#: Learned systems beside MGFFNet, by name; a new one is a line here.
RIVALS: dict[str, Rival] = {
    rival.name: rival
    for rival in (
        VIDEO_LEVEL,
        SST_RIVAL,
        SST_TRIPLET,
        CROSS_GATED,
        AFT_SRM,
        MATCHING_TRANSFORMER,
    )
}


def standard_rules(
    train: RelocalizationSplit,
    windows: ProposalSource,
    mirror: tuple[tuple[int, ...], tuple[float, ...]] | None = None,
) -> list[LocalizerProtocol]:
    """Every system without a network, fitted on a training split: a learned row stands beside these.

    Chance; the query-blind rules; the plain window rule; and the best training-free rule found on
    validation classes, which minds the length too and, where ``mirror`` is given, mirror images.
    """
    return [
        Chance().fit(train),
        WholeReference(),
        CentredSegment(fraction=0.5),
        CentredSegment(num_steps=20),
        PriorSegment().fit(train),
        CutDetector().fit(train),
        WindowRule(windows),
        WindowRule(windows, length_weight=0.25, mirror=mirror, name=STRONGEST_RULE),
    ]


__all__ = [
    "AFT_SRM",
    "CROSS_GATED",
    "MATCHING_TRANSFORMER",
    "RIVALS",
    "SST_RIVAL",
    "SST_TRIPLET",
    "STRONGEST_RULE",
    "VIDEO_LEVEL",
    "CentredSegment",
    "Chance",
    "CutDetector",
    "FrameLevel",
    "LocalizerProtocol",
    "PriorSegment",
    "Rival",
    "WholeReference",
    "WindowRule",
    "standard_rules",
]
