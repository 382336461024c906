import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.proposals.proposal_recall import average_recall, best_overlaps, proposal_recall

segments = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=5,
)
videos = st.dictionaries(st.sampled_from("abc"), st.tuples(segments, segments), min_size=1)


def as_tensor(spans):
    return torch.tensor(spans, dtype=torch.float64).reshape(-1, 2)


def tiou(a, b):
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


@given(videos)
def test_recall_is_the_loop_over_instances(found):
    proposals = {video: as_tensor(own) for video, (own, _) in found.items()}
    instances = {video: as_tensor(truths) for video, (_, truths) in found.items()}
    table = proposal_recall(proposals, instances, (0.3, 0.5, 0.7))
    for threshold, row in zip((0.3, 0.5, 0.7), table.itertuples(), strict=True):
        hits, videos_hit = [], []
        for own, truths in found.values():
            ours = [any(tiou(one, truth) > threshold + 1e-9 for one in own) for truth in truths]
            hits += ours
            if truths:
                videos_hit.append(any(ours))
        if not hits:
            assert math.isnan(row.per_instance)
            continue
        assert row.per_instance == pytest.approx(100 * np.mean(hits))
        assert row.per_video == pytest.approx(100 * np.mean(videos_hit))


def test_a_tiou_at_the_threshold_does_not_count():
    table = proposal_recall({"a": as_tensor([(0, 5)])}, {"a": as_tensor([(0, 10)])}, (0.499, 0.5))
    assert table["per_instance"].tolist() == [100.0, 0.0]
    assert best_overlaps(None, as_tensor([(0, 1)])).tolist() == [0.0]


def test_average_recall_worked_by_hand():
    """Two videos of two proposals; of the first ones, one finds its instance at all ten thresholds."""
    instances = {"a": as_tensor([(0, 10)]), "b": as_tensor([(0, 10)])}
    proposals = {"a": as_tensor([(0, 10), (20, 30)]), "b": as_tensor([(50, 60), (0, 7)])}
    found = average_recall(proposals, instances, max_average=2, num_points=2)
    assert found.average_number.tolist() == [1.0, 2.0]
    # (0, 7) has tIoU .7 with (0, 10): found at .5, .55, .6, .65 and .7, which counts here.
    np.testing.assert_allclose(found.average_recall, [50.0, 75.0])
    assert found.area == pytest.approx((50 + 75) / 2 / 2)


def test_average_recall_of_nothing():
    instances = {"a": as_tensor([(0, 10)])}
    assert average_recall({}, instances).area == 0
    assert average_recall({"a": as_tensor([])}, instances).average_recall.max() == 0


@given(videos)
def test_average_recall_never_falls(found):
    proposals = {video: as_tensor(own) for video, (own, _) in found.items()}
    instances = {video: as_tensor(truths) for video, (_, truths) in found.items()}
    curve = average_recall(proposals, instances, max_average=6, num_points=12).average_recall
    assert (np.diff(curve) >= -1e-9).all()
