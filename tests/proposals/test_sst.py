import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.proposals.conftest import sst_network as network
from tests.proposals.conftest import video
from tests.proposals.test_tag import plain_tiou as tiou
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn.sst_network import SSTSettings, decode_anchors, sst_anchors, sst_labels
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.segments import temporal_iou


def test_hand_worked_anchors():
    anchors, valid = sst_anchors(3, 2)
    assert anchors.tolist() == [[[0, 1], [-1, 1]], [[1, 2], [0, 2]], [[2, 3], [1, 3]]]
    assert valid.tolist() == [[True, False], [True, True], [True, True]]
    anchors, valid = sst_anchors(4, 2, stride=2)
    assert anchors[3].tolist() == [[2, 4], [0, 4]]
    assert valid.tolist() == [[False, False], [True, False], [True, False], [True, True]]


@given(
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from([0.3, 0.5, 0.6, 1.0]),
    st.lists(st.tuples(st.integers(0, 11), st.integers(1, 12)), max_size=3),
)
def test_labels_equal_explicit_loops(num_steps, num_anchors, stride, overlap, spans):
    instances = [(min(s, num_steps - 1), min(s + n, num_steps)) for s, n in spans]
    settings = SSTSettings(num_anchors=num_anchors, stride=stride, overlap=overlap)
    labels, valid = sst_labels(num_steps, torch.tensor(instances, dtype=torch.long).reshape(-1, 2), settings)
    for t in range(num_steps):
        for j in range(num_anchors):
            anchor = (t + 1 - (j + 1) * stride, t + 1)
            assert bool(valid[t, j]) == (anchor[0] >= 0)
            expected = anchor[0] >= 0 and any(tiou(anchor, one) >= overlap for one in instances)
            assert bool(labels[t, j]) == expected


@pytest.mark.parametrize(("num_steps", "stride"), [(7, 1), (7, 2), (1, 1), (2, 2)])
def test_decoding_equals_explicit_loops(num_steps, stride):
    logits = torch.randn(num_steps, 4)
    windows, scores = decode_anchors(logits, stride)
    expected = [
        ((t + 1 - (j + 1) * stride, t + 1), float(logits[t, j].double().sigmoid()))
        for j in range(4)
        for t in range(num_steps)
        if t + 1 >= (j + 1) * stride
    ]
    assert [tuple(window) for window in windows.tolist()] == [window for window, _ in expected]
    assert scores.tolist() == pytest.approx([score for _, score in expected])


def test_anchors_longer_than_the_video_leave_it_whole():
    logits = torch.randn(2, 4)
    windows, scores = decode_anchors(logits, stride=3)
    assert windows.tolist() == [[0, 2]]
    assert float(scores) == pytest.approx(float(logits[1, 0].double().sigmoid()))


def test_sure_anchors_are_not_equally_sure():
    _, scores = decode_anchors(torch.tensor([[20.0], [21.0]]))
    assert scores[1] > scores[0]  # in float32 both are 1


@pytest.mark.parametrize("num_layers", [1, 2])
def test_padding_and_the_future_change_nothing(num_layers):
    model = network(num_layers=num_layers, dropout=0.3).eval()
    features = torch.randn(2, 9, 5)
    logits = model(features)
    assert logits.shape == (2, 9, 8)
    for behind in (torch.zeros(2, 4, 5), torch.randn(2, 4, 5)):
        longer = model(torch.cat([features, behind], dim=1))[:, :9]
        torch.testing.assert_close(longer, logits, atol=1e-5, rtol=1e-5)


def test_dropout_after_each_layer():
    model = network(dropout=0.5)
    assert (model.gru.dropout, model.dropout.p) == (0.5, 0.5)
    assert network(dropout=0.5, num_layers=1).gru.dropout == 0  # nothing between layers
    assert (model.states(torch.randn(1, 9, 5)) == 0).any()


def test_proposals_are_the_best_anchors_that_overlap_little():
    model, one = network(), video()
    windows, scores = model.eval().score_anchors(one.features)
    left = sorted(zip(windows.tolist(), scores.tolist(), strict=True), key=lambda pair: -pair[1])
    kept = []
    while left:
        kept.append(left[0][0])
        left = [pair for pair in left if tiou(pair[0], kept[-1]) <= 0.6]
    proposals = SSTProposals(model, num_proposals=None, nms_threshold=0.6).propose(one)
    assert proposals.tolist() == kept
    assert proposals.dtype == torch.int64
    assert temporal_iou(proposals, proposals).fill_diagonal_(0).max() <= 0.6
    assert SSTProposals(model, 3, 0.6).propose(one).tolist() == kept[:3]


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_a_short_video_has_a_proposal(num_steps, tmp_path):
    for stride in (1, 3):
        source = SSTProposals(network(stride=stride))
        proposals = source.propose(video(num_steps))
        assert len(proposals) >= 1
        assert proposals.min() >= 0
        assert proposals.max() <= num_steps
        cached = CachedProposals(source, tmp_path)
        assert cached.propose(video(num_steps)).tolist() == proposals.tolist()


@pytest.mark.parametrize("changed", [{"num_proposals": 0}, {"nms_threshold": -0.1}, {"nms_threshold": 1.1}])
def test_impossible_proposals(changed):
    with pytest.raises(SettingsError, match="num_proposals >= 1 or none"):
        SSTProposals(network(), **changed)
