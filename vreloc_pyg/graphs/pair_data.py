"""A query and a proposal as one graph of PyTorch Geometric."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from vreloc_pyg.errors import FeatureError, GraphError
from vreloc_pyg.graphs.matching import match_edge_attr
from vreloc_pyg.graphs.multi_scale import check_scale, multi_scale_edge_index
from vreloc_pyg.graphs.pair_graph import PairData
from vreloc_pyg.graphs.weights import EDGE_WEIGHTS, WeightKind, check_weight, edge_weights
from vreloc_pyg.sequences.windows import cut_windows


def pair_data(
    query: Tensor,
    proposal: Tensor,
    *,
    num_steps: int | None = None,
    fit: Literal["resample", "pad"] = "resample",
    target_offsets: Tensor | None = None,
) -> PairData:
    """One query/proposal pair as a graph, without its edges (:class:`MultiScaleEdges` adds them).

    Args:
        query, proposal: features ``[Tq, F]`` and ``[Tp, F]``.
        num_steps: T, the length both clips are brought to. (default: clips keep their lengths)
        fit: how, see :func:`~vreloc_pyg.sequences.windows.cut_windows`; ``"pad"`` (paper section 5.2.2) adds
            the bool node attribute ``mask``, false at padding.
        target_offsets: regression targets ``(T_c, T_l)``, ``[2]``, see
            :func:`~vreloc_pyg.segments.encode_offsets`.

    Returns:
        A ``Data`` with ``x [Tq + Tp, F]``, ``num_query [1]``, ``num_proposal [1]``, and where asked for
        ``mask [Tq + Tp]`` and ``target_offsets [1, 2]``.

    Raises:
        FeatureError: if a clip is empty, not finite, not two-dimensional, or they differ in width.
    """
    _check_clip(query, "query")
    _check_clip(proposal, "proposal")
    if query.size(1) != proposal.size(1):
        raise FeatureError(
            f"Expected query and proposal of one width (got F = {query.size(1)} and {proposal.size(1)})"
        )
    data = PairData()
    if num_steps is not None:
        whole = [torch.tensor([[0, len(clip)]], device=clip.device) for clip in (query, proposal)]
        (query,), query_mask = cut_windows(query, whole[0], num_steps, fit)
        (proposal,), proposal_mask = cut_windows(proposal, whole[1], num_steps, fit)
        if fit == "pad":
            data.mask = torch.cat([query_mask[0], proposal_mask[0]])
    data.x = torch.cat([query, proposal])
    # One-element tensors, since that is what un-batching gives back for numbers too.
    data.num_query = torch.tensor([query.size(0)])
    data.num_proposal = torch.tensor([proposal.size(0)])
    if target_offsets is not None:
        target_offsets = torch.as_tensor(target_offsets, dtype=torch.float32)
        if target_offsets.numel() != 2 or not torch.isfinite(target_offsets).all():
            raise GraphError(f"Expected two finite target_offsets (got {target_offsets.tolist()})")
        data.target_offsets = target_offsets.reshape(1, 2)
    return data


class MultiScaleEdges(BaseTransform):
    """Add the edges of every scale k to a pair as ``edge_index_k1 ...`` (paper section 4.3).

    Weights other than ``binary`` are added as ``edge_weight_k1 ...``; where the pair has ``match_logits``,
    the attributes of :func:`.match_edge_attr` are, as ``edge_attr_k1 ...``. A network takes the weights of a
    graph as they are, so ``mask_padding`` is to be the same here and there.

    Args:
        scales: values of k in steps, 1 or more.
        weight, bandwidth: see :func:`~vreloc_pyg.graphs.weights.edge_weights`.
        mask_padding: leave out the edges of padded nodes (``data.mask``), also where edges are counted for
            weights.
    """

    def __init__(
        self,
        scales: Sequence[int] = (1, 2, 3),
        weight: WeightKind = "binary",
        bandwidth: float | None = None,
        mask_padding: bool = False,
    ) -> None:
        check_weight(weight, bandwidth)
        self.scales = tuple(check_scale(k) for k in scales)
        self.weight = weight
        self.bandwidth = bandwidth
        self.mask_padding = mask_padding

    def forward(self, data: Data) -> Data:
        validate_pair(data)
        if torch.as_tensor(data.num_query).numel() != 1:
            raise GraphError(f"Expected one pair, not a batch (got num_query = {data.num_query.tolist()})")
        num_query, num_proposal = int(data.num_query), int(data.num_proposal)
        for k in self.scales:
            # Copied, so that whoever edits a graph in place does not edit those still to come.
            edge_index = _edge_index(num_query, num_proposal, k).to(data.x.device, copy=True)
            if self.mask_padding and "mask" in data:
                edge_index = edge_index[:, data.mask[edge_index].all(0)]
            data[f"edge_index_k{k}"] = edge_index
            if not EDGE_WEIGHTS[self.weight].all_ones:
                weights = edge_weights(edge_index, num_query, self.weight, self.bandwidth)
                data[f"edge_weight_k{k}"] = weights
            if "match_logits" in data:
                logits = data.match_logits.t().unflatten(1, (num_query, num_proposal))
                data[f"edge_attr_k{k}"] = match_edge_attr(edge_index, logits)
        return data

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(scales={self.scales}, weight={self.weight!r}, "
            f"bandwidth={self.bandwidth}, mask_padding={self.mask_padding})"
        )


def standard_edges(
    logits: Tensor, scales: Sequence[int], mask: Tensor | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Edges of the standard graphs of B pairs of equal lengths, and their attributes, of every scale.

    Args:
        logits: of the edges between both clips, ``[B, H, Tq, Tp]``.
        scales: values of k in steps.
        mask: which nodes exist, bool ``[B, Tq + Tp]``; the others have no edges. (default: all)

    Returns:
        ``[2, E]`` with the nodes of all pairs numbered one after the other, and ``[E, 1 + H]``, as
        :func:`.match_edge_attr` gives them.
    """
    size, heads, *lengths = logits.shape
    first = torch.arange(size, device=logits.device) * sum(lengths)
    indices, attributes = [], []
    for k in scales:
        edge_index = _edge_index(*lengths, k).to(logits.device)
        carried = match_edge_attr(edge_index, logits.flatten(0, 1))  # [E, 1 + B H]
        across = carried[:, :1].expand(size, -1, -1)
        found = carried[:, 1:].unflatten(1, (size, heads)).transpose(0, 1)
        every = (edge_index[:, None] + first[:, None]).flatten(1)  # pair by pair
        attribute = torch.cat([across, found], dim=2).flatten(0, 1)
        kept = slice(None) if mask is None else mask.flatten()[every].all(0)
        indices.append(every[:, kept])
        attributes.append(attribute[kept])
    return indices, attributes


def validate_pair(data: Data, scales: Sequence[int] = ()) -> Data:
    """Return a pair graph (or a batch of them) unchanged, or raise for what is wrong with it.

    PyTorch Geometric's ``Data.validate`` looks at ``edge_index`` only, which these graphs do not have.

    Args:
        data: a graph as of :func:`pair_data`, or a ``Batch`` of such.
        scales: values of k whose edges it must hold. (default: none)

    Raises:
        GraphError: if an attribute is missing, or is of another shape, length or range.
        FeatureError: if ``x`` holds NaN or infinite values.
    """
    for name in ("x", "num_query", "num_proposal"):
        if name not in data:
            raise GraphError(f"Expected a pair graph with {name!r} (got {sorted(data.keys())})")
    num_query, num_proposal = torch.as_tensor(data.num_query), torch.as_tensor(data.num_proposal)
    lengths = torch.cat([num_query.flatten(), num_proposal.flatten()])
    if num_query.numel() != num_proposal.numel() or lengths.numel() == 0 or lengths.min() < 1:
        raise GraphError(
            "Expected num_query >= 1 and num_proposal >= 1, one each per graph "
            f"(got {num_query.tolist()} and {num_proposal.tolist()})"
        )
    num_nodes = int(lengths.sum())
    if data.x.dim() != 2 or data.x.size(0) != num_nodes:
        raise GraphError(f"Expected x as [{num_nodes}, F] (got {tuple(data.x.shape)})")
    if not torch.isfinite(data.x).all():
        raise FeatureError("Features x of a pair graph hold NaN or infinite values")
    if "mask" in data and (data.mask.dtype != torch.bool or data.mask.shape != (num_nodes,)):
        raise GraphError(
            f"Expected mask as bool [{num_nodes}] (got {data.mask.dtype} {tuple(data.mask.shape)})"
        )
    if "match_logits" in data:
        num_across = int((num_query.flatten() * num_proposal.flatten()).sum())
        if data.match_logits.dim() != 2 or len(data.match_logits) != num_across:
            raise GraphError(
                f"Expected match_logits as [{num_across}, H] (got {tuple(data.match_logits.shape)})"
            )
        if not torch.isfinite(data.match_logits).all():
            raise GraphError("The match_logits of a pair graph hold NaN or infinite values")
    for k in scales:
        _validate_edges(data, check_scale(k), num_nodes)
    return data


def _validate_edges(data: Data, k: int, num_nodes: int) -> None:
    name = f"edge_index_k{k}"
    if name not in data:
        raise GraphError(f"Expected a pair graph with {name!r} (got {sorted(data.keys())})")
    edge_index = data[name]
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype != torch.long:
        raise GraphError(
            f"Expected {name} as [2, E] int64 (got {tuple(edge_index.shape)} {edge_index.dtype})"
        )
    if edge_index.numel():
        low, high = int(edge_index.min()), int(edge_index.max())
        if low < 0 or high >= num_nodes:
            raise GraphError(f"Expected {name} within 0..{num_nodes - 1} (got {low}..{high})")
    weights = data.get(f"edge_weight_k{k}")
    if weights is not None and weights.shape != (edge_index.size(1),):
        raise GraphError(f"Expected edge_weight_k{k} as [{edge_index.size(1)}] (got {tuple(weights.shape)})")
    for carried in (f"edge_weight_k{k}", f"edge_attr_k{k}"):
        if carried in data and not torch.isfinite(data[carried]).all():
            raise GraphError(f"The {carried} of a pair graph hold NaN or infinite values")


def _check_clip(features: Tensor, what: str) -> None:
    if features.dim() != 2 or features.numel() == 0 or not features.is_floating_point():
        raise FeatureError(
            f"Expected the {what} as floats [num_steps, F], not empty "
            f"(got {features.dtype} {tuple(features.shape)})"
        )
    if not torch.isfinite(features).all():
        raise FeatureError(f"Features of the {what} hold NaN or infinite values")


_edge_index = lru_cache(maxsize=32)(multi_scale_edge_index)
