"""Small models, and what their answers are compared with."""

import torch
from torch import nn

from vreloc_pyg.graphs import EDGE_WEIGHTS, to_dense_adjacency
from vreloc_pyg.nn import MGFFNet, Relevance


def make_model(**settings):
    """A small model in eval mode, with weights so large that its scores differ."""
    defaults = {"in_channels": 5, "hidden_channels": 6, "head_channels": (7, 4), "scales": (1, 3)}
    model = MGFFNet(**{**defaults, **settings})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2
    return model.eval()


def assert_relevance_close(result, expected, tolerance=1e-5):
    torch.testing.assert_close(result.score, expected.score, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result.offsets, expected.offsets, rtol=tolerance, atol=tolerance)


def one_by_one(model, graphs):
    """What a model says of graphs that are given to it alone."""
    return Relevance(*(torch.cat(part) for part in zip(*map(model, graphs), strict=True)))


def masked_adjacency(mask, num_query, num_proposal, k, kind, bandwidth):
    """The weighted matrix ``[B, N, N]`` of the graph without the nodes that ``mask [B, N]`` leaves out."""
    kept = mask.unsqueeze(2) * to_dense_adjacency(num_query, num_proposal, k) * mask.unsqueeze(1)
    entry, degree, node = EDGE_WEIGHTS[kind], kept.sum(2).clamp(min=1), torch.arange(float(mask.size(1)))
    if entry.positions is not None:
        kept = kept * entry.positions(node.unsqueeze(1), node, bandwidth)
    if entry.rows is not None:
        kept = kept * entry.rows(degree).unsqueeze(2)
    return kept if entry.columns is None else kept * entry.columns(degree).unsqueeze(1)


def video(num_steps, seed, width=5):
    return torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))
