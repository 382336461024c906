import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.proposals.test_tag import plain_tiou as tiou
from vreloc_pyg.proposals.proposal_recall import best_overlaps, proposal_recall

segments = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=5,
)
videos = st.dictionaries(st.sampled_from("abc"), st.tuples(segments, segments), min_size=1)


def as_tensor(spans):
    return torch.tensor(spans, dtype=torch.float64).reshape(-1, 2)


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


def test_instances_of_no_length_count_as_missed():
    """Published recalls hold them, and nothing finds them."""
    proposals, instances = {"a": as_tensor([(0, 5)])}, {"a": as_tensor([(0, 5), (20, 30)])}
    table = proposal_recall(proposals, instances, (0.5,), num_empty=2)
    assert table["per_instance"].tolist() == [25.0]
    assert table["per_video"].tolist() == [100.0]
