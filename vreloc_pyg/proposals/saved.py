"""Proposals beside a model that was trained with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vreloc_pyg.checkpoint import read_config
from vreloc_pyg.errors import CheckpointError, SettingsError
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.network_proposals import NetworkProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.settings import settings_from_dict

#: Proposals of a network of their own, by what :meth:`.NetworkProposals.save_pretrained` calls them.
KINDS: dict[str, type[NetworkProposals]] = {one.kind: one for one in (ActionnessProposals, SSTProposals)}


def save_proposals(folder: str | Path, proposals: ProposalSource) -> dict[str, Any]:
    """Write what makes the proposals into a model's folder and return how to find it again."""
    if isinstance(proposals, CachedProposals):
        return save_proposals(folder, proposals.source)
    if isinstance(proposals, SlidingWindows):
        return {"sliding_windows": vars(proposals)}
    if isinstance(proposals, NetworkProposals):
        proposals.save_pretrained(Path(folder) / "proposals")
        return {"network": "proposals"}
    return {"given": proposals.fingerprint()}


def load_saved_proposals(folder: str | Path, saved: dict[str, Any]) -> ProposalSource:
    """The proposals that :func:`save_proposals` described; :class:`CheckpointError` if none are saved."""
    if len(saved) != 1:
        raise SettingsError(f"Expected one kind of proposals (got {', '.join(saved) or 'none'})")
    [(name, value)] = saved.items()
    if name == "sliding_windows":
        return settings_from_dict(SlidingWindows, value)
    if name == "network":
        return load_network_proposals(Path(folder) / value)
    raise CheckpointError(
        f"The localizer in {folder} was trained with proposals that no checkpoint holds "
        f"({saved.get('given', 'unknown')}); give them again"
    )


def load_network_proposals(folder: str | Path) -> NetworkProposals:
    """Proposals of a network saved in a folder; :class:`CheckpointError` if it holds something else."""
    kind = read_config(folder).get("proposals")
    if not isinstance(kind, str) or kind not in KINDS:
        raise CheckpointError(
            f"The model in {folder} proposes nothing: give the folder that vreloc train-actionness wrote, or "
            "the folder proposals that vreloc train --system sst writes beside its model"
        )
    return KINDS[kind].from_pretrained(folder)
