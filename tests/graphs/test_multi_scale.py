import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.graphs import (
    multi_scale_degree,
    multi_scale_edge_index,
    multi_scale_product,
    multi_scale_sum,
    multi_scale_sums,
    to_dense_adjacency,
)

lengths = st.integers(1, 12)
scales = st.integers(1, 15)


def dense_from_edges(edge_index, num_nodes):
    source, destination = edge_index
    adjacency = torch.zeros(num_nodes, num_nodes)
    adjacency.index_put_((destination, source), torch.ones(len(source)), accumulate=True)
    return adjacency


@given(lengths, lengths, scales)
def test_edges_equal_the_papers_slices(num_query, num_proposal, k):
    edge_index = multi_scale_edge_index(num_query, num_proposal, k)
    adjacency = to_dense_adjacency(num_query, num_proposal, k)
    assert edge_index.dtype == torch.long
    # accumulated, so an edge listed twice would make a 2
    torch.testing.assert_close(dense_from_edges(edge_index, num_query + num_proposal), adjacency)
    key = edge_index[1] * (num_query + num_proposal) + edge_index[0]
    assert (key.diff() > 0).all()


@given(lengths, lengths, scales)
def test_adjacency_is_what_the_text_says(num_query, num_proposal, k):
    adjacency = to_dense_adjacency(num_query, num_proposal, k)
    clip = [0] * num_query + [1] * num_proposal
    step = [*range(num_query), *range(num_proposal)]
    for a in range(num_query + num_proposal):
        for b in range(num_query + num_proposal):
            gap = abs(step[a] - step[b])
            joined = gap <= k if clip[a] == clip[b] else gap % k == 0
            assert adjacency[a, b] == joined


def test_figure_6():
    """T = 8 and k = 3, counted by hand."""
    adjacency = to_dense_adjacency(8, 8, 3)
    neighbours = {
        0: [0, 1, 2, 3, 8, 11, 14],
        4: [1, 2, 3, 4, 5, 6, 7, 9, 12, 15],
        7: [4, 5, 6, 7, 9, 12, 15],
        10: [2, 5, 8, 9, 10, 11, 12, 13],
        15: [1, 4, 7, 12, 13, 14, 15],
    }
    for node, expected in neighbours.items():
        assert adjacency[node].nonzero().flatten().tolist() == expected
    # within a clip 8 * 7 - 2 * (1 + 2 + 3), between clips 3 * 3 + 3 * 3 + 2 * 2; twice each
    assert adjacency.sum() == 2 * 44 + 2 * 22
    edge_index = multi_scale_edge_index(8, 8, 3)
    assert edge_index.size(1) == 132
    assert edge_index[0, edge_index[1] == 10].tolist() == neighbours[10]
    x = torch.arange(16.0).unsqueeze(1)
    assert multi_scale_sum(x, 8, 8, 3)[[0, 10]].flatten().tolist() == [39, 70]


@pytest.mark.parametrize(("k", "num_edges"), [(1, 3436), (2, 1988), (3, 1604)])
def test_number_of_edges_of_the_papers_graphs(k, num_edges):
    assert multi_scale_edge_index(40, 40, k).size(1) == num_edges
    assert to_dense_adjacency(40, 40, k).count_nonzero() == num_edges


@given(lengths, lengths, scales, st.booleans(), st.integers(0, 2**16))
def test_closed_form_and_gradient_equal_dense(num_query, num_proposal, k, masked, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, num_query + num_proposal, 3)
    x = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(shape, dtype=torch.float64, generator=generator)
    adjacency = to_dense_adjacency(num_query, num_proposal, k).double()
    mask = None
    if masked:
        mask = torch.rand(shape[:2], generator=generator) < 0.7
        adjacency = mask.unsqueeze(2) * adjacency * mask.unsqueeze(1)
    result, expected = multi_scale_sum(x, num_query, num_proposal, k, mask), adjacency @ x
    torch.testing.assert_close(result, expected)
    (grad,) = torch.autograd.grad(result, x, weight)
    (expected_grad,) = torch.autograd.grad(expected, x, weight)
    torch.testing.assert_close(grad, expected_grad)
    degree = adjacency.sum(-1, keepdim=True)
    mean = multi_scale_product(x, num_query, num_proposal, k, "row", mask=mask)
    torch.testing.assert_close(mean, expected / degree.clamp(min=1))


@given(lengths, lengths, st.lists(scales, min_size=1, max_size=4), st.integers(0, 2**16))
@example(5, 4, [2, 1, 2], 0)
def test_shared_sums_and_their_gradient_equal_dense(num_query, num_proposal, chosen, seed):
    """In any order of the scales, some of them twice, in blocks of one graph and of all."""
    generator = torch.Generator().manual_seed(seed)
    shape = (3, num_query + num_proposal, 2)
    x = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(len(chosen), *shape, dtype=torch.float64, generator=generator)
    matrices = [to_dense_adjacency(num_query, num_proposal, k).double() for k in chosen]
    expected = [matrix @ x for matrix in matrices]
    (expected_grad,) = torch.autograd.grad(expected, x, list(weights))
    for block in (1, 2**20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vreloc_pyg.graphs.pair_sums.BLOCK", block)
            results = multi_scale_sums(x, num_query, num_proposal, chosen)
            (grad,) = torch.autograd.grad(results, x, list(weights))
        torch.testing.assert_close(list(results), expected)
        torch.testing.assert_close(grad, expected_grad)


def test_gradients_of_second_order_of_shared_sums():
    x = torch.randn(2, 7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: multi_scale_sums(x, 4, 3, (3, 1)), x)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(("num_query", "num_proposal"), [(5, 5), (3, 6), (6, 2), (1, 1)])
def test_gradients_of_first_and_second_order(num_query, num_proposal, k):
    num_nodes = num_query + num_proposal
    x = torch.randn(2, num_nodes, 2, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(2, num_nodes) < 0.8

    def aggregate(x):
        return multi_scale_sum(x, num_query, num_proposal, k, mask)

    assert torch.autograd.gradcheck(aggregate, x)
    assert torch.autograd.gradgradcheck(aggregate, x)


@pytest.mark.parametrize("shape", [(9, 4), (3, 9, 4), (2, 3, 9, 4), (0, 9, 4), (3, 9, 0)])
def test_leading_dimensions(shape):
    x = torch.randn(shape, requires_grad=True)
    out = multi_scale_sum(x, 4, 5, 2)
    torch.testing.assert_close(out, to_dense_adjacency(4, 5, 2) @ x)
    out.sum().backward()
    assert x.grad.shape == shape


def test_strided_input_is_read_and_kept():
    base = torch.randn(4, 3, 10)
    x = base.transpose(1, 2)  # [4, 10, 3], not contiguous
    before = x.clone()
    torch.testing.assert_close(multi_scale_sum(x, 5, 5, 3), to_dense_adjacency(5, 5, 3) @ x)
    assert torch.equal(x, before)


def test_float32_at_the_papers_size():
    x = torch.randn(4, 80, 64)
    for k in (1, 2, 3):
        exact = to_dense_adjacency(40, 40, k).double() @ x.double()
        result = multi_scale_sum(x, 40, 40, k)
        torch.testing.assert_close(result.double(), exact, rtol=1e-5, atol=1e-5)


@given(lengths, lengths, scales, st.data())
def test_degrees_are_row_sums(num_query, num_proposal, k, data):
    adjacency = to_dense_adjacency(num_query, num_proposal, k)
    degree = multi_scale_degree(num_query, num_proposal, k)
    assert torch.equal(degree, adjacency.sum(1))
    nodes = st.lists(st.booleans(), min_size=len(degree), max_size=len(degree))
    mask = torch.tensor([data.draw(nodes), data.draw(nodes)])
    masked = mask.unsqueeze(2) * adjacency * mask.unsqueeze(1)  # [2, N, N]
    assert torch.equal(multi_scale_degree(num_query, num_proposal, k, mask), masked.sum(2))
    assert torch.equal(multi_scale_degree(num_query, num_proposal, k, mask[0]), masked[0].sum(1))


def test_padding_changes_nothing_under_a_mask():
    query, proposal = torch.randn(3, 2), torch.randn(5, 2)
    short = multi_scale_sum(torch.cat([query, proposal]), 3, 5, 2)
    junk = torch.full((4, 2), 7.0)
    padded = torch.cat([query, junk, proposal, junk[:1]])
    mask = torch.tensor([True] * 3 + [False] * 4 + [True] * 5 + [False])
    result = multi_scale_sum(padded, 7, 6, 2, mask)
    torch.testing.assert_close(result[mask], short)
    assert (result[~mask] == 0).all()


@pytest.mark.parametrize("function", [multi_scale_edge_index, to_dense_adjacency, multi_scale_degree])
def test_impossible_graphs(function):
    with pytest.raises(GraphError, match=r"num_query >= 1 .*got 0 and 4"):
        function(0, 4, 1)
    with pytest.raises(GraphError, match=r"got 4 and -1"):
        function(4, -1, 1)
    with pytest.raises(SettingsError, match=r"k >= 1 \(got 0\)"):
        function(4, 4, 0)


X = torch.zeros(2, 8, 3)


@pytest.mark.parametrize(
    ("use", "error", "problem"),
    [
        (lambda: to_dense_adjacency(4, 4, 1, weight="cosine"), SettingsError, "got 'cosine'"),
        (lambda: to_dense_adjacency(4, 4, 1, bandwidth=0.0), SettingsError, r"bandwidth in nodes \(got 0"),
        (lambda: multi_scale_sum(X, 4, 5, 1), GraphError, r"x as \[\.\.\., 9, d\] \(got \(2, 8, 3\)\)"),
        (lambda: multi_scale_sum(X[0, :, 0], 4, 4, 1), GraphError, r"got \(8,\)"),
        (lambda: multi_scale_sum(X, 4, 4, 1, X[..., 0]), GraphError, r"mask as bool \[\.\.\., 8\] .*float32"),
        (lambda: multi_scale_sum(X, 4, 4, 1, X[:, 1:, 0] > 0), GraphError, r"got torch.bool \(2, 7\)"),
        (lambda: multi_scale_sum(X, 4, 4, 1, torch.tensor(True)), GraphError, r"got torch.bool \(\)"),
        (lambda: multi_scale_sum(X, 4, 4, -1), SettingsError, r"k >= 1 \(got -1\)"),
    ],
)
def test_impossible_weights_and_sums(use, error, problem):
    with pytest.raises(error, match=problem):
        use()
