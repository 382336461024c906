"""A new kind of edge weight is one entry of the table: everything that aggregates then knows it."""

import pytest
import torch
from torch_geometric.data import Batch

from tests.nn.small_models import assert_relevance_close, make_model, masked_adjacency, one_by_one
from vreloc_pyg.graphs import (
    EDGE_WEIGHTS,
    EdgeWeight,
    MultiScaleEdges,
    edge_weights,
    multi_scale_edge_index,
    pair_data,
    to_dense_adjacency,
)
from vreloc_pyg.nn import MGFFConv, MGFFNet

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
KIND = "inverse"
KINDS = {
    "1 / deg(j)": (EdgeWeight(columns=torch.reciprocal), lambda i, j, degree, s: 1 / degree[j]),
    "1 / (1 + deg(i))": (
        EdgeWeight(rows=lambda degree: 1 / (1 + degree)),
        lambda i, j, degree, s: 1 / (1 + degree[i]),
    ),
    "1 / (1 + |i - j|)": (
        EdgeWeight(positions=lambda i, j, s: 1 / (1 + (i - j).abs())),
        lambda i, j, degree, s: 1 / (1 + abs(i - j)),
    ),
    "all": (
        EdgeWeight(torch.rsqrt, lambda degree: 1 / degree.square(), lambda i, j, s: 1 / (s + (i - j).abs())),
        lambda i, j, degree, s: 1 / (s + abs(i - j)) / degree[i] ** 0.5 / degree[j] ** 2,
    ),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS, autouse=True)
def formula(request, monkeypatch):
    monkeypatch.setitem(EDGE_WEIGHTS, KIND, request.param[0])
    return request.param[1]


def assert_same(way, expected, inputs, rtol=1e-5):
    """Also the gradients of ``inputs`` are."""
    torch.testing.assert_close(way, expected, rtol=1e-5, atol=1e-5)
    one, other = (torch.autograd.grad(v.tanh().sum(), inputs, retain_graph=True) for v in (way, expected))
    torch.testing.assert_close(one, other, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize(("num_query", "num_proposal"), [(5, 8), (6, 6)])
def test_every_way_to_convolve(formula, num_query, num_proposal):
    lengths = num_query, num_proposal
    edge_index = multi_scale_edge_index(*lengths, 2)
    degree = edge_index[1].bincount().tolist()
    expected = [formula(i, j, degree, 3.0) for j, i in edge_index.t().tolist()]
    weights = edge_weights(edge_index, num_query, KIND, 3.0)
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)
    dense = to_dense_adjacency(*lengths, 2, KIND, 3.0)
    assert dense[edge_index[1], edge_index[0]].tolist() == pytest.approx(expected, rel=1e-5)

    conv = MGFFConv(4, 3, KIND, 2, 3.0)
    x = torch.randn(sum(lengths), 4, requires_grad=True)
    inputs = [x, conv.lin_weight]
    out = conv(x, dense)
    for way in (
        conv(x, edge_index, weights),
        conv(x, dense.to_sparse_csr()),
        conv.closed_form(x.unsqueeze(0), *lengths)[0],
    ):
        assert_same(way, out, inputs)
    mask = torch.ones(1, len(x), dtype=torch.bool)
    mask[0, [2, -1]] = False
    masked = conv.closed_form(x.unsqueeze(0), *lengths, mask)
    out = conv(x.unsqueeze(0), masked_adjacency(mask, *lengths, 2, KIND, 3.0))
    assert_same(masked, out, inputs)


@pytest.mark.parametrize("mask_padding", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_every_way_to_score(mask_padding, residual):
    model = make_model(weight=KIND, mask_padding=mask_padding, residual=residual)
    query, clips = torch.randn(7, 5), [torch.randn(length, 5) for length in (9, 3, 1, 9)]
    ragged = [pair_data(query, clip) for clip in clips]
    edges = MultiScaleEdges(model.settings.scales, KIND, mask_padding=mask_padding)

    def flat(relevance):
        return torch.cat([relevance.score, relevance.offsets.flatten()])

    expected = flat(one_by_one(model, ragged))
    for way in (
        model(Batch.from_data_list(ragged)),
        model(Batch.from_data_list([edges(graph) for graph in ragged])),
        model.rank(query, clips),
    ):
        assert_same(flat(way), expected, list(model.parameters()), rtol=1e-4)
    padded = [pair_data(query, clip, num_steps=11, fit="pad") for clip in clips]
    assert_relevance_close(
        model(Batch.from_data_list([edges(graph) for graph in padded])), model(Batch.from_data_list(padded))
    )


def test_settings_know_it(tmp_path):
    model = MGFFNet(in_channels=3, hidden_channels=4, weight=KIND)
    model.save_pretrained(tmp_path)
    assert MGFFNet.from_pretrained(tmp_path).settings == model.settings
