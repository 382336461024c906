"""Pooled features of many proposals for one query, without repeating the query's share of the work.

Three savings, all exact:

- the query is encoded once, and its share of layer 1's linear maps and sums is computed once;
- linear maps with no nonlinearity between them are multiplied into one: layer 1's first 1x1 convolution
  into its :math:`W_k`, and the last 1x1 convolution of a layer into the first of the next;
- the last 1x1 convolution is applied after average pooling, to one row instead of Tq + Tp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.graphs.multi_scale import multi_scale_degree, multi_scale_sum
from vreloc_pyg.nn.mgff_layer import MGFFLayer

if TYPE_CHECKING:
    from vreloc_pyg.nn.mgff_net import MGFFNet


def pool_proposals(
    model: MGFFNet, query: Tensor, proposals: Tensor | Sequence[Tensor], proposal_mask: Tensor | None = None
) -> Tensor:
    """Average of the last layer's nodes of every pair, ``[M, d]``; arguments as of :meth:`MGFFNet.rank`."""
    padded, mask = _pad(model, query, proposals, proposal_mask)
    num_query, num_proposal = len(query), padded.size(1)
    own = model.query_encoder(query.unsqueeze(0))  # [1, Tq, d]
    others = model.proposal_encoder(padded)  # [M, Tp, d]
    if mask is not None:
        mask = torch.cat([mask.new_ones(len(mask), num_query), mask], dim=1)  # [M, Tq + Tp]
    layers = list(model.layers)
    if layers[0].aggregate and model.settings.weight in ("binary", "row"):
        hidden = _first_layer(layers[0], own, others, mask, model.settings.weight == "row")
    else:
        nodes = torch.cat([own.expand(len(others), -1, -1), others], dim=1)
        hidden = layers[0].branches(layers[0].project(nodes), num_query, num_proposal, mask)
    for before, layer in zip(layers[:-1], layers[1:], strict=True):
        weight = layer.project.weight @ before.fuse.weight  # [d, K * d]
        bias = layer.project.weight @ before.fuse.bias + layer.project.bias
        nodes = torch.nn.functional.linear(hidden, weight, bias)
        hidden = layer.branches(nodes, num_query, num_proposal, mask)
    if mask is None:
        pooled = hidden.mean(dim=1)
    else:
        kept = mask.unsqueeze(-1).to(hidden)
        pooled = (hidden * kept).sum(dim=1) / kept.sum(dim=1)
    fused: Tensor = layers[-1].fuse(pooled)
    return fused


def _first_layer(layer: MGFFLayer, own: Tensor, others: Tensor, mask: Tensor | None, row: bool) -> Tensor:
    """Branches of layer 1, ``[M, Tq + Tp, K * d]``: sums over the query's nodes are made once."""
    num_query, num_proposal = own.size(1), others.size(1)
    branches = []
    for conv in layer.convs:
        weight = layer.project.weight.t() @ conv.lin_weight  # [d, d]
        bias = layer.project.bias @ conv.lin_weight
        from_query = torch.cat([own @ weight + bias, own.new_zeros(1, num_proposal, weight.size(1))], dim=1)
        shared = multi_scale_sum(from_query, num_query, num_proposal, conv.scale)  # [1, Tq + Tp, d]
        projected = torch.nn.functional.pad(others @ weight + bias, (0, 0, num_query, 0))
        summed = multi_scale_sum(projected, num_query, num_proposal, conv.scale, mask) + shared
        if row:
            degree = multi_scale_degree(num_query, num_proposal, conv.scale, mask).to(summed)
            summed = summed / degree.clamp(min=1).unsqueeze(-1)
        branches.append(summed)
    return torch.tanh(torch.cat(branches, dim=-1))


def _pad(
    model: MGFFNet, query: Tensor, proposals: Tensor | Sequence[Tensor], proposal_mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Proposals as ``[M, Tp, F]`` with the mask of their steps, ``None`` if all take part."""
    clips = [query, *proposals]
    width = model.settings.in_channels
    for index, clip in enumerate(clips):
        what = "the query" if index == 0 else f"proposal {index - 1}"
        if clip.dim() != 2 or clip.size(0) == 0 or clip.size(1) != width:
            raise FeatureError(f"Expected features of {what} as [T >= 1, {width}] (got {tuple(clip.shape)})")
    if len(clips) == 1:
        raise FeatureError("Expected at least one proposal (got none)")
    if isinstance(proposals, Tensor):
        padded, mask = proposals, proposal_mask if model.settings.mask_padding else None
    else:
        lengths = torch.tensor([len(clip) for clip in proposals], device=query.device)
        padded = pad_sequence(list(proposals), batch_first=True)
        steps = torch.arange(padded.size(1), device=query.device)
        mask = None if bool((lengths == lengths[0]).all()) else steps < lengths.unsqueeze(1)
    if not (torch.isfinite(query).all() and torch.isfinite(padded).all()):
        raise FeatureError("Features of the query or a proposal hold NaN or infinite values")
    return padded, mask
