import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import GraphError, SettingsError
from vreloc_pyg.graphs import edge_weights, multi_scale_edge_index, to_dense_adjacency

KINDS = ("binary", "exponential", "laplacian", "row")


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 15), st.sampled_from([None, 0.5, 7.0]))
@pytest.mark.parametrize("kind", KINDS)
def test_weights_equal_the_dense_matrix(kind, num_query, num_proposal, k, bandwidth):
    edge_index = multi_scale_edge_index(num_query, num_proposal, k)
    weights = edge_weights(edge_index, num_query, kind, bandwidth)
    adjacency = to_dense_adjacency(num_query, num_proposal, k, kind, bandwidth)
    source, destination = edge_index
    torch.testing.assert_close(weights, adjacency[destination, source])


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


def test_rows_of_the_destination_sum_to_one():
    edge_index = multi_scale_edge_index(4, 9, 2)
    total = torch.zeros(13).index_add_(0, edge_index[1], edge_weights(edge_index, 4, "row"))
    torch.testing.assert_close(total, torch.ones(13))


def test_equal_steps_of_both_clips_weigh_the_same_at_any_length():
    for num_query in (3, 40):
        edge_index = multi_scale_edge_index(num_query, 5, 2)
        weights = edge_weights(edge_index, num_query, "exponential")
        equal_step = (edge_index[0] == 1) & (edge_index[1] == num_query + 1)
        assert weights[equal_step].item() == pytest.approx(math.exp(-0.5))


def test_no_edges():
    for kind in KINDS:
        assert edge_weights(torch.empty(2, 0, dtype=torch.long), 1, kind).shape == (0,)


def test_errors():
    edge_index = multi_scale_edge_index(2, 2, 1)
    with pytest.raises(SettingsError, match=r"binary, exponential, laplacian, row \(got 'sym'\)"):
        edge_weights(edge_index, 2, "sym")
    for bandwidth in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(SettingsError, match="positive bandwidth"):
            edge_weights(edge_index, 2, "exponential", bandwidth)
    with pytest.raises(GraphError, match=r"\[2, E\] int64 \(got \(8, 2\)|\(got \(16, 2\)"):
        edge_weights(edge_index.t(), 2, "row")
    with pytest.raises(GraphError, match=r"torch\.float32"):
        edge_weights(edge_index.float(), 2, "row")
    with pytest.raises(GraphError, match=r"num_query >= 1 \(got 0\)"):
        edge_weights(edge_index, 0, "exponential")
