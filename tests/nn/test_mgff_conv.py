import pytest
import torch
from torch_geometric.data import Batch
from torch_geometric.nn import GCNConv

import vreloc_pyg.graphs.multi_scale as multi_scale
import vreloc_pyg.nn.mgff_conv as mgff_conv
from tests.nn.small_models import masked_adjacency
from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs import (
    EDGE_WEIGHTS,
    MultiScaleEdges,
    edge_weights,
    multi_scale_edge_index,
    pair_data,
    to_dense_adjacency,
)
from vreloc_pyg.nn.mgff_conv import MGFFConv

KINDS = tuple(EDGE_WEIGHTS)
SIZES = ((40, 40, 1), (40, 40, 3), (7, 12, 2), (3, 2, 5))
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")


def run(conv, x, call):
    """Output, gradient of the input and gradients of the parameters of ``call(x)`` under one loss."""
    x = x.clone().requires_grad_()
    conv.zero_grad()
    out = call(x)
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    (weight * out.tanh()).sum().backward()
    return [out.detach(), x.grad, *(parameter.grad.clone() for parameter in conv.parameters())]


def assert_all_close(results, expected):
    for result, reference in zip(results, expected, strict=True):
        scale = max(1.0, reference.abs().max().item())
        assert (result - reference).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("num_query", "num_proposal", "k"), SIZES)
@pytest.mark.parametrize(("in_channels", "out_channels"), [(9, 5), (5, 9)])
def test_four_ways_give_the_same(kind, num_query, num_proposal, k, in_channels, out_channels):
    num_graphs, num_nodes = 3, num_query + num_proposal
    conv = MGFFConv(in_channels, out_channels, weight=kind, scale=k, bandwidth=11.0)
    x = torch.randn(num_graphs, num_nodes, in_channels)
    dense = to_dense_adjacency(num_query, num_proposal, k, kind, 11.0)
    batch = Batch.from_data_list(
        [MultiScaleEdges((k,), kind, 11.0)(pair_data(nodes[:num_query], nodes[num_query:])) for nodes in x]
    )
    edge_index, edge_weight = batch[f"edge_index_k{k}"], batch.get(f"edge_weight_k{k}")
    csr = torch.block_diag(*[dense] * num_graphs).to_sparse_csr()

    def flat(convolve):
        return lambda x: convolve(x.flatten(0, 1)).view(num_graphs, num_nodes, -1)

    expected = run(conv, x, lambda x: dense @ (x @ conv.lin_weight))
    for call in (
        flat(lambda x: conv(x, edge_index, edge_weight)),
        flat(lambda x: conv(x, csr)),
        lambda x: conv(x, dense),
        lambda x: conv(x, dense.expand(num_graphs, -1, -1)),
        lambda x: conv.closed_form(x, num_query, num_proposal),
    ):
        assert_all_close(run(conv, x, call), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_nodes_are_as_if_removed(kind):
    """Degrees are those of the graph without the masked nodes; the rest of the graph does not move."""
    num_query, num_proposal, k = 6, 8, 2
    conv = MGFFConv(4, 4, weight=kind, scale=k, bandwidth=5.0)
    x = torch.randn(2, num_query + num_proposal, 4)
    mask = torch.rand(2, num_query + num_proposal) < 0.6
    mask[:, 0] = True
    dense = masked_adjacency(mask, num_query, num_proposal, k, kind, 5.0)
    expected = run(conv, x, lambda x: conv(x, dense))
    assert_all_close(run(conv, x, lambda x: conv.closed_form(x, num_query, num_proposal, mask)), expected)
    assert (expected[0][~mask] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_equals_pyg_gcn(kind):
    edge_index = multi_scale_edge_index(5, 9, 2)
    weights = edge_weights(edge_index, 5, kind)
    gcn = GCNConv(6, 3, bias=False, normalize=False, add_self_loops=False)
    conv = MGFFConv(6, 3, weight=kind, scale=2)
    with torch.no_grad():
        conv.lin_weight.copy_(gcn.lin.weight.t())
    x = torch.randn(14, 6)
    torch.testing.assert_close(conv(x, edge_index, weights), gcn(x, edge_index, weights))


def test_csr_takes_the_fused_path(monkeypatch):
    conv = MGFFConv(2, 2)
    monkeypatch.setattr(conv, "message", None)
    adjacency = to_dense_adjacency(3, 3, 1)
    x = torch.randn(6, 2)
    torch.testing.assert_close(conv(x, adjacency.to_sparse_csr()), conv(x, adjacency))


@pytest.mark.parametrize(("in_channels", "out_channels", "width"), [(9, 5, 5), (5, 9, 5), (5, 5, 5)])
def test_aggregates_the_narrower_side(monkeypatch, in_channels, out_channels, width):
    seen = []
    product = mgff_conv.multi_scale_product

    def spy(x, *args):
        seen.append(x.size(-1))
        return product(x, *args)

    monkeypatch.setattr(mgff_conv, "multi_scale_product", spy)
    MGFFConv(in_channels, out_channels).closed_form(torch.randn(1, 4, in_channels), 2, 2)
    assert seen == [width]


def test_reset_draws_other_weights():
    conv = MGFFConv(3, 4)
    before = conv.lin_weight.clone()
    conv.reset_parameters()
    assert not torch.equal(conv.lin_weight, before)


def test_repr():
    conv = MGFFConv(3, 4, weight="exponential", scale=2, bandwidth=8.0)
    assert repr(conv) == "MGFFConv(3, 4, weight='exponential', scale=2, bandwidth=8.0)"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [({"weight": "cosine"}, "'cosine'"), ({"scale": 0}, "k >= 1"), ({"bandwidth": 0.0}, "bandwidth")],
)
def test_settings_that_are_refused(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        MGFFConv(3, 4, **settings)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"binary"}))
def test_missing_weights_are_not_taken_for_ones(kind):
    conv = MGFFConv(3, 4, weight=kind)
    with pytest.raises(GraphError, match=f"edge_weight with weight='{kind}'"):
        conv(torch.randn(5, 3), multi_scale_edge_index(2, 3, 1))


def test_inputs_that_are_refused():
    conv = MGFFConv(3, 4)
    adjacency = to_dense_adjacency(2, 3, 1)
    for matrix in (adjacency, adjacency.to_sparse_csr()):
        with pytest.raises(GraphError, match="edge_weight=None with a matrix"):
            conv(torch.randn(5, 3), matrix, torch.ones(25))
    with pytest.raises(FeatureError, match=r"\[\.\.\., 3\] \(got \(5, 7\)\)"):
        conv(torch.randn(5, 7), adjacency)
    for kind in KINDS:
        conv = MGFFConv(3, 4, weight=kind)
        with pytest.raises(FeatureError, match=r"got \(1, 5, 7\)"):
            conv.closed_form(torch.randn(1, 5, 7), 2, 3)
        with pytest.raises(GraphError, match=r"x as \[\.\.\., 6, d\]"):
            conv.closed_form(torch.randn(1, 5, 3), 3, 3)
        with pytest.raises(GraphError, match="mask as bool"):
            conv.closed_form(torch.randn(1, 5, 3), 2, 3, torch.ones(1, 5))
        with pytest.raises(GraphError, match="num_query >= 1"):
            conv.closed_form(torch.randn(1, 5, 3), 0, 5)


@pytest.mark.filterwarnings("ignore")
def test_compiles_without_graph_breaks():
    conv = MGFFConv(4, 3)
    compiled = torch.compile(conv, backend="aot_eager", dynamic=True, fullgraph=True)
    for num_query, num_proposal in ((3, 4), (6, 2), (5, 5)):
        edge_index = multi_scale_edge_index(num_query, num_proposal, 2)
        x = torch.randn(num_query + num_proposal, 4)
        expected = run(conv, x, lambda x, edges=edge_index: conv(x, edges))
        assert_all_close(run(conv, x, lambda x, edges=edge_index: compiled(x, edges)), expected)


@pytest.mark.filterwarnings("ignore")
def test_closed_form_compiles_without_graph_breaks():
    conv = MGFFConv(4, 3, weight="row", scale=2)
    compiled = torch.compile(conv.closed_form, backend="aot_eager", dynamic=False, fullgraph=True)
    x = torch.randn(2, 9, 4)
    expected = run(conv, x, lambda x: conv.closed_form(x, 4, 5))
    assert_all_close(run(conv, x, lambda x: compiled(x, 4, 5)), expected)


@pytest.mark.parametrize("weight", KINDS)
def test_validation_before_training_does_no_harm(weight):
    """A trainer may validate in inference mode; what is kept from there must serve gradients too."""
    multi_scale._positional.cache_clear()
    conv, x = MGFFConv(4, 4, weight), torch.randn(2, 9, 4, requires_grad=True)
    with torch.inference_mode():
        expected = conv.closed_form(x, 4, 5).clone()
    out = conv.closed_form(x, 4, 5)
    out.sum().backward()
    torch.testing.assert_close(out.detach(), expected)
