import copy
import itertools

import pytest
import torch
from torch_geometric.data import Batch

from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs import MultiScaleEdges, Pairing, pair_data, to_dense_adjacency
from vreloc_pyg.nn import MGFFNet, Relevance, rank_windows

WEIGHTS = ["binary", "exponential", "laplacian", "row"]
every_weight = pytest.mark.parametrize("weight", WEIGHTS)
PAIRINGS = {
    "pad": Pairing(num_steps=10, fit="pad"),
    "fixed": Pairing(num_steps=6, fit="resample"),
    "ragged": Pairing(num_steps=None),
}
WINDOWS = torch.tensor([[0, 3], [9, 10], [2, 22]])


def video(num_steps, seed):
    return torch.randn(num_steps, 5, generator=torch.Generator().manual_seed(seed))


def all_settings():
    names = ("residual", "input_norm", "mask_padding")
    for pool in ("all", "separate"):
        for values in itertools.product([False, True], repeat=len(names)):
            yield {"pool": pool, **dict(zip(names, values, strict=True))}


@every_weight
@pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)
def test_all_ways_to_score_agree(make_model, assert_relevance_close, weight, pairing):
    """A batch, single graphs, edge sets, and the ranking that shares the query."""
    query, reference = video(7, 0), video(24, 1)
    spreads = []
    for settings in all_settings():
        model = make_model(weight=weight, **settings)
        edges = MultiScaleEdges(model.settings.scales, weight)
        graphs = pairing.pair(query, reference, WINDOWS).graphs()
        with torch.no_grad():
            expected = model(Batch.from_data_list(graphs))
            assert expected.score.shape == (3,)
            assert expected.offsets.shape == (3, 2)
            spreads.append(float(expected.offsets.std(0).max()))
            singles = [model(graph) for graph in graphs]
            assert_relevance_close(
                Relevance(*(torch.cat(part) for part in zip(*singles, strict=True))), expected
            )
            with_edges = Batch.from_data_list([edges(copy.copy(graph)) for graph in graphs])
            assert_relevance_close(model(with_edges), expected)
            assert_relevance_close(rank_windows(model, pairing, query, reference, WINDOWS), expected)
    assert sorted(spreads)[4] > 1e-2  # else equal answers would prove little


@every_weight
def test_queries_of_different_lengths_make_a_batch(make_model, assert_relevance_close, weight):
    model = make_model(weight=weight, num_layers=3)
    graphs = [
        pair_data(video(num_query, 0), video(num_proposal, 1))
        for num_query, num_proposal in [(3, 9), (8, 2), (1, 1), (5, 5)]
    ]
    with torch.no_grad():
        expected = [model(graph) for graph in graphs]
        expected = Relevance(*(torch.cat(part) for part in zip(*expected, strict=True)))
        assert_relevance_close(model(Batch.from_data_list(graphs)), expected)
        edges = MultiScaleEdges(model.settings.scales, weight)
        assert_relevance_close(model(Batch.from_data_list([edges(graph) for graph in graphs])), expected)


def by_the_paper(model, query, proposal):
    """Score and offsets of one pair in eval mode, written as in section 4."""
    query, proposal = query.unsqueeze(0), proposal.unsqueeze(0)
    nodes = torch.cat([model.query_encoder.lstm(query)[0], model.proposal_encoder.lstm(proposal)[0]], dim=1)[
        0
    ]
    for layer in model.layers:
        projected = layer.project(nodes)
        branches = [
            torch.tanh(
                to_dense_adjacency(query.size(1), proposal.size(1), conv.scale) @ projected @ conv.lin_weight
            )
            for conv in layer.convs
        ]
        nodes = layer.fuse(torch.cat(branches, dim=1))
    pooled = nodes.mean(0, keepdim=True)
    return torch.tanh(model.score_head.mlp(pooled)).squeeze(1), model.regression_head.mlp(pooled)


@pytest.mark.parametrize("lengths", [(7, 9), (1, 1), (1, 6), (3, 2)])
def test_equals_the_equations_of_the_paper(make_model, assert_relevance_close, lengths):
    model = make_model(scales=(1, 3, 8))  # 8 reaches over both clips
    query, proposal = video(lengths[0], 0), video(lengths[1], 1)
    expected = Relevance(*by_the_paper(model, query, proposal))
    assert_relevance_close(model(pair_data(query, proposal)), expected)
    assert_relevance_close(model.rank(query, [proposal]), expected)


def test_features_are_normalised_and_cut_at_four(make_model, assert_relevance_close):
    model, plain = make_model(input_norm=True), make_model()
    plain.load_state_dict(model.state_dict(), strict=False)
    clips = 5 * video(7, 0), 5 * video(9, 1)
    mean, variance = model.input_norm.running_mean, model.input_norm.running_var
    normal = [((clip - mean) / (variance + 1e-5).sqrt()) for clip in clips]
    assert max(clip.abs().max() for clip in normal) > 6
    expected = plain(pair_data(*[clip.clamp(-4, 4) for clip in normal]))
    assert_relevance_close(model(pair_data(*clips)), expected)
    assert_relevance_close(model.rank(clips[0], [clips[1]]), expected)


def test_the_graph_matters(make_model):
    model = make_model()
    graph = pair_data(video(7, 0), video(9, 1))
    ablated = make_model(aggregate=False)
    ablated.load_state_dict(model.state_dict())
    assert not torch.allclose(model(graph).score, ablated(graph).score, atol=1e-4)


@pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)
def test_without_aggregation_all_ways_agree_too(make_model, assert_relevance_close, pairing):
    model = make_model(aggregate=False, mask_padding=True, residual=True)
    query, reference = video(7, 0), video(24, 1)
    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    with torch.no_grad():
        expected = model(Batch.from_data_list(graphs))
        edges = MultiScaleEdges(model.settings.scales)
        assert_relevance_close(model(Batch.from_data_list([edges(graph) for graph in graphs])), expected)
        assert_relevance_close(rank_windows(model, pairing, query, reference, WINDOWS), expected)


@every_weight
@pytest.mark.parametrize("pool", ["all", "separate"])
def test_masked_padding_is_no_part_of_the_graph(make_model, assert_relevance_close, weight, pool):
    """With it a padded pair scores as the pair without padding, except for the size of node numbers."""
    bandwidth = 1e4 if weight == "exponential" else None
    model = make_model(weight=weight, bandwidth=bandwidth, mask_padding=True, pool=pool)
    query, proposal = video(4, 0), video(7, 1)
    padded = pair_data(query, proposal, num_steps=11, fit="pad")
    assert_relevance_close(model(padded), model(pair_data(query, proposal)), tolerance=1e-4)
    literal = make_model(weight=weight, bandwidth=bandwidth, mask_padding=False, pool=pool)
    literal.load_state_dict(model.state_dict())
    assert not torch.allclose(literal(padded).score, model(padded).score, atol=1e-4)


def test_training_and_eval_return_the_same_kind():
    model = MGFFNet(in_channels=5, hidden_channels=6)
    batch = Batch.from_data_list([pair_data(video(6, i), video(8, i + 9)) for i in range(3)])
    for mode in (True, False):
        relevance = model.train(mode)(batch)
        assert type(relevance) is Relevance
        assert relevance._fields == ("score", "offsets")
        assert relevance.score.shape == (3,)
        assert relevance.offsets.shape == (3, 2)


def test_dropout_works_in_training_only(make_model):
    graph = pair_data(video(6, 0), video(8, 1))
    model = make_model(dropout=0.5)
    assert torch.equal(model(graph).score, model(graph).score)
    model.query_encoder.train()
    model.proposal_encoder.train()
    assert not torch.equal(model(graph).score, model(graph).score)


def test_scores_lie_within_one(make_model):
    model = make_model(score_gain=50.0)
    query, reference = 30 * video(7, 0), 30 * video(40, 1)
    windows = torch.tensor([[start, start + 9] for start in range(30)])
    scores = rank_windows(model, Pairing(), query, reference, windows).score
    assert scores.abs().max() <= 1
    assert scores.abs().max() > 0.9


def test_every_parameter_gets_a_gradient():
    model = MGFFNet(5, 6, input_norm=True, residual=True, pool="separate", pair_features=True).train()
    pairing = Pairing(num_steps=None, pair_features=True)
    graphs = pairing.pair(video(7, 0), video(24, 1), WINDOWS).graphs()
    score, offsets = model(Batch.from_data_list(graphs))
    (score.square().sum() + offsets.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_gradients_through_ranking_are_those_through_graphs(make_model):
    model = make_model(weight="row")
    query, reference = video(7, 0), video(24, 1)
    pairing = PAIRINGS["ragged"]

    def gradients(relevance):
        return torch.autograd.grad(relevance.score.sum() + relevance.offsets.sum(), list(model.parameters()))

    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    expected = gradients(model(Batch.from_data_list(graphs)))
    clips = [reference[start:end] for start, end in WINDOWS.tolist()]
    for one, other in zip(gradients(model.rank(query, clips)), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_inputs_are_not_changed(make_model):
    model = make_model(input_norm=True, residual=True)
    graph = MultiScaleEdges(model.settings.scales)(pair_data(video(6, 0), video(8, 1)))
    before = graph.clone()
    model(graph)
    assert set(graph.keys()) == set(before.keys())
    for name in before.keys():  # noqa: SIM118 - a Data iterates over pairs
        assert torch.equal(graph[name], before[name])


def test_the_paper_preset_is_as_large_as_the_paper_says():
    model = MGFFNet.from_preset("paper")
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
    model = MGFFNet.from_preset("paper", hidden_channels=12, in_channels=5).eval()
    pairs = Pairing().pair(video(7, 0), video(90, 1), torch.tensor([[0, 12], [3, 80]]))
    batch = Batch.from_data_list(pairs.graphs())
    assert batch.x.shape == (2 * 80, 5)
    assert model.pool(batch).graph.shape == (2, 12)


def test_presets_take_single_settings():
    model = MGFFNet.from_preset("recommended", in_channels=9, scales=[2, 5])
    assert model.settings.in_channels == 9
    assert model.settings.scales == (2, 5)
    assert model.settings.weight == "row"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"hidden_channels": 0}, "hidden_channels"),
        ({"num_layers": 0}, "num_layers"),
        ({"scales": (1, 1)}, "scales"),
        ({"weight": "gaussian"}, "weight to be one of .*'gaussian'"),
        ({"pool": "max"}, "pool to be .*'max'"),
        ({"bandwidth": -1.0}, "bandwidth"),
    ],
)
def test_refuses_impossible_settings(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        MGFFNet(in_channels=5, **settings)


def test_refuses_unknown_presets_and_settings():
    with pytest.raises(SettingsError, match="Unknown preset 'small'; known are paper, recommended"):
        MGFFNet.from_preset("small")
    with pytest.raises(
        SettingsError, match=r"Unknown setting 'hiden_channels'.*known are in_channels, hidden"
    ):
        MGFFNet.from_preset("paper", hiden_channels=3)
    with pytest.raises(TypeError, match="hiden_channels"):
        MGFFNet(hiden_channels=3)


def test_refuses_features_of_another_width(make_model):
    graph = pair_data(torch.randn(6, 4), torch.randn(8, 4))
    with pytest.raises(FeatureError, match=r"width in_channels = 5 \(got 4\)"):
        make_model()(graph)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_features_that_are_not_finite(make_model, value):
    graph = pair_data(video(6, 0), video(8, 1))
    graph.x[3, 2] = value
    with pytest.raises(FeatureError, match="NaN or infinite"):
        make_model()(graph)


@pytest.mark.parametrize("missing", ["x", "num_query", "num_proposal"])
def test_refuses_a_graph_that_lacks_something(make_model, missing):
    graph = pair_data(video(6, 0), video(8, 1))
    del graph[missing]
    with pytest.raises(GraphError, match=f"'{missing}'"):
        make_model()(graph)


@pytest.mark.parametrize("missing", [1, 3])
def test_refuses_a_graph_that_lacks_one_edge_set(make_model, missing):
    graph = MultiScaleEdges((1, 3))(pair_data(video(6, 0), video(8, 1)))
    del graph[f"edge_index_k{missing}"]
    with pytest.raises(GraphError, match=f"'edge_index_k{missing}'"):
        make_model()(graph)


def test_refuses_exponential_weights_without_weights(make_model):
    graph = MultiScaleEdges((1, 3))(pair_data(video(6, 0), video(8, 1)))
    with pytest.raises(GraphError, match="'edge_weight_k1' for exponential weights"):
        make_model(weight="exponential")(graph)


@pytest.mark.parametrize("shape", [None, (1, 5), (2, 6), (6,)])
def test_refuses_graphs_without_their_pair_features(make_model, shape):
    graph = pair_data(video(6, 0), video(8, 1))
    if shape is not None:
        graph.pair_features = torch.zeros(shape)
    with pytest.raises(GraphError, match=r"pair_features as \(1, 6\) \(got .*Pairing"):
        make_model(pair_features=True)(graph)


def test_pair_features_that_are_not_read_do_not_matter(make_model):
    model, graph = make_model(), pair_data(video(6, 0), video(8, 1))
    expected = model(graph).score
    graph.pair_features = torch.randn(1, 6)
    assert torch.equal(model(graph).score, expected)
