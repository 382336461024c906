"""Systems to compare with: every one answers ``localize(query, reference, top_n)``."""

from vreloc_pyg.baselines.base import LocalizerProtocol
from vreloc_pyg.baselines.chance import Chance
from vreloc_pyg.baselines.query_blind import CentredSegment, CutDetector, PriorSegment, WholeReference
from vreloc_pyg.baselines.window_rule import WindowRule

__all__ = [
    "CentredSegment",
    "Chance",
    "CutDetector",
    "LocalizerProtocol",
    "PriorSegment",
    "WholeReference",
    "WindowRule",
]
