"""What is built on the sums of a pair graph, each computed from edges and without: for ``graph_conv.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from vreloc_pyg.graphs import MultiScaleEdges, pair_data, to_dense_adjacency
from vreloc_pyg.graphs.alignment_posterior import alignment_posterior
from vreloc_pyg.nn import MatchConv, MGFFConv, MGFFLayer, MGFFNet
from vreloc_pyg.nn.match_conv import match_weights

Way = Callable[[Tensor], Sequence[Tensor]]

HEADS = ("rigid", "uniform", "path")
#: Edges first, with which the others are compared.
PARTS = {
    "paper, conv": "`MGFFConv` with W, every scale",
    "paper, layer": "`MGFFLayer`",
    "paper, network": "`MGFFNet`: encoders, two layers, heads",
    "matching, conv": "`MatchConv` of three heads with W, every scale, and the softmax of its edges",
    "matching, layer": "`MGFFLayer` of such",
    "matching, network": "`MGFFNet` of such",
    "matching, posterior": "`alignment_posterior`, forward, of one window after the other and of all at once",
}


def parts(num_steps: int, scales: Sequence[int], batch_size: int, channels: int) -> dict[str, dict[str, Way]]:
    """Ways to compute every part from nodes ``[B, 2T, d]``; the first is what others are compared with."""
    size = num_steps, num_steps
    logits = torch.randn(batch_size, len(HEADS), *size)
    made = []
    for one in logits:
        clips = torch.zeros(2, num_steps, channels)
        pair = pair_data(*clips)
        pair.match_logits = one.permute(1, 2, 0).flatten(0, 1)
        made.append(MultiScaleEdges(scales)(pair))
    batch = Batch.from_data_list(made)
    edges = [batch[f"edge_index_k{k}"] for k in scales]
    attributes = [batch[f"edge_attr_k{k}"] for k in scales]
    settings: dict[str, Any] = {
        "in_channels": channels,
        "hidden_channels": channels,
        "scales": tuple(scales),
        "head_channels": (32,),
    }
    paper, matching = MGFFNet(**settings).eval(), MGFFNet(**settings, conv="match", heads=HEADS).eval()
    sums = [MGFFConv(channels, channels, scale=k) for k in scales]
    matches = [MatchConv(channels, channels, len(HEADS), k) for k in scales]
    matrices = [to_dense_adjacency(*size, k) for k in scales]
    plain, told = (MGFFLayer(channels, channels, scales, match_heads=heads) for heads in (None, len(HEADS)))
    places = torch.linspace(-0.2, 1.2, num_steps).expand(batch_size, -1)

    def as_batch(x: Tensor, with_logits: bool) -> Batch:
        graphs = batch.clone()
        graphs.x = x.flatten(0, 1)
        if not with_logits:
            for k in scales:
                del graphs[f"edge_attr_k{k}"]
        return graphs

    def distances(x: Tensor) -> Tensor:
        return torch.cdist(*x.detach().split(num_steps, dim=1))

    def posterior_one_by_one(x: Tensor) -> list[Tensor]:
        every = distances(x)
        found = [alignment_posterior(every[i : i + 1], places[i : i + 1]) for i in range(len(every))]
        return [torch.cat([costs for _, costs in found])]

    def matching_convs(x: Tensor) -> list[Tensor]:
        weights = match_weights(logits, scales)
        return [conv.dense(x, *size, one) for conv, one in zip(matches, weights, strict=True)]

    return {
        "paper, conv": {
            "edges": lambda x: [
                conv(x.flatten(0, 1), one).view_as(x) for conv, one in zip(sums, edges, strict=True)
            ],
            "dense": lambda x: [conv(x, one) for conv, one in zip(sums, matrices, strict=True)],
            "closed form": lambda x: [conv.closed_form(x, *size) for conv in sums],
        },
        "paper, layer": {
            "edges": lambda x: [plain(x.flatten(0, 1), edges, [None] * len(edges)).view_as(x)],
            "closed form": lambda x: [plain.closed_form(x, *size)],
        },
        "paper, network": {
            "edges": lambda x: [*paper(as_batch(x, False))],
            "closed form": lambda x: [*paper.score_clips(*x.split(num_steps, dim=1))],
        },
        "matching, conv": {
            "edges": lambda x: [
                conv(x.flatten(0, 1), *one).view_as(x)
                for conv, *one in zip(matches, edges, attributes, strict=True)
            ],
            "dense": matching_convs,
        },
        "matching, layer": {
            "edges": lambda x: [told(x.flatten(0, 1), edges, attributes).view_as(x)],
            "dense": lambda x: [told.closed_form(x, *size, weights=match_weights(logits, scales))],
        },
        "matching, network": {
            "edges": lambda x: [*matching(as_batch(x, True))],
            "dense": lambda x: [*matching.score_clips(*x.split(num_steps, dim=1), logits=logits)],
        },
        "matching, posterior": {
            "one by one": posterior_one_by_one,
            "all at once": lambda x: [alignment_posterior(distances(x), places)[1]],
        },
    }
