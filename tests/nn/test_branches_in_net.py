import copy

import pytest
import torch
from torch_geometric.data import Batch

from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs import (
    MultiScaleEdges,
    Pairing,
    pair_data,
)
from vreloc_pyg.nn import MGFFConv, MGFFLayer, MGFFNet, rank_windows
from vreloc_pyg.nn.branches import GATBranch, SAGEBranch

every_conv = pytest.mark.parametrize("conv", ["gat", "sage"])
WINDOWS = torch.tensor([[0, 3], [4, 12], [9, 10], [2, 22]])
PAIRINGS = {
    "pad": Pairing(num_steps=10),
    "resample": Pairing(num_steps=6, fit="resample"),
    "ragged": Pairing(num_steps=None),
    "relative": Pairing(num_steps=6, fit="resample", nodes="relative", feature_groups=((0, 3), (3, 5))),
}


def video(num_steps, seed, width=5):
    return torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))


@every_conv
@pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)
@pytest.mark.parametrize("mask_padding", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@torch.no_grad()
def test_all_ways_to_score_agree(make_model, assert_relevance_close, conv, pairing, mask_padding, residual):
    """Without edges, over edges, and the ranking that shares the query."""
    model = make_model(
        in_channels=pairing.node_channels(5),
        scales=(1, 2, 3),
        conv=conv,
        mask_padding=mask_padding,
        residual=residual,
        pool="separate" if residual else "all",
    )
    query, reference = video(7, 0), video(24, 1)
    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    expected = model(Batch.from_data_list(graphs))
    assert expected.offsets.std(0).max() > 1e-3
    edges = MultiScaleEdges(model.settings.scales)
    with_edges = Batch.from_data_list([edges(copy.copy(graph)) for graph in graphs])
    assert_relevance_close(model(with_edges), expected)
    assert_relevance_close(rank_windows(model, pairing, query, reference, WINDOWS), expected)


@every_conv
@torch.no_grad()
def test_queries_of_different_lengths_make_a_batch(make_model, assert_relevance_close, conv):
    model = make_model(conv=conv, num_layers=3)
    graphs = [
        pair_data(video(num_query, 0), video(num_proposal, 1))
        for num_query, num_proposal in [(3, 9), (8, 2), (1, 1), (5, 5)]
    ]
    batched = model(Batch.from_data_list(graphs))
    singles = [model(graph) for graph in graphs]
    for one, other in zip(batched, zip(*singles, strict=True), strict=True):
        torch.testing.assert_close(one, torch.cat(other), rtol=1e-5, atol=1e-5)
    edges = MultiScaleEdges(model.settings.scales)
    assert_relevance_close(model(Batch.from_data_list([edges(graph) for graph in graphs])), batched)


@every_conv
@pytest.mark.parametrize("pairing", ["pad", "ragged"])
def test_gradients_of_all_ways_agree(make_model, conv, pairing):
    model = make_model(conv=conv, mask_padding=True, residual=True, pool="separate")
    query, reference = video(7, 0), video(24, 1)
    graphs = PAIRINGS[pairing].pair(query, reference, WINDOWS).graphs()
    edges = MultiScaleEdges(model.settings.scales)
    ways = [
        model(Batch.from_data_list(graphs)),
        model(Batch.from_data_list([edges(copy.copy(graph)) for graph in graphs])),
        rank_windows(model, PAIRINGS[pairing], query, reference, WINDOWS),
    ]
    parameters = dict(model.named_parameters())
    expected, *others = [
        torch.autograd.grad(way.score.mean() + way.offsets.mean(), list(parameters.values())) for way in ways
    ]
    for gradients in others:
        for name, one, other in zip(parameters, gradients, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=lambda text, at=name: at + text)


@every_conv
def test_every_parameter_gets_a_gradient(conv):
    model = MGFFNet.from_preset("recommended", in_channels=5, conv=conv, weight="binary").train()
    graphs = PAIRINGS["ragged"].pair(video(7, 0), video(24, 1), WINDOWS).graphs()
    score, offsets = model(Batch.from_data_list(graphs))
    (score.square().sum() + offsets.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_conv
@pytest.mark.parametrize("mask_padding", [False, True])
def test_refuses_graphs_with_weights(make_model, conv, mask_padding):
    graph = pair_data(video(6, 0), video(8, 1), num_steps=9, fit="pad")
    model = make_model(conv=conv, mask_padding=mask_padding)
    with pytest.raises(GraphError, match=rf"no 'edge_weight_k1' with conv='{conv}'"):
        model(MultiScaleEdges((1, 3), "row")(graph))


@pytest.mark.parametrize("conv", ["mgff", "gat", "sage"])
def test_a_layer_has_as_many_parameters_as_its_convolutions_need(conv):
    sizes = {"mgff": 3 * 36, "gat": 3 * (36 + 2 * 6), "sage": 3 * 2 * 36}
    layer = MGFFLayer(6, 6, conv=conv)
    assert sum(parameter.numel() for parameter in layer.convs.parameters()) == sizes[conv]
    assert isinstance(layer.convs[0], {"mgff": MGFFConv, "gat": GATBranch, "sage": SAGEBranch}[conv])
