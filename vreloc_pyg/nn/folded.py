r"""The network on many pairs of clips of two lengths, as few products of matrices: for answers, not training.

Equal to :meth:`.MGFFNet.score_clips` without a mask, by four exact changes:

- nodes are kept as ``[N, B, d]``, so that the sums over a graph are one product ``[N, N] x [N, B d]`` for all
  pairs of a block, whatever the weights of its edges;
- linear maps with no nonlinearity between them are multiplied into one: a layer's first 1x1 convolution into
  its :math:`W_k`; its bias b becomes :math:`(\hat A_k 1)\, b W_k`;
- :math:`\tanh z = 2\, \mathrm{sigmoid}(2 z) - 1`, whose twos and one go into the maps before and after it: of
  the two functions the second is ten times faster on a processor;
- the last 1x1 convolution is applied after average pooling, to one row instead of N.

A block of pairs is so small that what a layer makes stays in a processor's cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from vreloc_pyg.graphs.multi_scale import to_dense_adjacency
from vreloc_pyg.nn.relevance import Pooled
from vreloc_pyg.nn.trunk import Trunk

#: Pairs of a block, and pairs that are encoded at once.
BLOCK, ENCODED = 128, 512


class FoldedLayer(NamedTuple):
    """One layer of a trunk.

    Args:
        graphs: :math:`\\hat A_k`, ``[K, N, N]``; ``None`` where nothing is summed over neighbours.
        weights, biases: before the sigmoid, ``[K, d, d]`` and ``[K, N, 1, d]``, or ``[K, 1, 1, d]``.
        fuse, fuse_bias: after it, ``[K, d, d]`` and ``[d]``.
        residual: whether the layer's input is added.
    """

    graphs: Tensor | None
    weights: Tensor
    biases: Tensor
    fuse: Tensor
    fuse_bias: Tensor
    residual: bool

    def __call__(self, nodes: Tensor, averages: Tensor | None = None) -> Tensor:
        """Nodes ``[N, B, d]`` after the layer; or averages of them by weights ``[P, N]``, ``[P, B, d]``."""
        given = nodes if averages is None else _mixed(averages, nodes)
        before = given if self.residual else torch.zeros_like(given)
        out = (before + self.fuse_bias).flatten(0, 1)
        for k, fuse in enumerate(self.fuse):
            # What lies between is not named, so that its memory is used again while it is in the cache.
            out.addmm_(self._branch(k, nodes, averages), fuse)
        return out.view_as(given)

    def _branch(self, k: int, nodes: Tensor, averages: Tensor | None) -> Tensor:
        """Half of (tanh + 1) of a branch, ``[N B, d]``; or its averages, ``[P B, d]``."""
        mixed = nodes if self.graphs is None else _mixed(self.graphs[k], nodes)
        found = (mixed.flatten(0, 1) @ self.weights[k]).view_as(nodes)
        del mixed
        found.add_(self.biases[k]).sigmoid_()
        return (found if averages is None else _mixed(averages, found)).flatten(0, 1)


def _mixed(weights: Tensor, nodes: Tensor) -> Tensor:
    """Weighted sums of nodes, ``[P, N]`` and ``[N, B, d]`` to ``[P, B, d]``."""
    return (weights @ nodes.flatten(1)).view(-1, *nodes.shape[1:])


def pool_pairs(model: Trunk, queries: Tensor, proposals: Tensor) -> Pooled:
    """What the heads read of M pairs, without pair features; clips are ``[M, Tq, F]`` and ``[M, Tp, F]``."""
    num_query, num_proposal = queries.size(1), proposals.size(1)
    layers = fold_layers(model, num_query, num_proposal)
    averages = queries.new_zeros(2, num_query + num_proposal)
    averages[0, :num_query], averages[1, num_query:] = 1 / num_query, 1 / num_proposal
    if model.settings.pool == "all":
        averages = torch.full_like(averages[:1], 1 / averages.size(1))
    parts = []
    for own, theirs in zip(queries.split(ENCODED), proposals.split(ENCODED), strict=True):
        clips = [model.encode_query(own).transpose(0, 1), model.encode_proposal(theirs).transpose(0, 1)]
        for block in zip(*(clip.split(BLOCK, dim=1) for clip in clips), strict=True):
            nodes = torch.cat(block)  # [N, B, d]
            for layer in layers[:-1]:
                nodes = layer(nodes)
            if model.settings.regression == "boundaries":  # every node of the last layer is asked for
                parts.append(model.pool_nodes(layers[-1](nodes).transpose(0, 1), num_query, None))
            else:
                parts.append(Pooled(torch.cat([*layers[-1](nodes, averages)], dim=1)))
    every = [part.nodes for part in parts if part.nodes is not None]
    return Pooled(torch.cat([part.graph for part in parts]), torch.cat(every) if every else None)


def fold_layers(model: Trunk, num_query: int, num_proposal: int) -> list[FoldedLayer]:
    """The layers of a trunk on pairs of these lengths."""
    about = model.settings
    graphs = None
    if about.aggregate:
        graphs = _graphs(num_query, num_proposal, about.scales, about.weight, about.bandwidth)
        graphs = graphs.to(model.layers[0].fuse.weight)
    layers = []
    for layer in model.layers:
        convs = torch.stack([conv.lin_weight for conv in layer.convs])  # [K, d, d]
        weights, biases = layer.project.weight.t() @ convs, (layer.project.bias @ convs)[:, None, None]
        if graphs is not None:
            biases = graphs.sum(2)[:, :, None, None] * biases
        fuse = layer.fuse.weight.t().view_as(convs)
        after = 2 * fuse, layer.fuse.bias - fuse.sum((0, 1)), about.residual
        layers.append(FoldedLayer(graphs, 2 * weights, 2 * biases, *after))
    return layers


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a tensor first made while validating must also serve training
def _graphs(
    num_query: int, num_proposal: int, scales: tuple[int, ...], weight: str, bandwidth: float | None
) -> Tensor:
    """The matrices of all scales, ``[K, N, N]``."""
    return torch.stack([to_dense_adjacency(num_query, num_proposal, k, weight, bandwidth) for k in scales])
