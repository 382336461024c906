import copy
import math

import pytest
import torch
from torch_geometric.nn import GATConv, SAGEConv
from torch_geometric.utils import subgraph

from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs import (
    multi_scale_edge_index,
    to_dense_adjacency,
)
from vreloc_pyg.nn import MGFFLayer, MGFFNet
from vreloc_pyg.nn.branches import GATBranch, SAGEBranch, _apart

BRANCHES = {"gat": GATBranch, "sage": SAGEBranch}
every_branch = pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
every_conv = pytest.mark.parametrize("conv", BRANCHES)
every_scale = pytest.mark.parametrize("k", [1, 2, 3])


def of_pyg(branch):
    """PyG's own convolution with the parameters of a branch."""
    if isinstance(branch, GATBranch):
        conv = GATConv(
            branch.in_channels, branch.out_channels, add_self_loops=False, bias=branch.bias is not None
        )
    else:
        conv = SAGEConv(branch.in_channels, branch.out_channels, bias=branch.lin_l.bias is not None)
    conv.load_state_dict(branch.state_dict())
    return conv


def filled(branch):
    """A branch whose biases are not zero and whose attention is not flat."""
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.normal_()
    return branch


def by_hand(branch, x, adjacency):
    """The equations of both papers for one graph ``x [N, d]``, by loops over nodes; without bias."""
    rows = []
    for i in range(len(x)):
        neighbours = adjacency[i].nonzero().flatten().tolist()
        if isinstance(branch, SAGEBranch):
            mean = sum(x[j] for j in neighbours) / len(neighbours)
            rows.append(branch.lin_l.weight @ mean + branch.lin_r.weight @ x[i])
            continue
        own = branch.lin.weight @ x[i]
        others = [branch.lin.weight @ x[j] for j in neighbours]
        scores = [
            float(branch.att_dst.flatten() @ own + branch.att_src.flatten() @ other) for other in others
        ]
        powers = [math.exp(score if score > 0 else 0.2 * score) for score in scores]
        rows.append(sum(power * other for power, other in zip(powers, others, strict=True)) / sum(powers))
    return torch.stack(rows)


@every_branch
@every_scale
@pytest.mark.parametrize("lengths", [(5, 8), (1, 1), (1, 7), (6, 2)])
@torch.no_grad()
def test_equals_the_equation_of_its_paper(branch, k, lengths):
    conv = filled(branch(4, 3, scale=k))
    x = torch.randn(2, sum(lengths), 4)
    expected = torch.stack([by_hand(conv, graph, to_dense_adjacency(*lengths, k)) for graph in x])
    torch.testing.assert_close(conv.closed_form(x, *lengths), expected, rtol=1e-5, atol=1e-5)
    for graph, rows in zip(x, expected, strict=True):
        out = conv(graph, multi_scale_edge_index(*lengths, k))
        torch.testing.assert_close(out, rows, rtol=1e-5, atol=1e-5)


@every_branch
@every_scale
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("lengths", [(16, 16), (7, 12), (40, 3)])
def test_both_ways_equal_pygs_convolution(branch, k, bias, lengths):
    """Values and gradients, over the edges of a batch and without edges."""
    conv = filled(branch(6, 6, scale=k, bias=bias))
    pyg = of_pyg(conv)
    x = torch.randn(3, sum(lengths), 6, requires_grad=True)
    edge_index = multi_scale_edge_index(*lengths, k)
    edge_index = torch.cat([edge_index + graph * sum(lengths) for graph in range(3)], dim=1)
    ways = [
        (pyg, pyg(x.flatten(0, 1), edge_index)),
        (conv, conv(x.flatten(0, 1), edge_index)),
        (conv, conv.closed_form(x, *lengths).flatten(0, 1)),
    ]
    probe = torch.randn(3 * sum(lengths), 6)
    results = [
        [out, *torch.autograd.grad((out * probe).mean(), [x, *module.parameters()])] for module, out in ways
    ]
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@every_branch
@every_scale
def test_masked_nodes_send_nothing_and_do_not_count(branch, k):
    """Both ways: what takes part gets what it would get in the graph without the others."""
    conv = filled(branch(4, 4, scale=k, bias=True))
    pyg = of_pyg(conv)
    x = torch.randn(3, 9, 4, requires_grad=True)
    mask = torch.tensor(
        [
            [True, True, True, False, True, True, True, True, False],
            [True, False, False, False, True, False, False, False, False],
            [False, True, False, True, False, False, True, False, True],
        ]
    )
    edge_index = multi_scale_edge_index(4, 5, k)
    kept = [subgraph(keep, edge_index)[0] for keep in mask]
    expected = torch.stack([pyg(graph, edges) for graph, edges in zip(x, kept, strict=True)])
    masked = conv.closed_form(x, 4, 5, mask)
    torch.testing.assert_close(masked, expected, rtol=1e-5, atol=1e-5)
    for graph, keep, rows in zip(x, mask, masked, strict=True):
        edges, _ = subgraph(keep, edge_index, relabel_nodes=True)
        torch.testing.assert_close(rows[keep], conv(graph[keep], edges), rtol=1e-5, atol=1e-5)

    # Neither values nor gradients of the others reach those that take part.
    other = torch.where(mask.unsqueeze(-1), x, 1e4)
    torch.testing.assert_close(conv.closed_form(other, 4, 5, mask)[mask], masked[mask])
    (grad,) = torch.autograd.grad(masked[mask].square().mean(), x, retain_graph=True)
    assert (grad[~mask] == 0).all()
    (reference,) = torch.autograd.grad(expected[mask].square().mean(), x)
    torch.testing.assert_close(grad, reference, rtol=1e-5, atol=1e-5)


@every_branch
def test_a_graph_without_any_node_stays_finite(branch):
    conv = filled(branch(4, 4))
    x = torch.randn(1, 5, 4, requires_grad=True)
    out = conv.closed_form(x, 2, 3, torch.zeros(1, 5, dtype=torch.bool))
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(x.grad).all()


@every_branch
def test_large_features_stay_finite(branch):
    conv = filled(branch(4, 4))
    x = 1e4 * torch.randn(1, 9, 4)
    out = conv.closed_form(x, 4, 5)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out[0], conv(x[0], multi_scale_edge_index(4, 5, 1)), rtol=1e-4, atol=1e-1)


def test_attention_tells_nodes_apart_where_the_edges_do_not():
    """At k = 1 all nodes of one clip hear the whole other clip."""
    conv = GATBranch(2, 2)
    with torch.no_grad():
        conv.lin.weight.copy_(torch.eye(2))
        conv.att_src.copy_(torch.tensor([[[5.0, 0.0]]]))
        conv.att_dst.zero_()
    x = torch.tensor([[[0.0, 1.0], [2.0, 3.0], [-2.0, -9.0]]])  # scores 0, 10 and -2
    powers = [1.0, math.exp(10), math.exp(-2)]
    row = [
        sum(p * float(v) for p, v in zip(powers, column, strict=True)) / sum(powers) for column in x[0].t()
    ]
    torch.testing.assert_close(conv.closed_form(x, 1, 2)[0], torch.tensor([row] * 3))


@every_conv
def test_a_layer_equals_the_equation_with_pygs_convolutions(conv):
    layer = MGFFLayer(4, 4, (1, 2, 5), residual=True, conv=conv)
    assert [type(branch) for branch in layer.convs] == [BRANCHES[conv]] * 3
    assert [branch.scale for branch in layer.convs] == [1, 2, 5]
    x = torch.randn(2, 11, 4)
    edges = [multi_scale_edge_index(5, 6, k) for k in layer.scales]
    for graph, closed in zip(x, layer.closed_form(x, 5, 6), strict=True):
        projected = layer.project(graph)
        heard = [
            torch.tanh(of_pyg(branch)(projected, edge_index))
            for branch, edge_index in zip(layer.convs, edges, strict=True)
        ]
        expected = graph + layer.fuse(torch.cat(heard, dim=1))
        torch.testing.assert_close(closed, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(layer(graph, edges, [None] * 3), expected, rtol=1e-5, atol=1e-5)


@every_branch
def test_validation_before_training_does_no_harm(branch):
    """Lightning validates in inference mode, and what is kept from there must serve gradients too."""
    _apart.cache_clear()
    conv, x = branch(4, 4), torch.randn(2, 9, 4)
    with torch.inference_mode():
        expected = conv.closed_form(x, 4, 5).clone()
    out = conv.closed_form(x, 4, 5)
    out.sum().backward()
    torch.testing.assert_close(out.detach(), expected)


@every_branch
def test_resetting_draws_anew(branch):
    conv = branch(4, 4)
    before = copy.deepcopy(conv.state_dict())
    conv.reset_parameters()
    assert all(not torch.equal(value, before[name]) for name, value in conv.state_dict().items())


@every_branch
def test_compiled_propagation_is_generated(branch):
    """PyG writes it for a class of a module without ``__all__`` only."""
    conv = branch(4, 4)
    assert conv.propagate.__module__.startswith(f"vreloc_pyg.nn.branches_{branch.__name__}")


def test_shows_its_settings():
    assert repr(GATBranch(4, 6, scale=2)) == "GATBranch(4, 6, scale=2, bias=False)"
    assert repr(SAGEBranch(4, 6, scale=3, bias=True)) == "SAGEBranch(4, 6, scale=3, bias=True)"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"conv": "gcn"}, r"conv to be one of mgff, gat, sage \(got 'gcn'\)"),
        ({"conv": "gat", "weight": "row"}, r"weight='binary' with conv='gat', which has none \(got 'row'\)"),
        ({"conv": "sage", "weight": "laplacian"}, r"weight='binary' with conv='sage'.*'laplacian'"),
        ({"conv": "gat", "aggregate": False}, r"aggregate=True with conv='gat' \(got False\)"),
    ],
)
def test_refuses_settings_that_mean_nothing_together(settings, problem):
    for make in (MGFFLayer, MGFFNet):
        with pytest.raises(SettingsError, match=problem):
            make(4, 4, **settings)


@every_branch
def test_refuses_impossible_inputs(branch):
    conv = branch(4, 4)
    edge_index = multi_scale_edge_index(4, 5, 1)
    with pytest.raises(SettingsError, match=r"graph scale k >= 1 \(got 0\)"):
        branch(4, 4, scale=0)
    with pytest.raises(FeatureError, match=r"x as \[..., 4\] \(got \(9, 3\)\)"):
        conv(torch.randn(9, 3), edge_index)
    with pytest.raises(FeatureError, match=r"x as \[..., 4\] \(got \(1, 9, 3\)\)"):
        conv.closed_form(torch.randn(1, 9, 3), 4, 5)
    with pytest.raises(GraphError, match=r"edge_weight=None \(got \(\d+,\)\)"):
        conv(torch.randn(9, 4), edge_index, torch.ones(edge_index.size(1)))
    with pytest.raises(GraphError, match=r"x as \[..., 9, d\]"):
        conv.closed_form(torch.randn(1, 8, 4), 4, 5)
    with pytest.raises(GraphError, match=r"mask as bool \[..., 9\]"):
        conv.closed_form(torch.randn(1, 9, 4), 4, 5, torch.ones(1, 8, dtype=torch.bool))
    with pytest.raises(GraphError, match="num_query >= 1"):
        conv.closed_form(torch.randn(1, 9, 4), 0, 9)
