import pytest
import torch
from torch import nn

from tests.nn.small_models import masked_adjacency
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs import EDGE_WEIGHTS, multi_scale_edge_index, to_dense_adjacency
from vreloc_pyg.graphs.weights import edge_weights
from vreloc_pyg.nn import MGFFLayer

every_weight = pytest.mark.parametrize("weight", list(EDGE_WEIGHTS))


def as_conv1d(linear):
    """The paper's 1x1 convolution with the weights of a linear map."""
    conv = nn.Conv1d(linear.in_features, linear.out_features, kernel_size=1)
    conv.weight.data.copy_(linear.weight.data.unsqueeze(-1))
    conv.bias.data.copy_(linear.bias.data)
    return conv


def by_the_paper(layer, x, adjacencies):
    """Section 4.5 for one graph ``x [N, d]`` and one dense adjacency a scale."""
    projected = as_conv1d(layer.project)(x.t().unsqueeze(0))[0].t()
    branches = [
        torch.tanh(adjacency @ projected @ conv.lin_weight)
        for adjacency, conv in zip(adjacencies, layer.convs, strict=True)
    ]
    return as_conv1d(layer.fuse)(torch.cat(branches, dim=1).t().unsqueeze(0))[0].t()


def edges(layer, num_query, num_proposal, weight, bandwidth=None):
    indices = [multi_scale_edge_index(num_query, num_proposal, k) for k in layer.scales]
    return indices, [edge_weights(index, num_query, weight, bandwidth) for index in indices]


@every_weight
@pytest.mark.parametrize("lengths", [(5, 8), (1, 1), (1, 7), (6, 2)])
@pytest.mark.parametrize("bandwidth", [None, 2.5])
def test_equals_the_equation_of_the_paper(weight, lengths, bandwidth):
    layer = MGFFLayer(4, 4, (1, 2, 5), weight, bandwidth)
    x = torch.randn(3, sum(lengths), 4)
    adjacencies = [to_dense_adjacency(*lengths, k, weight, bandwidth) for k in (1, 2, 5)]
    expected = torch.stack([by_the_paper(layer, graph, adjacencies) for graph in x])
    torch.testing.assert_close(layer.closed_form(x, *lengths), expected, rtol=1e-5, atol=1e-5)
    over_edges = layer(x[0], *edges(layer, *lengths, weight, bandwidth))
    torch.testing.assert_close(over_edges, expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("widths", [(3, 6), (6, 3)])
def test_widths_may_differ(widths):
    layer = MGFFLayer(*widths, scales=(2,))
    x = torch.randn(9, widths[0])
    expected = by_the_paper(layer, x, [to_dense_adjacency(4, 5, 2)])
    assert expected.shape == (9, widths[1])
    torch.testing.assert_close(layer.closed_form(x.unsqueeze(0), 4, 5)[0], expected, rtol=1e-5, atol=1e-5)


@every_weight
def test_masked_nodes_send_nothing_and_do_not_count(weight):
    """The nodes that take part get what they would get in the graph without the others."""
    layer = MGFFLayer(4, 4, (1, 2), weight, bandwidth=3.0)
    x = torch.randn(1, 9, 4)
    mask = torch.tensor([[True, True, True, False, True, True, True, True, False]])
    adjacencies = [masked_adjacency(mask, 4, 5, k, weight, 3.0)[0] for k in (1, 2)]
    expected = by_the_paper(layer, x[0], adjacencies)
    x[~mask] = 99.0
    masked = layer.closed_form(x, 4, 5, mask)[0]
    torch.testing.assert_close(masked[mask[0]], expected[mask[0]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("aggregate", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_layers_without_aggregation_or_with_their_input_added(aggregate, residual):
    layer = MGFFLayer(4, 4, (1, 3), aggregate=aggregate, residual=residual)
    x = torch.randn(2, 9, 4)
    adjacencies = [to_dense_adjacency(4, 5, k) if aggregate else torch.eye(9) for k in (1, 3)]
    expected = torch.stack([residual * graph + by_the_paper(layer, graph, adjacencies) for graph in x])
    torch.testing.assert_close(layer.closed_form(x, 4, 5), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer(x[0], *edges(layer, 4, 5, "binary")), expected[0], rtol=1e-5, atol=1e-5)


def test_every_edge_set_is_asked_for():
    layer = MGFFLayer(4, 4, (1, 2))
    indices, weights = edges(layer, 4, 5, "binary")
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        layer(torch.randn(9, 4), indices[:1], weights[:1])


@pytest.mark.parametrize("scales", [(), (0, 1), (1, 2, 1), (-1,)])
def test_refuses_impossible_scales(scales):
    with pytest.raises(SettingsError, match=r"scales to be distinct numbers of at least 1 \(got"):
        MGFFLayer(4, 4, scales)
