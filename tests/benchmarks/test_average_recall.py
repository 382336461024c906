import numpy as np
import pytest
import torch
from average_recall import average_recall
from hypothesis import given
from hypothesis import strategies as st

segments = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=5,
)
videos = st.dictionaries(st.sampled_from("abc"), st.tuples(segments, segments), min_size=1)


def as_tensor(spans):
    return torch.tensor(spans, dtype=torch.float64).reshape(-1, 2)


def test_average_recall_worked_by_hand():
    """Two videos of two proposals; of the first ones, one finds its instance at all ten thresholds."""
    instances = {"a": as_tensor([(0, 10)]), "b": as_tensor([(0, 10)])}
    proposals = {"a": as_tensor([(0, 10), (20, 30)]), "b": as_tensor([(50, 60), (0, 7)])}
    found = average_recall(proposals, instances, max_average=2, num_points=2)
    assert found.average_number.tolist() == [1.0, 2.0]
    # (0, 7) has tIoU .7 with (0, 10): found at .5, .55, .6, .65 and .7, which counts here.
    np.testing.assert_allclose(found.average_recall, [50.0, 75.0])
    assert found.area == pytest.approx((50 + 75) / 2 / 2)
    assert average_recall({}, instances).area == 0
    assert average_recall({"a": as_tensor([])}, instances).average_recall.max() == 0


@given(videos)
def test_average_recall_never_falls(found):
    proposals = {video: as_tensor(own) for video, (own, _) in found.items()}
    instances = {video: as_tensor(truths) for video, (_, truths) in found.items()}
    curve = average_recall(proposals, instances, max_average=6, num_points=12).average_recall
    assert (np.diff(curve) >= -1e-9).all()
