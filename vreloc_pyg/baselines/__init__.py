"""Systems to compare with: every one answers ``localize(query, reference, top_n)``."""

from vreloc_pyg.baselines.base import LocalizerProtocol
from vreloc_pyg.baselines.chance import Chance
from vreloc_pyg.baselines.learned import Rival
from vreloc_pyg.baselines.query_blind import CentredSegment, CutDetector, PriorSegment, WholeReference
from vreloc_pyg.baselines.sst import SST, SST_RIVAL, SST_TRIPLET, SSTTripletSettings
from vreloc_pyg.baselines.video_level import VIDEO_LEVEL, VideoLevel, VideoLevelSettings
from vreloc_pyg.baselines.window_rule import WindowRule
from vreloc_pyg.datasets.base import RelocalizationSplit
from vreloc_pyg.proposals.source import ProposalSource

#: The learned systems by name.
RIVALS: dict[str, Rival] = {rival.name: rival for rival in (VIDEO_LEVEL, SST_RIVAL, SST_TRIPLET)}

#: Name of the best training-free system of :func:`standard_rules`.
STRONGEST_RULE = "window rule, length and mirror"


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
    "RIVALS",
    "SST",
    "SST_RIVAL",
    "SST_TRIPLET",
    "STRONGEST_RULE",
    "VIDEO_LEVEL",
    "CentredSegment",
    "Chance",
    "CutDetector",
    "LocalizerProtocol",
    "PriorSegment",
    "Rival",
    "SSTTripletSettings",
    "VideoLevel",
    "VideoLevelSettings",
    "WholeReference",
    "WindowRule",
    "standard_rules",
]
