"""Candidate segments: sliding windows, grouped actionness, lists, and how many answers they hold."""

from importlib import import_module
from typing import Any

#: Public names and their modules, imported when they are first asked for.
_MODULES = {
    "ActionnessClassifier": "actionness",
    "ActionnessProposals": "actionness",
    "ActionnessSettings": "actionness",
    "CachedProposals": "cache",
    "ListedProposals": "listed",
    "ProposalSource": "source",
    "SSNPools": "pools",
    "SSTNetwork": "sst",
    "SSTProposals": "sst",
    "SSTSettings": "sst",
    "SlidingWindows": "sliding_window",
    "TAGSettings": "tag",
    "VideoProposals": "lists",
    "average_recall": "recall",
    "load_proposals": "listed",
    "proposal_recall": "recall",
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
