"""Learned weights of edges: the network that has them, from edges and from clips alike."""

import pytest
import torch
from torch_geometric.data import Batch

from tests.nn.small_models import assert_relevance_close, make_model, one_by_one, video
from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs import MultiScaleEdges, Pairing, multi_scale_edge_index
from vreloc_pyg.graphs.matching import match_edge_attr
from vreloc_pyg.nn.attention_conv import AttentionConv
from vreloc_pyg.systems.mgffnet.ranker import rank_windows

WINDOWS = torch.tensor([[0, 3], [4, 12], [9, 10], [2, 22], [14, 20]])


def by_loops(conv, x, edge_index, edge_attr):
    """Equation 7 of Brody et al., of edges with attributes, node by node and head by head."""
    rows = []
    for i in range(len(x)):
        into = (edge_index[1] == i).nonzero().flatten().tolist()
        heads = []
        for head in range(conv.heads):
            part = slice(head * conv.out_channels, (head + 1) * conv.out_channels)
            sent, kept = (
                lin.weight[part] @ x.t() + lin.bias[part].unsqueeze(1) for lin in (conv.lin_l, conv.lin_r)
            )
            logits, messages = [], []
            for edge in into:
                j = int(edge_index[0, edge])
                told = sent[:, j] + kept[:, i] + conv.lin_edge.weight[part] @ edge_attr[edge]
                logits.append(conv.att[0, head] @ torch.nn.functional.leaky_relu(told, 0.2))
                messages.append(sent[:, j])
            heads.append(torch.stack(logits).softmax(0) @ torch.stack(messages))
        rows.append(torch.stack(heads).mean(0) + conv.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("heads", [0, 2])
def test_equals_the_equation_of_the_paper(heads):
    conv, x, edge_index = AttentionConv(4, 3, heads), torch.randn(7, 4), multi_scale_edge_index(3, 4, 2)
    attributes = match_edge_attr(edge_index, torch.randn(heads, 3, 4))
    expected = by_loops(conv, x, edge_index, attributes)
    torch.testing.assert_close(conv(x, edge_index, attributes), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("heads", [(), ("rigid", "uniform", "path")], ids=str)
@torch.no_grad()
def test_windows_score_as_their_graphs(heads):
    pairing = Pairing(
        num_steps=6,
        fit="resample",
        nodes="match",
        feature_groups=((0, 3), (3, 5)),
        context=0.25,
        heads=heads,
        pair_features=True,
    )
    settings = {"in_channels": pairing.node_channels(5), "heads": heads, "pair_features": True}
    model = make_model(**settings, conv="gatv2", residual=True)
    query, reference = video(7, 0), video(24, 1)
    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    ranked = rank_windows(model, pairing, query, reference, WINDOWS)
    assert_relevance_close(ranked, one_by_one(model, graphs))
    edges = MultiScaleEdges(model.settings.scales)
    assert_relevance_close(ranked, model(Batch.from_data_list([edges(graph) for graph in graphs])))
    assert ranked.score.std() > 1e-3


@torch.no_grad()
def test_clips_of_several_lengths_score_as_they_do_alone():
    """Behind short clips lie nodes that do not exist, in a batch without edges."""
    model = make_model(conv="gatv2", heads=("path",))
    graphs = []
    for num_query, num_proposal in ((3, 5), (4, 2), (1, 1)):
        pairs = Pairing(num_steps=None).pair(
            video(num_query, 0), video(num_proposal, 1), torch.tensor([[0, num_proposal]])
        )
        (graph,) = pairs.graphs()
        graph.match_logits = torch.randn(num_query * num_proposal, 1)
        graphs.append(graph)
    assert_relevance_close(model(Batch.from_data_list(graphs)), one_by_one(model, graphs))


def test_edges_without_attributes_are_refused():
    conv, edge_index = AttentionConv(4, 3, heads=2), multi_scale_edge_index(3, 4, 1)
    for attributes in (None, torch.zeros(edge_index.size(1), 2)):
        with pytest.raises(GraphError, match="Expected edge_attr as"):
            conv(torch.randn(7, 4), edge_index, attributes)
