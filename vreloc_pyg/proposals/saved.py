"""Proposals beside a model that was trained with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vreloc_pyg.checkpoint import read_config
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.network import NetworkProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.settings import settings_from_dict

#: Proposals of a network of their own, by the name of its folder within a model's.
TRAINED: dict[str, type[NetworkProposals]] = {"actionness": ActionnessProposals, "sst": SSTProposals}


def save_proposals(folder: str | Path, proposals: ProposalSource) -> dict[str, Any]:
    """Write what makes the proposals into a model's folder and return how to find it again."""
    if isinstance(proposals, CachedProposals):
        return save_proposals(folder, proposals.source)
    if isinstance(proposals, SlidingWindows):
        return {"sliding_windows": vars(proposals)}
    for name, kind in TRAINED.items():
        if isinstance(proposals, kind):
            proposals.save_pretrained(Path(folder) / name)
            return {name: name}
    return {"given": proposals.fingerprint()}


def load_saved_proposals(folder: str | Path, saved: dict[str, Any]) -> ProposalSource:
    """The proposals that :func:`save_proposals` described.

    Raises:
        SettingsError: if the description is none.
        CheckpointError: if they were read from a list, which no model folder holds.
    """
    if len(saved) != 1:
        raise SettingsError(f"Expected one kind of proposals (got {', '.join(saved) or 'none'})")
    [(name, value)] = saved.items()
    if name == "sliding_windows":
        return settings_from_dict(SlidingWindows, value)
    if name in TRAINED:
        return TRAINED[name].from_pretrained(Path(folder) / value)
    raise CheckpointError(
        f"The localizer in {folder} was trained with proposals that no checkpoint holds "
        f"({saved.get('given', 'unknown')}); give them again"
    )


def load_network_proposals(folder: str | Path) -> NetworkProposals:
    """The proposals of a network in a folder: of an actionness classifier, or of SST.

    Args:
        folder: of :meth:`.NetworkProposals.save_pretrained`, or a model of ``vreloc train --system sst``.

    Raises:
        CheckpointError: if it holds neither.
    """
    config = read_config(folder)
    if "rival" in config:
        return SSTProposals.from_system(folder)
    if "classifier" in config:
        return ActionnessProposals.from_pretrained(folder)
    if "num_proposals" in config:
        return SSTProposals.from_pretrained(folder)
    raise CheckpointError(
        f"The model in {folder} proposes nothing; train one by vreloc train-actionness or train --system sst"
    )
