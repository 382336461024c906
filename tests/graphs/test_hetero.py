import pytest
import torch
from torch_geometric.data import Batch, HeteroData
from torch_geometric.nn import HeteroConv

from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs import MultiScaleEdges, Pairing, from_hetero, pair_data, to_hetero
from vreloc_pyg.nn import MatchConv

MATCH = Pairing(
    num_steps=5, fit="resample", nodes="match", feature_groups=((0, 2), (2, 3)), heads=("rigid", "path")
)


def graph(kind, weight="binary"):
    generator = torch.Generator().manual_seed(0)
    query, proposal = (torch.randn(count, 3, generator=generator) for count in (4, 7))
    if kind == "match":
        (made,) = MATCH.pair(query, proposal, torch.tensor([[1, 6]])).graphs()
    elif kind == "padded":
        made = pair_data(query, proposal, num_steps=6, fit="pad", target_offsets=torch.ones(2))
    else:
        made = pair_data(query, proposal)
    return MultiScaleEdges((1, 3), weight)(made)


@pytest.mark.parametrize("kind", ["plain", "padded", "match"])
@pytest.mark.parametrize("weight", ["binary", "row"])
def test_there_and_back(kind, weight):
    data = graph(kind, weight)
    hetero = to_hetero(data)
    assert hetero.validate()
    assert set(hetero.node_types) == {"query", "proposal"}
    assert len(hetero.edge_types) == 8
    again = from_hetero(hetero)
    for key in set(data.keys()) - {"match_logits"}:  # which the edges hold
        assert torch.equal(again[key], data[key]), key
    for source, edge_type, destination in hetero.edge_types:
        assert edge_type.startswith("near" if source == destination else "meets")


def test_the_convolution_is_that_of_a_heterogeneous_network():
    """What a step is told of the other clip, by two convolutions between two types of nodes."""
    data = graph("match")
    hetero = to_hetero(data)
    conv = MatchConv(data.x.size(1), 4, heads=2)
    with torch.no_grad():
        conv.lin_weight[data.x.size(1) : 2 * data.x.size(1)] = 0  # nothing of the own clip
    expected = conv(data.x, data.edge_index_k1, data.edge_attr_k1)
    between = {one: conv for one in hetero.edge_types if one[1] == "meets_k1"}
    found = HeteroConv(between)(hetero.x_dict, hetero.edge_index_dict, edge_attr_dict=hetero.edge_attr_dict)
    torch.testing.assert_close(torch.cat([found["query"], found["proposal"]]), expected)


def test_what_is_said_of_edges_holds_for_all_scales():
    data = graph("plain", "row")
    assert data.scales == (1, 3)
    assert data.num_edges == data.edge_index_k1.size(1) + data.edge_index_k3.size(1)
    assert Batch.from_data_list([data, data]).num_edges == 2 * data.num_edges
    assert data.has_self_loops()
    assert not data.is_undirected()  # the weights of a row differ from those of a column
    plain = graph("plain")
    assert plain.is_undirected()
    plain.edge_index_k3 = plain.edge_index_k3[:, 1:]
    assert plain.is_undirected()  # the first is a self-loop
    plain.edge_index_k3 = plain.edge_index_k3[:, 1:]
    assert not plain.is_undirected()
    assert pair_data(torch.ones(2, 3), torch.ones(2, 3)).num_edges == 0
    assert graph("match").is_undirected()


def test_what_is_no_pair_is_refused():
    with pytest.raises(GraphError, match="not a batch"):
        to_hetero(Batch.from_data_list([graph("plain"), graph("plain")]))
    with pytest.raises(GraphError, match="types query and proposal"):
        from_hetero(HeteroData())
