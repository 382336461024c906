"""Candidate segments: sliding windows, grouped actionness, lists, and how many answers they hold."""

from importlib import import_module
from typing import Any

#: Public names and their modules, imported when they are first asked for.
_MODULES = {
    "ActionnessProposals": "actionness_proposals",
    "CachedProposals": "cache",
    "ListedProposals": "listed",
    "ProposalSource": "source",
    "SSNPools": "pools",
    "SSTProposals": "sst_proposals",
    "SlidingWindows": "sliding_window",
    "TAGSettings": "tag",
    "VideoProposals": "lists",
    "average_recall": "proposal_recall",
    "load_proposals": "listed",
    "proposal_recall": "proposal_recall",
    "read_proposal_list": "lists",
    "read_thumos_list": "lists",
    "temporal_actionness_grouping": "tag",
    "write_proposal_list": "lists",
    "write_thumos_list": "lists",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
