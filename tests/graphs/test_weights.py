import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.graphs import EDGE_WEIGHTS, edge_weights, multi_scale_edge_index, to_dense_adjacency

KINDS = tuple(EDGE_WEIGHTS)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 15), st.sampled_from([None, 0.5, 7.0]))
@pytest.mark.parametrize("kind", KINDS)
def test_weights_equal_the_dense_matrix(kind, num_query, num_proposal, k, bandwidth):
    edge_index = multi_scale_edge_index(num_query, num_proposal, k)
    weights = edge_weights(edge_index, num_query, kind, bandwidth)
    adjacency = to_dense_adjacency(num_query, num_proposal, k, kind, bandwidth)
    source, destination = edge_index
    torch.testing.assert_close(weights, adjacency[destination, source])


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("binary", lambda i, j, degree: 1.0),
        ("exponential", lambda i, j, degree: math.exp(-((i - j) ** 2) / (2 * 3.0**2))),
        ("laplacian", lambda i, j, degree: (degree[i] * degree[j]) ** -0.5),
        ("row", lambda i, j, degree: 1 / degree[i]),
    ],
)
def test_weights_equal_the_formulas(kind, formula):
    edge_index = multi_scale_edge_index(4, 7, 2)
    degree = edge_index[1].bincount().tolist()
    expected = [formula(i, j, degree) for j, i in edge_index.t().tolist()]
    assert edge_weights(edge_index, 4, kind, 3.0).tolist() == pytest.approx(expected)


def test_hand_worked_pair():
    """Two query steps, one proposal step, k = 1: every node is joined to all three."""
    edge_index = multi_scale_edge_index(2, 1, 1)
    assert edge_index.tolist() == [[0, 1, 2] * 3, [0] * 3 + [1] * 3 + [2] * 3]
    assert edge_weights(edge_index, 2, "binary").tolist() == [1.0] * 9
    third = [1 / 3] * 9
    assert edge_weights(edge_index, 2, "row").tolist() == pytest.approx(third)
    assert edge_weights(edge_index, 2, "laplacian").tolist() == pytest.approx(third)
    one, two = math.exp(-1 / 8), math.exp(-4 / 8)  # s = num_query = 2
    expected = [1, one, two, one, 1, one, two, one, 1]
    assert edge_weights(edge_index, 2, "exponential").tolist() == pytest.approx(expected)


def test_hand_worked_degrees():
    """Three query steps, one proposal step, k = 2: degrees 4, 3, 4 and 3."""
    edge_index = multi_scale_edge_index(3, 1, 2)
    assert edge_index[:, edge_index[1] == 3].tolist() == [[0, 2, 3], [3, 3, 3]]
    row = edge_weights(edge_index, 3, "row")
    assert row[edge_index[1] == 3].tolist() == pytest.approx([1 / 3] * 3)
    laplacian = edge_weights(edge_index, 3, "laplacian")
    assert laplacian[edge_index[1] == 3].tolist() == pytest.approx([12**-0.5, 12**-0.5, 1 / 3])


def test_no_edges():
    for kind in KINDS:
        assert edge_weights(torch.empty(2, 0, dtype=torch.long), 1, kind).shape == (0,)


EDGES = multi_scale_edge_index(2, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "problem"),
    [
        ((EDGES, 2, "sym"), SettingsError, r"binary, exponential, laplacian, row.* \(got 'sym'\)"),
        *(
            ((EDGES, 2, "exponential", bandwidth), SettingsError, "positive bandwidth")
            for bandwidth in (0.0, -1.0, math.inf, math.nan)
        ),
        ((EDGES.t(), 2, "row"), GraphError, r"\[2, E\] int64 \(got .*\(16, 2\)"),
        ((EDGES.float(), 2, "row"), GraphError, r"torch\.float32"),
        ((EDGES, 0, "exponential"), GraphError, r"num_query >= 1 \(got 0\)"),
    ],
)
def test_errors(arguments, error, problem):
    with pytest.raises(error, match=problem):
        edge_weights(*arguments)
