r"""A network whose edges match, on many pairs of clips of two lengths: for answers, not training.

Equal to :meth:`.MGFFNet.score_clips` without a mask. Beside the changes of :mod:`vreloc_pyg.nn.folded`, which
are exact too:

- messages are gathered before they are weighted: :math:`\sum_j \alpha^h_{ij} x_j` of all heads is one
  product of matrices for each clip and scale, with weights that all layers share;
- of :math:`\sum_j \alpha_{ij} (x_i - x_j) = x_i - \sum_j \alpha_{ij} x_j` the first joins what a step says of
  itself, since weights sum to 1; so the bias of a layer's first 1x1 convolution does not reach the second;
- a head whose edges all weigh alike tells all steps of a residue class the same, which is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from vreloc_pyg.graphs.matching import EVEN
from vreloc_pyg.nn.folded import BLOCK, ENCODED
from vreloc_pyg.nn.match_conv import MatchConv, match_weights
from vreloc_pyg.nn.mgff_layer import MGFFLayer
from vreloc_pyg.nn.relevance import Pooled
from vreloc_pyg.nn.trunk import Trunk

#: Least sum of exponentials that is divided by; where one is less, edges are weighed one scale at a time.
LEAST_SUM = 1e-30


class Clip(NamedTuple):
    """The edges into one of both clips of T and T' steps, the same for every layer.

    Args:
        near: weights of those from its own steps, ``[K, T, T]``.
        even: shares of the other clip's steps in the R residue classes of all scales, ``[R, T']``.
        heard: for every step and scale the class that it hears, times K, plus its scale's number, ``[T K]``.
        between: weights of those from the other clip, but of heads of equal weights, ``[K, B, T H, T']``;
            ``None``: there are none.
    """

    near: Tensor
    even: Tensor
    heard: Tensor
    between: Tensor | None


class FoldedMatch(NamedTuple):
    """One layer of a trunk.

    Args:
        own, near, heads: weights of a step itself, ``[d, K d]``, of averages over its own clip,
            ``[K, d, d]``, and of what heads gather from the other, ``[K, H d, d]``.
        even: of averages over residue classes of the other clip, ``[d, K d]``; ``None``: no head has such.
        bias: ``[K d]``.
        fuse, fuse_bias: after the sigmoid, ``[K d, d]`` and ``[d]``.
        residual: whether the layer's input is added.
    """

    own: Tensor
    near: Tensor
    heads: Tensor
    even: Tensor | None
    bias: Tensor
    fuse: Tensor
    fuse_bias: Tensor
    residual: bool

    def branches(self, clip: Clip, nodes: Tensor, other: Tensor) -> Tensor:
        """Half of (tanh + 1) of every branch, of nodes ``[B, T, d]`` and ``[B, T', d]``: ``[B, T, K d]``."""
        size, width = len(nodes), nodes.size(2)
        every = nodes.flatten(0, 1)
        if self.even is None:
            found = torch.addmm(self.bias, every, self.own)
        else:
            told = torch.addmm(self.bias, (clip.even @ other).flatten(0, 1), self.even)
            found = told.view(size, -1, width).index_select(1, clip.heard).view(len(every), -1)
            found.addmm_(every, self.own)
        # What is gathered is used at once, while it is in the cache.
        for k, columns in enumerate(found.split(width, dim=1)):
            columns.addmm_((clip.near[k] @ nodes).flatten(0, 1), self.near[k])
            if clip.between is not None:
                columns.addmm_(torch.bmm(clip.between[k], other).view(len(every), -1), self.heads[k])
        return found.sigmoid_().view(size, -1, found.size(1))

    def fused(self, branches: Tensor, nodes: Tensor) -> Tensor:
        """The layer's output, of branches ``[..., K d]`` and its input ``[..., d]``."""
        before = nodes if self.residual else torch.zeros_like(nodes)
        out = (before + self.fuse_bias).flatten(0, -2)
        return out.addmm_(branches.flatten(0, -2), self.fuse).view_as(nodes)


def pool_matched(model: Trunk, queries: Tensor, proposals: Tensor, logits: Tensor) -> Pooled:
    """What the heads read of M pairs, without pair features.

    Args:
        model: one whose edges match, in eval mode.
        queries, proposals: nodes, ``[M, Tq, F]`` and ``[M, Tp, F]``.
        logits: of the edges between them, ``[M, H, Tq, Tp]``; those of heads of equal weights are not read.
    """
    settings = model.settings
    # Clips so short have steps without an edge from the other clip; and learned weights are of edges alone.
    if settings.conv != "match" or min(logits.shape[2:]) < max(settings.scales):
        few = zip(*(part.split(BLOCK) for part in (queries, proposals, logits)), strict=True)
        return _joined([model.pool_clips(own, theirs, None, some) for own, theirs, some in few])
    chosen = [index for index, name in enumerate(settings.heads) if name != EVEN]
    layers = [_fold(layer, chosen, settings.residual) for layer in model.layers]
    standard = _standard_edges(logits, settings.scales)
    parts = []
    for own, theirs, every in zip(
        *(part.split(ENCODED) for part in (queries, proposals, logits)), strict=True
    ):
        encoded = model.encode_query(own), model.encode_proposal(theirs)
        for *nodes, some in zip(*(part.split(BLOCK) for part in (*encoded, every)), strict=True):
            clips = standard
            if chosen:
                between = _between(some[:, chosen], settings.scales)
                clips = [one._replace(between=two) for one, two in zip(standard, between, strict=True)]
            parts.append(_pool_block(model, layers, clips, [one.contiguous() for one in nodes]))
    return _joined(parts)


def _joined(parts: Sequence[Pooled]) -> Pooled:
    nodes = [part.nodes for part in parts if part.nodes is not None]
    return Pooled(torch.cat([part.graph for part in parts]), torch.cat(nodes) if nodes else None)


def _pool_block(
    model: Trunk, layers: Sequence[FoldedMatch], clips: Sequence[Clip], nodes: list[Tensor]
) -> Pooled:
    """:func:`pool_matched` of encoded nodes, ``[B, Tq, d]`` and ``[B, Tp, d]``."""
    num_query, num_proposal = (part.size(1) for part in nodes)
    averaged = model.settings.regression == "pooled"
    for layer in layers:
        pairs = zip(clips, nodes, nodes[::-1], strict=True)
        branches = [layer.branches(*pair) for pair in pairs]
        if averaged and layer is layers[-1]:  # the last map then is of one row instead of T
            branches, nodes = ([part.mean(1) for part in parts] for parts in (branches, nodes))
        nodes = [layer.fused(*pair) for pair in zip(branches, nodes, strict=True)]
    if not averaged:  # every node of the last layer is asked for
        return model.pool_nodes(torch.cat(nodes, dim=1), num_query, None)
    if model.settings.pool == "separate":
        return Pooled(torch.cat(nodes, dim=1))
    return Pooled((num_query * nodes[0] + num_proposal * nodes[1]) / (num_query + num_proposal))


def _fold(layer: MGFFLayer, chosen: Sequence[int], residual: bool) -> FoldedMatch:
    """A layer whose convolutions match; ``chosen`` are the heads whose edges weigh differently."""
    project, bias = layer.project.weight.t(), layer.project.bias
    own, near, heads, even, biases = [], [], [], [], []
    for conv in cast(Sequence[MatchConv], layer.convs):
        of_node, of_own, *of_heads = conv.lin_weight.split(conv.in_channels)
        own.append(2 * project @ torch.stack([of_node, *of_heads]).sum(0))
        near.append(2 * project @ of_own)
        biases.append(2 * bias @ (of_node + of_own))  # of a difference nothing is left
        heads.append([-2 * project @ of_heads[index] for index in chosen])
        even.append([-2 * project @ part for index, part in enumerate(of_heads) if index not in chosen])
    fuse = layer.fuse.weight.t()
    return FoldedMatch(
        torch.cat(own, dim=1),
        torch.stack(near),
        torch.stack([torch.cat(parts) for parts in heads]) if chosen else near[0],
        torch.cat([torch.stack(parts).sum(0) for parts in even], dim=1) if even[0] else None,
        torch.cat(biases),
        2 * fuse,
        layer.fuse.bias - fuse.sum(0),
        residual,
    )


def _standard_edges(logits: Tensor, scales: Sequence[int]) -> list[Clip]:
    """The edges of all pairs that do not depend on what they show, into query and proposal."""
    clips, lengths = [], logits.shape[2:]
    plain = match_weights(logits[:1, :0], scales)
    for side in (0, 1):
        step, other = (
            torch.arange(count, device=logits.device) for count in (lengths[side], lengths[1 - side])
        )
        classes = torch.cat([other % k == torch.arange(k, device=other.device)[:, None] for k in scales])
        first = torch.tensor([sum(scales[:k]) for k in range(len(scales))], device=step.device)
        heard = (first + step[:, None] % torch.tensor(scales, device=step.device)) * len(scales)
        clips.append(
            Clip(
                torch.stack([one.own[side] for one in plain]),
                classes.to(logits) / classes.sum(1, keepdim=True),
                (heard + torch.arange(len(scales), device=step.device)).flatten(),
                None,
            )
        )
    return clips


def _between(logits: Tensor, scales: Sequence[int]) -> list[Tensor]:
    """Weights of the edges into query and proposal, ``[K, B, Tq H, Tp]`` and ``[K, B, Tp H, Tq]``."""
    # One exponential serves all scales and both clips.
    powers = (logits - logits.amax((2, 3), keepdim=True)).exp_()
    found = [_shares(one, scales) for one in (powers, powers.mT)]
    if all(float(total.min()) >= LEAST_SUM for _, total in found):
        return [shares for shares, _ in found]
    exact = match_weights(logits, scales)
    heads, shape = logits.size(1), logits.shape[2:]
    return [
        torch.stack(
            [one.other[side].unflatten(2, (shape[1 - side], heads)).mT.flatten(1, 2) for one in exact]
        )
        for side in (0, 1)
    ]


def _shares(powers: Tensor, scales: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Weights ``[K, B, T H, T']`` by exponentials ``[B, H, T, T']``, and what these were divided by."""
    size, heads, length, width = powers.shape
    step, other = torch.arange(length, device=powers.device), torch.arange(width, device=powers.device)
    rows = powers.transpose(1, 2).contiguous().view(size, -1)  # [B, T H T']
    shares = torch.stack(
        [
            rows * ((step[:, None] - other) % k == 0).to(rows).repeat_interleave(heads, dim=0).flatten()
            for k in scales
        ]
    )
    every = shares.view(-1, width)
    total = every @ every.new_ones(width)
    every.div_(total.unsqueeze(1))
    return shares.view(len(scales), size, -1, width), total
