"""Pooled features of many proposals for one query, without repeating the query's share of the work.

Three savings, all exact:

- the query is encoded once, and its share of layer 1's linear maps and sums is computed once;
- linear maps with no nonlinearity between them are multiplied into one: layer 1's first 1x1 convolution
  into its :math:`W_k`, and the last 1x1 convolution of a layer into the first of the next;
- the last 1x1 convolution is applied after average pooling, to one row instead of Tq + Tp.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vreloc_pyg.errors import FeatureError, GraphError
from vreloc_pyg.graphs.multi_scale import multi_scale_degree, multi_scale_sum
from vreloc_pyg.graphs.weights import EDGE_WEIGHTS
from vreloc_pyg.nn.relevance import Pooled
from vreloc_pyg.nn.trunk import Trunk
from vreloc_pyg.segments import clip_segments, decode_offsets


def pool_proposals(
    model: Trunk, query: Tensor, proposals: Tensor | Sequence[Tensor], proposal_mask: Tensor | None = None
) -> Pooled:
    """What the heads read of every pair, without pair features; arguments as of :meth:`.MGFFNet.rank`."""
    if model.matches:
        raise GraphError(
            f"A network with conv={model.settings.conv!r} reads edges, which clips alone do not have: "
            "give it pairs"
        )
    padded, mask = _pad(model, query, proposals, proposal_mask)
    num_query, num_proposal = len(query), padded.size(1)
    own = model.encode_query(query.unsqueeze(0))  # [1, Tq, d]
    others = model.encode_proposal(padded)  # [M, Tp, d]
    if mask is not None:
        mask = torch.cat([mask.new_ones(len(mask), num_query), mask], dim=1)  # [M, Tq + Tp]
    layers = list(model.layers)
    nodes = None
    if model.settings.residual or not _shareable(model):
        nodes = torch.cat([own.expand(len(others), -1, -1), others], dim=1)  # [M, Tq + Tp, d]
    if _shareable(model):
        hidden = _first_layer(model, own, others, mask)
    else:
        hidden = layers[0].branches(layers[0].project(nodes), num_query, num_proposal, mask)
    for before, layer in itertools.pairwise(layers):
        if model.settings.residual:
            nodes = before.fuse(hidden) + nodes
            projected = layer.project(nodes)
        else:
            weight = layer.project.weight @ before.fuse.weight  # [d, K * d]
            bias = layer.project.weight @ before.fuse.bias + layer.project.bias
            projected = torch.nn.functional.linear(hidden, weight, bias)
        hidden = layer.branches(projected, num_query, num_proposal, mask)
    if model.settings.regression == "boundaries":  # every node of the last layer is asked for
        last = layers[-1].fuse(hidden)
        if model.settings.residual and nodes is not None:
            last = last + nodes
        return model.pool_nodes(last, num_query, mask)
    pooled = model.average(hidden, num_query, mask)  # [M, K * d], or twice that
    fused: Tensor = layers[-1].fuse(pooled.view(len(pooled), -1, hidden.size(-1))).flatten(1)
    if model.settings.residual and nodes is not None:
        fused = fused + model.average(nodes, num_query, mask)
    return Pooled(fused)


def _shareable(model: Trunk) -> bool:
    """Whether layer 1's sums over the query do not depend on the proposal."""
    weight = EDGE_WEIGHTS[model.settings.weight]
    return model.settings.aggregate and weight.columns is None and weight.positions is None


def _first_layer(model: Trunk, own: Tensor, others: Tensor, mask: Tensor | None) -> Tensor:
    """Branches of layer 1, ``[M, Tq + Tp, K * d]``: sums over the query's nodes are made once."""
    layer, factor = model.layers[0], EDGE_WEIGHTS[model.settings.weight].rows
    num_query, num_proposal = own.size(1), others.size(1)
    branches = []
    for conv in layer.convs:
        weight = layer.project.weight.t() @ conv.lin_weight  # [d, d]
        bias = layer.project.bias @ conv.lin_weight
        from_query = torch.cat([own @ weight + bias, own.new_zeros(1, num_proposal, weight.size(1))], dim=1)
        shared = multi_scale_sum(from_query, num_query, num_proposal, conv.scale)  # [1, Tq + Tp, d]
        projected = torch.nn.functional.pad(others @ weight + bias, (0, 0, num_query, 0))
        summed = multi_scale_sum(projected, num_query, num_proposal, conv.scale, mask) + shared
        if factor is not None:
            degree = multi_scale_degree(num_query, num_proposal, conv.scale, mask).to(summed)
            summed = summed * factor(degree.clamp(min=1)).unsqueeze(-1)
        branches.append(summed)
    return torch.tanh(torch.cat(branches, dim=-1))


def _pad(
    model: Trunk, query: Tensor, proposals: Tensor | Sequence[Tensor], proposal_mask: Tensor | None
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


def refine_windows(windows: Tensor, offsets: Tensor, num_steps: int) -> Tensor:
    """Windows moved by their predicted offsets and kept inside the video (paper section 4.8.2).

    Windows and offsets are ``[M, 2]`` each, in steps; a refined window is at least one step long.
    """
    shift, stretch = offsets.double().unbind(-1)
    # Of a stretch by e^10 nothing is left but the bounds below, and e^1000 is no number.
    offsets = torch.stack([shift, stretch.clamp(-10, 10)], dim=-1)
    return clip_segments(decode_offsets(windows.double(), offsets), float(num_steps), 1.0)
