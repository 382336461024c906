"""Widths that are left open, and two sets of nodes, as PyG's own convolutions take them."""

import pytest
import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.graphs import (
    MultiScaleEdges,
    multi_scale_edge_index,
    pair_data,
    to_dense_adjacency,
    to_hetero,
)
from vreloc_pyg.graphs.matching import match_edge_attr
from vreloc_pyg.nn import MatchConv, MGFFConv
from vreloc_pyg.nn.match_conv import match_weights

SUMS = MGFFConv, ()
MATCHES = MatchConv, (2,)
every_conv = pytest.mark.parametrize(("kind", "options"), [SUMS, MATCHES], ids=["sum", "match"])


def edges_of(options):
    edge_index = multi_scale_edge_index(3, 4, 1)
    return edge_index, match_edge_attr(edge_index, torch.randn(2, 3, 4)) if options else None


@every_conv
def test_the_first_input_decides_the_width(kind, options):
    conv, x, edges = kind(-1, 3, *options), torch.randn(7, 5), edges_of(options)
    torch.manual_seed(1)
    found = conv(x, *edges)
    torch.manual_seed(1)
    told = kind(5, 3, *options)
    torch.testing.assert_close(found, told(x, *edges))
    assert repr(conv) == repr(told)
    assert conv.lin_weight.requires_grad
    with pytest.raises(FeatureError, match=r"\[..., 5\]"):
        conv(torch.randn(7, 4), *edges)


@every_conv
def test_so_does_a_state_that_is_loaded(kind, options):
    told, conv = kind(5, 3, *options), kind(-1, 3, *options)
    conv.load_state_dict(told.state_dict())
    assert torch.equal(conv.lin_weight, told.lin_weight)
    assert conv.in_channels == 5


def test_forms_without_edges_decide_it_too():
    x = torch.randn(2, 7, 5)
    assert MGFFConv(-1, 3).closed_form(x, 3, 4).shape == (2, 7, 3)
    (weights,) = match_weights(torch.randn(2, 2, 3, 4), (1,))
    assert MatchConv(-1, 3, 2).dense(x, 3, 4, weights).shape == (2, 7, 3)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("widths", [(5, 3), (3, 5), (-1, 4)])
@pytest.mark.parametrize("k", [1, 2])
def test_two_sets_of_nodes_are_the_edges_between_them(widths, k):
    """Whichever product comes first, and from edges, a sparse and a dense matrix."""
    conv, query, proposal = MGFFConv(*widths, scale=k), *torch.randn(7, abs(widths[0])).split([3, 4])
    matrix = to_dense_adjacency(3, 4, k)[:3, 3:].contiguous()  # into the query
    edge_index = matrix.nonzero().t().flip(0)
    found = conv((proposal, query), edge_index)
    torch.testing.assert_close(found, matrix @ proposal @ conv.lin_weight)
    for form in (matrix, matrix.to_sparse_csr()):
        torch.testing.assert_close(conv((proposal, query), form), found)


def test_a_heterogeneous_network_sums_as_the_pair_graph():
    data = MultiScaleEdges((2,))(pair_data(torch.randn(3, 5), torch.randn(4, 5)))
    hetero, conv = to_hetero(data), MGFFConv(-1, 4, scale=2)
    assert isinstance(hetero, HeteroData)
    every = HeteroConv(dict.fromkeys(hetero.edge_types, conv))
    found = every(hetero.x_dict, hetero.edge_index_dict)
    expected = conv(data.x, data.edge_index_k2)
    torch.testing.assert_close(torch.cat([found["query"], found["proposal"]]), expected)


@every_conv
@pytest.mark.parametrize("widths", [(0, 3), (-2, 3), (3, 0)])
def test_impossible_widths_are_refused(kind, options, widths):
    with pytest.raises(SettingsError, match=r"or -1 for that of the first input.*\(got"):
        kind(*widths, *options)
