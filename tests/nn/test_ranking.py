import pytest
import torch
from torch_geometric.data import Batch

from tests.nn.small_models import assert_relevance_close, make_model, one_by_one, video
from vreloc_pyg.errors import FeatureError, GraphError
from vreloc_pyg.graphs import EDGE_WEIGHTS, MultiScaleEdges, Pairing
from vreloc_pyg.nn import folded, folded_match
from vreloc_pyg.nn.folded import pool_pairs
from vreloc_pyg.nn.folded_match import pool_matched
from vreloc_pyg.nn.ranking import refine_windows
from vreloc_pyg.systems.mgffnet.ranker import rank_windows

MIRROR = {"mirror_index": (1, 0, 2, 3, 4), "mirror_sign": (1.0, 1.0, -1.0, 1.0, 1.0)}
RELATIVE = {"fit": "resample", "nodes": "relative", "feature_groups": ((0, 3), (3, 5)), "context": 0.25}
MATCH = {**RELATIVE, "nodes": "match", "heads": ("rigid", "uniform", "path")}
PAIRINGS = {
    "pad": Pairing(num_steps=10),
    "pad mirror": Pairing(num_steps=10, **MIRROR),
    "resample mirror": Pairing(num_steps=6, fit="resample", pair_features=True, **MIRROR),
    "ragged mirror": Pairing(num_steps=None, pair_features=True, **MIRROR),
    "relative": Pairing(num_steps=6, **RELATIVE),
    "relative mirror": Pairing(num_steps=6, pair_features=True, **RELATIVE, **MIRROR),
    "match mirror": Pairing(num_steps=6, pair_features=True, **MATCH, **MIRROR),
    "match apart": Pairing(num_steps=6, **{**MATCH, "heads": ()}),
}
WINDOWS = torch.tensor([[0, 3], [4, 12], [9, 10], [2, 22], [14, 20]])


def settings_of_pairs(pairing):
    """Those of a network that follow from how its pairs are made."""
    return {
        "in_channels": pairing.node_channels(5),
        "pair_features": pairing.pair_features,
        "conv": "match" if pairing.nodes == "match" else "sum",
        "heads": pairing.heads,
    }


@pytest.fixture(scope="module")
def reference():
    """A video that shows the query and its mirror image, so that both are chosen."""
    query = video(7, 0)
    image = query[:, list(MIRROR["mirror_index"])] * torch.tensor(MIRROR["mirror_sign"])
    return torch.cat([query, image, video(10, 1)])


@pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)
@pytest.mark.parametrize("weight", ["binary", "exponential", "row"])
@pytest.mark.parametrize("mask_padding", [False, True])
@torch.no_grad()
def test_windows_score_as_their_graphs(reference, pairing, weight, mask_padding):
    """Whatever the number of windows, and into however many parts they are split."""
    model = make_model(
        **settings_of_pairs(pairing),
        weight=weight,
        mask_padding=mask_padding,
        residual=True,
    )
    query = video(7, 0)
    for count in (1, 2, 3, 5):
        windows = WINDOWS[:count]
        expected = model(Batch.from_data_list(pairing.pair(query, reference, windows).graphs()))
        for chunk in ((), (1,), (2,)):
            assert_relevance_close(rank_windows(model, pairing, query, reference, windows, *chunk), expected)


@pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)
@pytest.mark.parametrize("settings", [{}, {"residual": True, "weight": "row"}], ids=str)
@torch.no_grad()
def test_boundaries_of_windows_are_those_of_their_graphs(reference, pairing, settings):
    model = make_model(
        **settings_of_pairs(pairing),
        mask_padding=True,
        regression="boundaries",
        context=pairing.context,
        **settings,
    )
    torch.nn.init.normal_(model.regression_head.mlp[-1].weight)
    query = video(7, 0)
    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    ranked = rank_windows(model, pairing, query, reference, WINDOWS)
    assert_relevance_close(ranked, model(Batch.from_data_list(graphs)))
    assert_relevance_close(ranked, one_by_one(model, graphs))
    edges = MultiScaleEdges(model.settings.scales)
    assert_relevance_close(ranked, model(Batch.from_data_list([edges(graph) for graph in graphs])))
    assert ranked.offsets.abs().amax(0).min() > 1e-3


@pytest.mark.parametrize(
    "heads", [(), ("uniform",), ("rigid", "path"), ("path", "uniform", "rigid")], ids=str
)
@pytest.mark.parametrize(
    "settings",
    [
        {"scales": (1, 2, 3)},
        {"residual": True, "pool": "separate", "num_layers": 3, "scales": (4,)},
        {"regression": "boundaries", "mask_padding": True, "scales": (3, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("far", [1, 200])
@torch.no_grad()
def test_folded_matching_pools_as_the_literal_layers(heads, settings, far, monkeypatch):
    """Also where the edges into a node weigh so little beside others that exponentials of all vanish."""
    model = make_model(conv="match", heads=heads, **settings)
    queries, proposals = torch.randn(7, 4, 5), torch.randn(7, 6, 5)
    logits = far * torch.randn(7, len(heads), 4, 6)
    if "uniform" in heads:
        logits[:, heads.index("uniform")] = 0
    expected = model.score_clips(queries, proposals, logits=logits)
    assert_relevance_close(model.judge(pool_matched(model, queries, proposals, logits)), expected)
    monkeypatch.setattr(folded_match, "BLOCK", 2)
    monkeypatch.setattr(folded_match, "ENCODED", 3)
    assert_relevance_close(model.judge(pool_matched(model, queries, proposals, logits)), expected)
    assert expected.score.std() > 1e-3


@pytest.mark.parametrize("conv", ["match", "gatv2"])
@pytest.mark.parametrize("kind", ["still", "one step", "first group still", "second group still", "ties"])
@torch.no_grad()
def test_features_that_say_little_score_as_their_graphs(kind, conv):
    """Nothing is divided by a spread of zero; clips of one step and equal distances are pairs like others."""
    query, reference = video(1 if kind == "one step" else 7, 0), video(24, 1)
    if kind == "still":
        query, reference = torch.ones_like(query), torch.ones_like(reference)
    elif kind == "ties":  # all distances are equal, but not zero
        query, reference = torch.ones_like(query), torch.zeros_like(reference)
    elif "group" in kind:
        columns = slice(0, 3) if kind.startswith("first") else slice(3, 5)
        query[:, columns] = reference[:, columns] = 2.0
    pairing = PAIRINGS["match mirror"]
    model = make_model(**{**settings_of_pairs(pairing), "conv": conv})
    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    edges = MultiScaleEdges(model.settings.scales)
    expected = model(Batch.from_data_list([edges(graph) for graph in graphs]))
    assert torch.isfinite(expected.score).all()
    assert_relevance_close(rank_windows(model, pairing, query, reference, WINDOWS), expected)


@torch.no_grad()
def test_clips_shorter_than_a_scale_match_all_the_same():
    """Residue classes of the other clip are empty then, and tell a step nothing."""
    pairing = Pairing(num_steps=2, **MATCH)
    model = make_model(**settings_of_pairs(pairing), scales=(1, 3, 5), residual=True)
    query, reference = video(7, 0), video(24, 1)
    graphs = pairing.pair(query, reference, WINDOWS).graphs()
    ranked = rank_windows(model, pairing, query, reference, WINDOWS)
    assert_relevance_close(ranked, one_by_one(model, graphs))


@pytest.mark.parametrize("weight", list(EDGE_WEIGHTS))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"residual": True, "pool": "separate", "num_layers": 3},
        {"aggregate": False, "pool": "separate", "scales": (2,), "num_layers": 1},
        {"regression": "boundaries", "mask_padding": True, "residual": True},
        {"input_norm": True},
    ],
    ids=str,
)
@torch.no_grad()
def test_folded_layers_pool_as_the_literal_ones(weight, settings, monkeypatch):
    model = make_model(weight=weight, **settings)
    queries, proposals = torch.randn(7, 4, 5), torch.randn(7, 6, 5)
    expected = model.score_clips(queries, proposals)
    assert_relevance_close(model.judge(pool_pairs(model, queries, proposals)), expected)
    monkeypatch.setattr(folded, "BLOCK", 2)
    monkeypatch.setattr(folded, "ENCODED", 3)
    assert_relevance_close(model.judge(pool_pairs(model, queries, proposals)), expected)
    assert expected.score.std() > 1e-3


def test_folded_layers_have_gradients():
    """A caller that forgets ``no_grad`` gets the right ones."""
    model = make_model(residual=True, pool="separate")
    queries, proposals = torch.randn(2, 3, 4, 5)
    weights = list(model.parameters())
    results = [model.score_clips(queries, proposals), model.judge(pool_pairs(model, queries, proposals))]
    grads = [torch.autograd.grad(one.score.sum() + one.offsets.sum(), weights) for one in results]
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weight", list(EDGE_WEIGHTS))
@torch.no_grad()
def test_a_mask_is_what_cuts_the_proposals(weight):
    """Padded proposals with a mask score as the clips without padding."""
    model = make_model(weight=weight, mask_padding=True)
    query = video(7, 0)
    clips = [video(length, seed) for seed, length in enumerate((4, 9, 1))]
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    mask = torch.arange(9) < torch.tensor([[4], [9], [1]])
    assert_relevance_close(model.rank(query, padded, mask), model.rank(query, clips))
    literal = make_model(weight=weight, mask_padding=False)
    literal.load_state_dict(model.state_dict())
    assert_relevance_close(literal.rank(query, padded, mask), literal.rank(query, padded))
    assert_relevance_close(literal.rank(query, list(padded)), literal.rank(query, padded))
    assert not torch.allclose(literal.rank(query, padded).score, model.rank(query, clips).score, atol=1e-3)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("residual", [False, True])
@torch.no_grad()
def test_any_number_of_layers(num_layers, residual):
    model = make_model(num_layers=num_layers, residual=residual, pool="separate", scales=(2,))
    query, reference, pairing = video(7, 0), video(24, 1), Pairing(num_steps=None)
    expected = model(Batch.from_data_list(pairing.pair(query, reference, WINDOWS).graphs()))
    assert_relevance_close(rank_windows(model, pairing, query, reference, WINDOWS), expected)


@pytest.mark.parametrize(
    ("query", "proposals", "problem"),
    [
        (video(7, 0, 4), [video(9, 1)], r"the query as \[T >= 1, 5\] \(got \(7, 4\)\)"),
        (video(7, 0), [video(9, 1), video(9, 2, 4)], r"proposal 1 as \[T >= 1, 5\] \(got \(9, 4\)\)"),
        (torch.zeros(0, 5), [video(9, 1)], "the query as"),
        (video(7, 0), [torch.zeros(0, 5)], "proposal 0 as"),
        (video(7, 0)[0], [video(9, 1)], "the query as"),
        (video(7, 0), torch.zeros(2, 0, 5), "proposal 0 as"),
        (video(7, 0), [], "at least one proposal"),
        (video(7, 0) * float("nan"), [video(9, 1)], "NaN or infinite"),
        (video(7, 0), [video(9, 1), video(4, 1) / 0], "NaN or infinite"),
    ],
)
def test_refuses_impossible_features(query, proposals, problem):
    with pytest.raises(FeatureError, match=problem):
        make_model().rank(query, proposals)


def test_refuses_to_rank_without_the_pair_features_it_reads():
    with pytest.raises(GraphError, match=r"pair_features as \(1, 6\) \(got None\)"):
        make_model(pair_features=True).rank(video(7, 0), [video(9, 1)])
    with pytest.raises(GraphError, match="pair_features"):
        rank_windows(make_model(pair_features=True), Pairing(), video(7, 0), video(24, 1), WINDOWS)


def test_a_network_that_matches_refuses_what_has_no_edges():
    pairing = PAIRINGS["match mirror"]
    model = make_model(**settings_of_pairs(pairing))
    with pytest.raises(GraphError, match="give it pairs"):
        model.rank(video(7, 0, 43), [video(9, 1, 43)])
    (graph,) = pairing.pair(video(7, 0), video(24, 1), WINDOWS[:1]).graphs()
    with_edges = MultiScaleEdges(model.settings.scales)(graph)
    for name, problem in (
        ("edge_attr_k3", r"Expected edge_attr as \(\d+, 4\) \(got None\)"),
        ("edge_index_k3", "'edge_index_k3'"),
    ):
        broken = with_edges.clone()
        del broken[name]
        with pytest.raises(GraphError, match=problem):
            model(broken)
    with_edges.edge_attr_k3[0, 1] = float("nan")
    with pytest.raises(GraphError, match="edge_attr_k3 of a pair graph hold NaN"):
        model(with_edges)
    for logits, problem in (
        (graph.match_logits[:, :2], "Expected match_logits of edges as"),
        (graph.match_logits[1:], r"Expected match_logits as \[54, H\] \(got \(53, 3\)\)"),
        (graph.match_logits / 0, "match_logits of a pair graph hold NaN or infinite"),
    ):
        broken = graph.clone()
        broken.match_logits = logits
        with pytest.raises(GraphError, match=problem):
            model(broken)
    del graph.match_logits
    with pytest.raises(GraphError, match=r"match_logits of edges as \(1, 3, 6, 9\) \(got None\)"):
        model(graph)


def test_refined_windows_hand_worked():
    windows = torch.tensor([[10, 30], [0, 8], [4, 6], [38, 40]])
    offsets = torch.tensor(
        [
            [0.3, 0.6931472],  # the example of 4.7.2: back to [12, 22]
            [0.5, -0.6931472],  # [-12, 4] is cut at the start of the video
            [0.0, 3.0],  # shorter than a step: widened about its centre
            [-9.0, 0.0],  # beyond the end of the video
        ]
    )
    expected = torch.tensor([[12.0, 22.0], [0.0, 4.0], [4.5, 5.5], [39.0, 40.0]], dtype=torch.float64)
    refined = refine_windows(windows, offsets, num_steps=40)
    torch.testing.assert_close(refined, expected, rtol=0, atol=1e-5)


def test_windows_without_offsets_stay():
    assert torch.equal(refine_windows(WINDOWS, torch.zeros(5, 2), num_steps=24), WINDOWS.double())
