import pytest
import torch
from torch_geometric.data import Batch, Data

from tests.nn.test_mgff_conv import assert_all_close, run
from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs import MultiScaleEdges, multi_scale_edge_index
from vreloc_pyg.graphs.matching import match_edge_attr
from vreloc_pyg.nn import MatchConv
from vreloc_pyg.nn.match_conv import match_weights

SIZES = ((16, 22, 1), (16, 22, 3), (7, 4, 2), (3, 2, 5), (1, 1, 1), (1, 1, 3))


def by_loops(conv, x, logits, num_query, mask=None):
    """The text of :class:`MatchConv` for one graph ``x [N, d]``, edge by edge."""
    num_nodes = len(x)
    exists = [True] * num_nodes if mask is None else mask.tolist()
    rows = []
    for i in range(num_nodes):
        own, other = [], []
        for j in range(num_nodes):
            if not (exists[i] and exists[j]):
                continue
            if (i < num_query) == (j < num_query):
                if abs(i - j) <= conv.scale:
                    own.append(x[j])
            elif (min(i, j) - (max(i, j) - num_query)) % conv.scale == 0:
                other.append((logits[:, min(i, j), max(i, j) - num_query], x[j]))
        parts = [x[i], torch.stack(own).mean(0) if own else torch.zeros_like(x[i])]
        for head in range(conv.heads):
            difference = torch.zeros_like(x[i])
            if other:
                weights = torch.stack([logit[head] for logit, _ in other]).softmax(0)
                for weight, (_, theirs) in zip(weights, other, strict=True):
                    difference = difference + weight * (x[i] - theirs)
            parts.append(difference)
        rows.append(torch.cat(parts) @ conv.lin_weight)
    return torch.stack(rows)


def graph(x, logits, num_query):
    return Data(
        x=x,
        num_query=torch.tensor([num_query]),
        num_proposal=torch.tensor([len(x) - num_query]),
        match_logits=logits.permute(1, 2, 0).flatten(0, 1),
    )


@pytest.mark.parametrize("heads", [0, 1, 3])
@pytest.mark.parametrize(("num_query", "num_proposal", "k"), SIZES)
def test_edges_dense_weights_and_loops_agree(heads, num_query, num_proposal, k):
    conv = MatchConv(5, 4, heads, k)
    x = torch.randn(2, num_query + num_proposal, 5)
    logits = 3 * torch.randn(2, heads, num_query, num_proposal)
    graphs = [MultiScaleEdges((k,))(graph(*pair, num_query)) for pair in zip(x, logits, strict=True)]
    batch = Batch.from_data_list(graphs)
    edges = batch[f"edge_index_k{k}"], batch[f"edge_attr_k{k}"]
    (weights,) = match_weights(logits, (k,))
    expected = run(
        conv,
        x,
        lambda x: torch.stack([by_loops(conv, *pair, num_query) for pair in zip(x, logits, strict=True)]),
    )
    assert_all_close(run(conv, x, lambda x: conv(x.flatten(0, 1), *edges).view(2, -1, 4)), expected)
    assert_all_close(run(conv, x, lambda x: conv.dense(x, num_query, num_proposal, weights)), expected)


def test_masked_nodes_send_nothing():
    conv, lengths = MatchConv(5, 4, heads=2, scale=2), (5, 7)
    x, logits = torch.randn(3, 12, 5), torch.randn(3, 2, 5, 7)
    mask = torch.rand(3, 12, generator=torch.Generator().manual_seed(0)) < 0.6
    mask[:, 0] = True
    (weights,) = match_weights(logits, (2,), mask)
    found = conv.dense(x, *lengths, weights)
    for pair in range(3):
        expected = by_loops(conv, x[pair], logits[pair], 5, mask[pair])
        torch.testing.assert_close(found[pair], expected, rtol=1e-5, atol=1e-5)


def test_two_sets_of_nodes_are_the_edges_between_them():
    """Nodes of one clip that are asked about the other only, as in a heterogeneous graph."""
    conv = MatchConv(5, 4, heads=2)
    query, proposal, logits = torch.randn(3, 5), torch.randn(6, 5), torch.randn(2, 3, 6)
    across = torch.cartesian_prod(torch.arange(6), torch.arange(3)).t()  # from the proposal into the query
    attributes = torch.cat([torch.ones(18, 1), logits[:, across[1], across[0]].t()], dim=1)
    found = conv((proposal, query), across, attributes)
    edge_index = multi_scale_edge_index(3, 6, 1)
    between = edge_index[:, (edge_index < 3).sum(0) == 1]
    expected = conv(torch.cat([query, proposal]), between, match_edge_attr(between, logits))[:3]
    torch.testing.assert_close(found, expected)


def test_steps_that_match_are_told_apart():
    """Binary sums give all steps of a residue class one message; here each is told of its own match."""
    conv = MatchConv(4, 4, heads=1)
    clip = torch.randn(6, 4)
    shifted = torch.cat([clip[2:], clip[:2]])
    logits = -100 * torch.cdist(clip, shifted).unsqueeze(0)
    edges = multi_scale_edge_index(6, 6, 1)
    weights = conv.edge_updater(edges, edge_attr=match_edge_attr(edges, logits), size=(12, 12))
    differences = conv.propagate(edges, x=(torch.cat([clip, shifted]),) * 2, weights=weights, size=(12, 12))[
        :, 1
    ]
    torch.testing.assert_close(differences, torch.zeros_like(differences), rtol=0, atol=1e-3)


def test_compiles_whole_and_is_exported():
    conv = MatchConv(5, 4, heads=2, scale=2).eval()
    x, logits = torch.randn(2, 9, 5), torch.randn(2, 2, 4, 5)

    class Dense(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv

        def forward(self, x, logits):
            return self.conv.dense(x, 4, 5, match_weights(logits, (2,))[0])

    exported = torch.export.export(Dense(), (x, logits)).module()
    torch.testing.assert_close(exported(x, logits), Dense()(x, logits))
    compiled = torch.compile(Dense(), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, logits), Dense()(x, logits))


def test_what_is_wrong_is_said():
    conv = MatchConv(5, 4, heads=2)
    edge_index = multi_scale_edge_index(2, 3, 1)
    attributes = match_edge_attr(edge_index, torch.zeros(2, 2, 3))
    for call, error, words in (
        (lambda: conv(torch.randn(5, 4), edge_index, attributes), FeatureError, r"Expected x as \[..., 5\]"),
        (lambda: conv(torch.randn(5, 5), edge_index), GraphError, "got None"),
        (lambda: conv(torch.randn(5, 5), edge_index, attributes[:, :2]), GraphError, "Expected edge_attr as"),
        (
            lambda: conv.dense(torch.randn(1, 4, 5), 2, 3, match_weights(torch.zeros(1, 2, 2, 3), (1,))[0]),
            GraphError,
            "Expected x as",
        ),
        (lambda: MatchConv(5, 4, scale=0), SettingsError, "k >= 1"),
    ):
        with pytest.raises(error, match=words):
            call()
    assert repr(conv) == "MatchConv(5, 4, heads=2, scale=1)"
