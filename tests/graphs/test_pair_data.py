import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs import (
    EDGE_WEIGHTS,
    MultiScaleEdges,
    edge_weights,
    multi_scale_edge_index,
    pair_data,
    validate_pair,
)


def ramp(num_steps):
    return torch.arange(float(num_steps)).unsqueeze(1) + torch.tensor([0.0, 100.0])


def assert_equal_data(a, b):
    assert sorted(a.keys()) == sorted(b.keys())
    for key in a.keys():  # noqa: SIM118 -- Data iterates over (key, value)
        assert a[key].dtype == b[key].dtype
        assert torch.equal(a[key], b[key]), key


def test_ragged_pair():
    query, proposal = ramp(3), ramp(5) + 7
    data = pair_data(query, proposal, target_offsets=[0.25, -1.0])
    assert torch.equal(data.x, torch.cat([query, proposal]))
    assert (data.num_query.tolist(), data.num_proposal.tolist()) == ([3], [5])
    assert data.target_offsets.tolist() == [[0.25, -1.0]]
    assert "mask" not in data
    assert data.num_nodes == 8


def test_padded_pair():
    data = pair_data(ramp(3), ramp(9), num_steps=4, fit="pad")
    assert (data.num_query.tolist(), data.num_proposal.tolist()) == ([4], [4])
    assert data.mask.tolist() == [True] * 3 + [False] + [True] * 4
    assert (data.x[3] == 0).all()
    assert data.x[4:, 0].tolist() == [0, 3, 5, 8]
    resampled = pair_data(ramp(3), ramp(9), num_steps=5)
    assert resampled.x[:, 0].tolist() == [0, 0, 1, 2, 2, 0, 2, 4, 6, 8]  # 0.5 and 1.5 round to even
    assert "mask" not in resampled


def test_pair_does_not_alias_its_clips():
    query, proposal = ramp(3), ramp(3)
    pair_data(query, proposal, num_steps=3).x.zero_()
    assert torch.equal(query, ramp(3))


@given(
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=4),
    st.sampled_from([None, 4]),
    st.sampled_from(["binary", "row", "exponential"]),
)
def test_batches_come_apart_again(lengths, num_steps, weight):
    transform = MultiScaleEdges((1, 3), weight=weight)
    graphs = []
    for i, (q, p) in enumerate(lengths):
        settings = {"num_steps": num_steps, "fit": "pad", "target_offsets": (i, -i)}
        graphs.append(transform(pair_data(torch.randn(q, 2), torch.randn(p, 2), **settings)))
    batch = Batch.from_data_list(graphs)
    validate_pair(batch, (1, 3))
    assert batch.num_graphs == len(graphs)
    assert batch.num_query.tolist() == [int(graph.num_query) for graph in graphs]
    assert batch.target_offsets.shape == (len(graphs), 2)
    for index, (graph, back) in enumerate(zip(graphs, batch.to_data_list(), strict=True)):
        assert_equal_data(graph, back)
        assert_equal_data(graph, batch.get_example(index))
    # every edge stays within its graph
    for k in (1, 3):
        source, destination = batch[f"edge_index_k{k}"]
        assert torch.equal(batch.batch[source], batch.batch[destination])


def test_workers_and_pickling():
    graphs = [MultiScaleEdges((2,))(pair_data(torch.randn(n, 2), torch.randn(3, 2))) for n in (2, 4)]
    assert_equal_data(pickle.loads(pickle.dumps(graphs[1])), graphs[1])
    batch = next(iter(DataLoader(graphs, batch_size=2)))
    assert_equal_data(batch.get_example(1), graphs[1])


@pytest.mark.parametrize("weight", list(EDGE_WEIGHTS))
def test_transform_adds_the_edges_of_every_scale(weight):
    data = pair_data(torch.randn(4, 2), torch.randn(6, 2))
    result = MultiScaleEdges((1, 2, 9), weight=weight, bandwidth=3.0)(data)
    for k in (1, 2, 9):
        edge_index = multi_scale_edge_index(4, 6, k)
        assert torch.equal(result[f"edge_index_k{k}"], edge_index)
        if weight == "binary":
            assert f"edge_weight_k{k}" not in result
        else:
            assert torch.equal(result[f"edge_weight_k{k}"], edge_weights(edge_index, 4, weight, 3.0))
    assert "edge_index_k1" not in data  # the input graph is left as it was
    assert result.x is data.x


@pytest.mark.parametrize("weight", list(EDGE_WEIGHTS))
def test_transform_leaves_padding_out_where_asked(weight):
    data = pair_data(torch.randn(3, 2), torch.randn(2, 2), num_steps=4, fit="pad")
    every, kept = (MultiScaleEdges((1,), weight, 2.0, mask)(data) for mask in (False, True))
    assert every.edge_index_k1.size(1) == 10 + 10 + 32
    among = data.mask[every.edge_index_k1].all(0)
    assert torch.equal(kept.edge_index_k1, every.edge_index_k1[:, among])
    if weight != "binary":
        assert torch.equal(kept.edge_weight_k1, edge_weights(kept.edge_index_k1, 4, weight, 2.0))


def test_transform_takes_lengths_as_numbers():
    result = MultiScaleEdges((1,))(Data(x=torch.randn(5, 2), num_query=2, num_proposal=3))
    assert torch.equal(result.edge_index_k1, multi_scale_edge_index(2, 3, 1))


def test_edits_in_place_reach_no_other_graph():
    transform = MultiScaleEdges((1,), weight="row")
    first = transform(pair_data(torch.randn(3, 2), torch.randn(3, 2)))
    kept = first.clone()
    first.edge_index_k1 += 5
    first.edge_weight_k1.zero_()
    second = transform(pair_data(torch.randn(3, 2), torch.randn(3, 2)))
    assert torch.equal(second.edge_index_k1, kept.edge_index_k1)
    assert torch.equal(second.edge_weight_k1, kept.edge_weight_k1)


def test_repr_shows_every_setting():
    changed = MultiScaleEdges([2], weight="exponential", bandwidth=4.0, mask_padding=True)
    expected = "MultiScaleEdges(scales=(2,), weight='exponential', bandwidth=4.0, mask_padding=True)"
    assert repr(changed) == expected


GOOD = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("use", "error", "problem"),
    [
        (lambda: pair_data(GOOD, GOOD[:0]), FeatureError, r"floats \[num_steps, F\].*\(0, 2\)"),
        (lambda: pair_data(GOOD, GOOD[:, :0]), FeatureError, r"\(3, 0\)"),
        (lambda: pair_data(GOOD, GOOD[:, 0]), FeatureError, r"\(3,\)"),
        (lambda: pair_data(GOOD, GOOD.long()), FeatureError, r"torch\.int64"),
        (lambda: pair_data(GOOD, GOOD / 0), FeatureError, "proposal hold NaN"),
        (lambda: pair_data(GOOD, 1 / GOOD), FeatureError, "proposal hold NaN or inf"),
        (lambda: pair_data(GOOD, torch.zeros(3, 5)), FeatureError, "F = 2 and 5"),
        (lambda: pair_data(GOOD, GOOD, num_steps=0), SettingsError, r"num_steps >= 1 \(got 0\)"),
        (lambda: pair_data(GOOD, GOOD, num_steps=4, fit="crop"), SettingsError, "got 'crop'"),
        (lambda: pair_data(GOOD, GOOD, target_offsets=[1]), GraphError, "two finite target_offsets"),
        (
            lambda: pair_data(GOOD, GOOD, target_offsets=[1, torch.nan]),
            GraphError,
            "two finite target_offsets",
        ),
        (lambda: MultiScaleEdges((1, 0)), SettingsError, r"k >= 1 \(got 0\)"),
        (lambda: MultiScaleEdges(weight="degree"), SettingsError, "got 'degree'"),
        (lambda: MultiScaleEdges(bandwidth=-1.0), SettingsError, "bandwidth"),
    ],
)
def test_clips_and_settings_that_are_refused(use, error, problem):
    with pytest.raises(error, match=problem):
        use()


def test_malformed_graphs_are_refused():
    transform = MultiScaleEdges()
    x = torch.randn(5, 2)
    bad = {
        r"'num_query' \(got \['num_proposal', 'x'\]\)": Data(x=x, num_proposal=2),
        "'num_proposal'": Data(x=x, num_query=2),
        "'x'": Data(num_query=2, num_proposal=2),
        r"\[4, F\] \(got \(5, 2\)\)": Data(x=x, num_query=2, num_proposal=2),
        r"\[5, F\] \(got \(5,\)\)": Data(x=x[:, 0], num_query=2, num_proposal=3),
        r"num_query >= 1 .*got 0 and 5": Data(x=x, num_query=0, num_proposal=5),
        r"got \[2, 1\] and \[2\]": Data(x=x, num_query=torch.tensor([2, 1]), num_proposal=torch.tensor([2])),
        r"got \[\] and \[\]": Data(x=x, num_query=torch.tensor([]), num_proposal=torch.tensor([])),
        r"mask as bool \[5\] \(got torch.float32": Data(x=x, num_query=2, num_proposal=3, mask=torch.ones(5)),
        r"mask as bool \[5\] \(got torch.bool \(4,\)": Data(
            x=x, num_query=2, num_proposal=3, mask=x[:4, 0] > 9
        ),
    }
    for match, data in bad.items():
        with pytest.raises(GraphError, match=match):
            transform(data)
    x[3, 1] = float("nan")
    with pytest.raises(FeatureError, match="NaN"):
        transform(Data(x=x, num_query=2, num_proposal=3))
    pair = pair_data(torch.randn(2, 2), torch.randn(2, 2))
    with pytest.raises(GraphError, match=r"not a batch \(got num_query = \[2, 2\]\)"):
        transform(Batch.from_data_list([pair, pair]))


def test_validator_sees_bad_edges():
    good = MultiScaleEdges((1, 2), weight="row")(pair_data(torch.randn(2, 2), torch.randn(3, 2)))
    assert validate_pair(good, (1, 2)) is good
    with pytest.raises(GraphError, match=r"'edge_index_k3' \(got .*'edge_index_k1'"):
        validate_pair(good, (1, 3))
    with pytest.raises(SettingsError, match="got 0"):
        validate_pair(good, (0,))
    edges = good.edge_index_k1
    bad = {
        r"edge_index_k1 as \[2, E\] int64 \(got \(25, 2\)|\(got \(\d+, 2\)": edges.t(),
        r"torch\.float32": edges.float(),
        r"within 0\.\.4 \(got 0\.\.5\)": edges + (edges == 4),
        r"within 0\.\.4 \(got -1\.\.3\)": edges - 1,
        r"edge_weight_k1 as \[4\]": edges[:, :4],
    }
    for match, edge_index in bad.items():
        data = good.clone()
        data.edge_index_k1 = edge_index
        with pytest.raises(GraphError, match=match):
            validate_pair(data, (1,))
    empty = good.clone()
    empty.edge_index_k1, empty.edge_weight_k1 = edges[:, :0], good.edge_weight_k1[:0]
    validate_pair(empty, (1,))
