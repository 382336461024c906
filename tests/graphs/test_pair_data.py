import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from vreloc_pyg.errors import FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs import (
    MultiScaleEdges,
    edge_weights,
    fit_length,
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


def test_resampling_by_hand():
    long, valid = fit_length(ramp(7), 4, "resample")
    assert (long[:, 0].tolist(), valid) == ([0, 2, 4, 6], 4)
    short, valid = fit_length(ramp(3), 5, "resample")
    assert (short[:, 0].tolist(), valid) == ([0, 0, 1, 2, 2], 5)  # 0.5 and 1.5 round to even
    one, valid = fit_length(ramp(9), 1, "resample")
    assert (one[:, 0].tolist(), valid) == ([0], 1)


def test_padding_by_hand():
    short, valid = fit_length(ramp(2), 4, "pad")
    assert (short.tolist(), valid) == ([[0, 100], [1, 101], [0, 0], [0, 0]], 2)
    long, valid = fit_length(ramp(7), 4, "pad")
    assert (long[:, 0].tolist(), valid) == ([0, 2, 4, 6], 4)


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["resample", "pad"]))
def test_fitted_clips_keep_order_and_both_ends(length, num_steps, how):
    clip = ramp(length)
    before = clip.clone()
    fitted, valid = fit_length(clip, num_steps, how)
    assert fitted.shape == (num_steps, 2)
    assert valid == (min(length, num_steps) if how == "pad" else num_steps)
    assert torch.equal(clip, before)
    kept = fitted[:valid, 0]
    assert (kept.diff() >= 0).all()
    assert kept[0] == 0
    if valid > 1:
        assert kept[-1] == length - 1
    if length == num_steps:
        assert torch.equal(fitted, clip)
    assert (fitted[valid:] == 0).all()


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
    assert "mask" not in pair_data(ramp(3), ramp(9), num_steps=4)


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
    graphs = [
        transform(
            pair_data(
                torch.randn(q, 2), torch.randn(p, 2), num_steps=num_steps, fit="pad", target_offsets=(i, -i)
            )
        )
        for i, (q, p) in enumerate(lengths)
    ]
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


@pytest.mark.parametrize("weight", ["binary", "exponential", "laplacian", "row"])
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
    assert repr(MultiScaleEdges()) == "MultiScaleEdges(scales=(1, 2, 3), weight='binary', bandwidth=None)"
    changed = MultiScaleEdges([2], weight="exponential", bandwidth=4.0)
    assert repr(changed) == "MultiScaleEdges(scales=(2,), weight='exponential', bandwidth=4.0)"


def test_clips_that_are_refused():
    good = torch.randn(3, 2)
    bad = {
        r"floats \[num_steps, F\].*\(0, 2\)": torch.empty(0, 2),
        r"\(3, 0\)": torch.empty(3, 0),
        r"\(3,\)": torch.randn(3),
        r"torch\.int64": torch.ones(3, 2, dtype=torch.long),
        "proposal hold NaN": torch.tensor([[1.0, float("nan")]]),
        "proposal hold NaN or inf": torch.tensor([[1.0, float("inf")]]),
    }
    for match, clip in bad.items():
        with pytest.raises(FeatureError, match=match):
            pair_data(good, clip)
    with pytest.raises(FeatureError, match="F = 2 and 5"):
        pair_data(good, torch.randn(3, 5))
    with pytest.raises(FeatureError, match="clip"):
        fit_length(torch.empty(0, 2), 3, "pad")


def test_settings_that_are_refused():
    clip = torch.randn(3, 2)
    with pytest.raises(SettingsError, match=r"num_steps >= 1 \(got 0\)"):
        pair_data(clip, clip, num_steps=0)
    with pytest.raises(SettingsError, match="got 'crop'"):
        pair_data(clip, clip, fit="crop")
    with pytest.raises(SettingsError, match="got 'crop'"):
        fit_length(clip, 4, "crop")
    with pytest.raises(SettingsError, match="got -2"):
        fit_length(clip, -2, "pad")
    with pytest.raises(SettingsError, match=r"k >= 1 \(got 0\)"):
        MultiScaleEdges((1, 0))
    with pytest.raises(SettingsError, match="got 'degree'"):
        MultiScaleEdges(weight="degree")
    with pytest.raises(SettingsError, match="bandwidth"):
        MultiScaleEdges(bandwidth=-1.0)
    for offsets in ([1.0], [1.0, float("nan")]):
        with pytest.raises(GraphError, match="two finite target_offsets"):
            pair_data(clip, clip, target_offsets=offsets)


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
