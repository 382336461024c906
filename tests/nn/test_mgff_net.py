import copy
import itertools

import pytest
import torch
from torch_geometric.data import Batch

from tests.nn.small_models import assert_relevance_close, make_model, one_by_one, video
from vreloc_pyg.errors import FeatureError, GraphError
from vreloc_pyg.graphs import EDGE_WEIGHTS, MultiScaleEdges, Pairing, pair_data, to_dense_adjacency
from vreloc_pyg.nn import MGFFNet, Relevance
from vreloc_pyg.systems.mgffnet.ranker import rank_windows

every_weight = pytest.mark.parametrize("weight", list(EDGE_WEIGHTS))
PAIRINGS = {
    "pad": Pairing(num_steps=10, fit="pad"),
    "fixed": Pairing(num_steps=6, fit="resample"),
    "ragged": Pairing(num_steps=None),
}
WINDOWS = torch.tensor([[0, 3], [9, 10], [2, 22]])


def all_settings():
    names = ("residual", "input_norm", "mask_padding")
    for pool in ("all", "separate"):
        for values in itertools.product([False, True], repeat=len(names)):
            yield {"pool": pool, **dict(zip(names, values, strict=True))}
    yield {"aggregate": False, "mask_padding": True, "residual": True}


@every_weight
@pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)
def test_all_ways_to_score_agree(weight, pairing):
    """A batch, single graphs, edge sets, and the ranking that shares the query."""
    query, reference = video(7, 0), video(24, 1)
    spreads = []
    for settings in all_settings():
        model = make_model(weight=weight, **settings)
        edges = MultiScaleEdges(model.settings.scales, weight, mask_padding=settings["mask_padding"])
        graphs = pairing.pair(query, reference, WINDOWS).graphs()
        with torch.no_grad():
            expected = model(Batch.from_data_list(graphs))
            spreads.append(float(expected.offsets.std(0).max()))
            assert_relevance_close(one_by_one(model, graphs), expected)
            with_edges = Batch.from_data_list([edges(copy.copy(graph)) for graph in graphs])
            assert_relevance_close(model(with_edges), expected)
            assert_relevance_close(rank_windows(model, pairing, query, reference, WINDOWS), expected)
    assert sorted(spreads)[4] > 1e-2  # else equal answers would prove little


@every_weight
def test_queries_of_different_lengths_make_a_batch(weight):
    model = make_model(weight=weight, num_layers=3)
    graphs = [
        pair_data(video(num_query, 0), video(num_proposal, 1))
        for num_query, num_proposal in [(3, 9), (8, 2), (1, 1), (5, 5)]
    ]
    with torch.no_grad():
        expected = one_by_one(model, graphs)
        assert_relevance_close(model(Batch.from_data_list(graphs)), expected)
        edges = MultiScaleEdges(model.settings.scales, weight)
        assert_relevance_close(model(Batch.from_data_list([edges(graph) for graph in graphs])), expected)


def by_the_paper(model, query, proposal):
    """Score and offsets of one pair in eval mode, written as in section 4."""
    query, proposal = query.unsqueeze(0), proposal.unsqueeze(0)
    (nodes,) = torch.cat([model.query_encoder.lstm(query)[0], model.proposal_encoder.lstm(proposal)[0]], 1)
    lengths = query.size(1), proposal.size(1)
    for layer in model.layers:
        projected = layer.project(nodes)
        branches = [
            torch.tanh(to_dense_adjacency(*lengths, conv.scale) @ projected @ conv.lin_weight)
            for conv in layer.convs
        ]
        nodes = layer.fuse(torch.cat(branches, dim=1))
    pooled = nodes.mean(0, keepdim=True)
    return torch.tanh(model.score_head.mlp(pooled)).squeeze(1), model.regression_head.mlp(pooled)


@pytest.mark.parametrize("lengths", [(7, 9), (1, 1), (1, 6), (3, 2)])
def test_equals_the_equations_of_the_paper(lengths):
    model = make_model(scales=(1, 3, 8))  # 8 reaches over both clips
    query, proposal = video(lengths[0], 0), video(lengths[1], 1)
    expected = Relevance(*by_the_paper(model, query, proposal))
    assert_relevance_close(model(pair_data(query, proposal)), expected)
    assert_relevance_close(model.rank(query, [proposal]), expected)


def test_features_are_normalised_and_cut_at_four():
    model, plain = make_model(input_norm=True), make_model()
    plain.load_state_dict(model.state_dict(), strict=False)
    clips = 5 * video(7, 0), 5 * video(9, 1)
    mean, variance = model.input_norm.running_mean, model.input_norm.running_var
    normal = [((clip - mean) / (variance + 1e-5).sqrt()) for clip in clips]
    assert max(clip.abs().max() for clip in normal) > 6
    expected = plain(pair_data(*[clip.clamp(-4, 4) for clip in normal]))
    assert_relevance_close(model(pair_data(*clips)), expected)
    assert_relevance_close(model.rank(clips[0], [clips[1]]), expected)


@every_weight
@pytest.mark.parametrize("pool", ["all", "separate"])
def test_masked_padding_is_no_part_of_the_graph(weight, pool):
    """With it a padded pair scores as the pair without padding, except for the size of node numbers."""
    bandwidth = 1e4 if weight == "exponential" else None
    model = make_model(weight=weight, bandwidth=bandwidth, mask_padding=True, pool=pool)
    query, proposal = video(4, 0), video(7, 1)
    padded = pair_data(query, proposal, num_steps=11, fit="pad")
    assert_relevance_close(model(padded), model(pair_data(query, proposal)), tolerance=1e-4)
    literal = make_model(weight=weight, bandwidth=bandwidth, mask_padding=False, pool=pool)
    literal.load_state_dict(model.state_dict())
    assert not torch.allclose(literal(padded).score, model(padded).score, atol=1e-4)


@pytest.mark.parametrize("mask_padding", [False, True])
@every_weight
def test_weights_of_a_graph_count(weight, mask_padding):
    """As they are given, whatever the kind, and with or without a mask."""
    model = make_model(weight=weight, mask_padding=mask_padding)
    graph = pair_data(video(4, 0), video(7, 1), num_steps=11, fit="pad")
    given = MultiScaleEdges(model.settings.scales, weight, mask_padding=mask_padding)(graph)
    assert_relevance_close(model(given), model(graph))
    weights = given.get("edge_weight_k1", torch.ones(given.edge_index_k1.size(1)))
    none, double = given.clone(), given.clone()
    none.edge_weight_k1, double.edge_weight_k1 = 0 * weights, 2 * weights
    assert (model(none).offsets - model(given).offsets).abs().max() > 1e-3
    assert (model(double).offsets - model(given).offsets).abs().max() > 1e-3
    without = given.clone()
    without.edge_index_k1, without.edge_weight_k1 = given.edge_index_k1[:, :0], weights[:0]
    assert_relevance_close(model(none), model(without))


def test_training_and_eval_return_the_same_kind():
    model = MGFFNet(in_channels=5, hidden_channels=6)
    batch = Batch.from_data_list([pair_data(video(6, i), video(8, i + 9)) for i in range(3)])
    for mode in (True, False):
        relevance = model.train(mode)(batch)
        assert type(relevance) is Relevance
        assert [tuple(part.shape) for part in relevance] == [(3,), (3, 2)]


def test_dropout_works_in_training_only():
    graph = pair_data(video(6, 0), video(8, 1))
    model = make_model(dropout=0.5)
    assert torch.equal(model(graph).score, model(graph).score)
    model.query_encoder.train()
    model.proposal_encoder.train()
    assert not torch.equal(model(graph).score, model(graph).score)


def test_every_parameter_gets_a_gradient():
    model = MGFFNet(
        in_channels=5, hidden_channels=6, input_norm=True, residual=True, pool="separate", pair_features=True
    ).train()
    pairing = Pairing(num_steps=None, pair_features=True)
    graphs = pairing.pair(video(7, 0), video(24, 1), WINDOWS).graphs()
    score, offsets = model(Batch.from_data_list(graphs))
    (score.square().sum() + offsets.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_inputs_are_not_changed():
    model = make_model(input_norm=True, residual=True)
    graph = MultiScaleEdges(model.settings.scales)(pair_data(video(6, 0), video(8, 1)))
    before = graph.clone()
    model(graph)
    assert set(graph.keys()) == set(before.keys())
    for name in before.keys():  # noqa: SIM118 - a Data iterates over pairs
        assert torch.equal(graph[name], before[name])


def test_the_papers_network_is_as_large_as_the_paper_says():
    model = MGFFNet()
    total = sum(parameter.numel() for parameter in model.parameters())
    assert 7.5e6 < total < 7.7e6
    d = 500
    lstm = 4 * d * (d + d) + 8 * d
    layer = (d * d + d) + 3 * d * d + (3 * d * d + d)
    head = (d * 128 + 128) + 2 * 128 + (128 * 32 + 32) + 2 * 32
    assert total == 2 * lstm + 2 * layer + 2 * head + (32 + 1) + (2 * 32 + 2)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert shapes["query_encoder.lstm.weight_ih_l0"] == (2000, 500)
    assert shapes["layers.1.project.weight"] == (500, 500)
    assert shapes["layers.1.convs.2.lin_weight"] == (500, 500)
    assert shapes["layers.1.fuse.weight"] == (500, 1500)
    assert shapes["score_head.mlp.0.weight"] == (128, 500)
    assert shapes["score_head.mlp.6.weight"] == (1, 32)
    assert shapes["regression_head.mlp.6.weight"] == (2, 32)


def test_the_papers_graph_has_80_nodes_and_is_pooled_to_one_row():
    model = MGFFNet(hidden_channels=12, in_channels=5).eval()
    pairs = Pairing().pair(video(7, 0), video(90, 1), torch.tensor([[0, 12], [3, 80]]))
    batch = Batch.from_data_list(pairs.graphs())
    assert batch.x.shape == (2 * 80, 5)
    assert model.pool(batch).graph.shape == (2, 12)


def test_refuses_features_of_another_width_or_not_finite():
    graph = pair_data(video(6, 0), video(8, 1))
    graph.x[3, 2] = float("nan")
    with pytest.raises(FeatureError, match="NaN or infinite"):
        make_model()(graph)
    graph.x = torch.zeros(14, 4)
    with pytest.raises(FeatureError, match=r"width in_channels = 5 \(got 4\)"):
        make_model()(graph)


@pytest.mark.parametrize("missing", ["x", "num_query", "num_proposal", "edge_index_k1", "edge_index_k3"])
def test_refuses_a_graph_that_lacks_something(missing):
    graph = MultiScaleEdges((1, 3))(pair_data(video(6, 0), video(8, 1)))
    del graph[missing]
    with pytest.raises(GraphError, match=f"'{missing}'"):
        make_model()(graph)


def test_refuses_exponential_weights_without_weights():
    graph = MultiScaleEdges((1, 3))(pair_data(video(6, 0), video(8, 1)))
    with pytest.raises(GraphError, match="'edge_weight_k1' for exponential weights"):
        make_model(weight="exponential")(graph)


@pytest.mark.parametrize("shape", [None, (1, 5), (2, 6), (6,)])
def test_refuses_graphs_without_their_pair_features(shape):
    graph = pair_data(video(6, 0), video(8, 1))
    if shape is not None:
        graph.pair_features = torch.zeros(shape)
    with pytest.raises(GraphError, match=r"pair_features as \(1, 6\) \(got .*Pairing"):
        make_model(pair_features=True)(graph)


def test_pair_features_that_are_not_read_do_not_matter():
    model, graph = make_model(), pair_data(video(6, 0), video(8, 1))
    expected = model(graph).score
    graph.pair_features = torch.randn(1, 6)
    assert torch.equal(model(graph).score, expected)
