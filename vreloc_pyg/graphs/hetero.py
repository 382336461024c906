"""A pair graph with two types of nodes, for PyTorch Geometric's heterogeneous networks, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs.pair_graph import PairData

#: Types of the nodes, in the order in which they are numbered in a :class:`.PairData`.
CLIPS = ("query", "proposal")
#: What an edge's type begins with, within a clip and between both; its scale follows, as in ``near_k1``.
NEAR, MEETS = "near", "meets"


def to_hetero(data: PairData) -> HeteroData:
    """The same graph with the nodes ``query`` and ``proposal``.

    The edges of scale k are of the types ``(clip, "near_k", clip)`` and ``(clip, "meets_k", other clip)``,
    with ``edge_weight`` or ``edge_attr`` where the graph has them; ``match_logits`` lie in these.

    Args:
        data: one pair, no batch; else a :class:`GraphError`.
    """
    if torch.as_tensor(data.num_query).numel() != 1:
        raise GraphError("Expected one pair, not a batch: convert the pairs, and batch what comes of them")
    num_query = int(data.num_query)
    parts = {"query": slice(0, num_query), "proposal": slice(num_query, None)}
    hetero = HeteroData()
    for clip, part in parts.items():
        hetero[clip].x = data.x[part]
        if "mask" in data:
            hetero[clip].mask = data.mask[part]
    for name in ("pair_features", "target_offsets"):
        if name in data:
            hetero[name] = data[name]
    for k in data.scales:
        edge_index = data[f"edge_index_k{k}"]
        sides = (edge_index >= num_query).long()  # [2, E]
        for source in (0, 1):
            for destination in (0, 1):
                chosen = (sides[0] == source) & (sides[1] == destination)
                first = torch.tensor([[source], [destination]], device=edge_index.device) * num_query
                kind = f"{NEAR if source == destination else MEETS}_k{k}"
                edges = hetero[CLIPS[source], kind, CLIPS[destination]]
                edges.edge_index = edge_index[:, chosen] - first
                for name in ("edge_weight", "edge_attr"):
                    if f"{name}_k{k}" in data:
                        edges[name] = data[f"{name}_k{k}"][chosen]
    return hetero


def from_hetero(hetero: HeteroData) -> PairData:
    """The inverse of :func:`to_hetero`; edges are sorted by destination, then source.

    A graph without the two types of nodes is a :class:`GraphError`.
    """
    if set(hetero.node_types) != set(CLIPS):
        raise GraphError(f"Expected nodes of the types query and proposal (got {hetero.node_types})")
    clips = [hetero[clip] for clip in CLIPS]
    num_query = len(clips[0].x)
    data = PairData(
        x=torch.cat([clip.x for clip in clips]),
        num_query=torch.tensor([num_query]),
        num_proposal=torch.tensor([len(clips[1].x)]),
    )
    if all("mask" in clip for clip in clips):
        data.mask = torch.cat([clip.mask for clip in clips])
    for name in ("pair_features", "target_offsets"):
        if name in hetero:
            data[name] = hetero[name]
    found: dict[str, list[Tensor]] = {}
    for source, kind, destination in hetero.edge_types:
        edges, k = hetero[source, kind, destination], kind.rpartition("_k")[2]
        first = torch.tensor([[CLIPS.index(source)], [CLIPS.index(destination)]]) * num_query
        found.setdefault(f"edge_index_k{k}", []).append(edges.edge_index + first.to(edges.edge_index))
        for name in ("edge_weight", "edge_attr"):
            if name in edges:
                found.setdefault(f"{name}_k{k}", []).append(edges[name])
    for k in sorted({int(name.rpartition("_k")[2]) for name in found}):
        edge_index = torch.cat(found[f"edge_index_k{k}"], dim=1)
        order = torch.argsort(edge_index[1] * data.num_nodes + edge_index[0])
        data[f"edge_index_k{k}"] = edge_index[:, order]
        for name in ("edge_weight", "edge_attr"):
            if f"{name}_k{k}" in found:
                data[f"{name}_k{k}"] = torch.cat(found[f"{name}_k{k}"])[order]
    return data
