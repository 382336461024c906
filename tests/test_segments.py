import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import SegmentError
from vreloc_pyg.segments import (
    Ranking,
    Segments,
    check_segments,
    clip_segments,
    covering_maximum,
    decode_offsets,
    encode_offsets,
    read_spans,
    seconds_to_steps,
    spans_text,
    steps_to_seconds,
    temporal_iou,
    temporal_nms,
)

step_segments = st.tuples(st.integers(-5, 30), st.integers(1, 15)).map(lambda s: (s[0], s[0] + s[1]))
second_segments = st.tuples(st.floats(0, 1e3), st.floats(0.01, 1e3)).map(lambda s: (s[0], s[0] + s[1]))


def iou_of_sets(a, b):
    first, second = set(range(*a)), set(range(*b))
    return len(first & second) / len(first | second)


@given(st.lists(step_segments, max_size=6), st.lists(step_segments, max_size=6))
def test_iou_equals_that_of_sets_of_steps(a, b):
    expected = torch.tensor([[iou_of_sets(x, y) for y in b] for x in a], dtype=torch.float64)
    overlap = temporal_iou(*(torch.tensor(x, dtype=torch.float64).reshape(-1, 2) for x in (a, b)))
    torch.testing.assert_close(overlap, expected.reshape(len(a), len(b)), rtol=0, atol=1e-12)


def test_iou_hand_worked():
    a = torch.tensor([[0.0, 10.0]])
    b = torch.tensor([[0.0, 10.0], [5.0, 15.0], [10.0, 20.0], [2.0, 4.0], [-5.0, 15.0], [3.0, 3.0]])
    torch.testing.assert_close(temporal_iou(a, b), torch.tensor([[1.0, 1 / 3, 0.0, 0.2, 0.5, 0.0]]))
    assert temporal_iou(b[-1:], b[-1:]).tolist() == [[0.0]]  # of two empty segments; not NaN
    for steps in (b.long(), b):  # of integers, and of a mixture
        torch.testing.assert_close(temporal_iou(a.long(), steps).float(), temporal_iou(a, b))


def test_iou_of_batches():
    a, b = torch.rand(4, 3, 2).cumsum(-1), torch.rand(4, 5, 2).cumsum(-1)
    overlap = temporal_iou(a, b)
    assert overlap.shape == (4, 3, 5)
    for i in range(4):
        assert torch.equal(overlap[i], temporal_iou(a[i], b[i]))


def nms_by_loops(segments, scores, threshold, max_kept):
    kept = []
    for index in sorted(range(len(segments)), key=lambda i: -scores[i]):
        if max_kept is not None and len(kept) == max_kept:
            break
        if all(iou_of_sets(segments[index], segments[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


@given(
    st.lists(st.tuples(step_segments, st.integers(0, 4)), max_size=12),
    # Not a quotient of small integers, so that rounding decides nothing.
    st.sampled_from([0.0, 0.1001, 0.3003, 0.5005, 0.7007, 1.0]),
    st.none() | st.integers(0, 5),
)
def test_nms_equals_a_plain_loop(ranked, threshold, max_kept):
    segments, scores = [segment for segment, _ in ranked], [float(score) for _, score in ranked]
    bounds = torch.tensor(segments, dtype=torch.float64).reshape(-1, 2)
    kept = temporal_nms(bounds, torch.tensor(scores), threshold, max_kept)
    assert kept.dtype == torch.long
    assert kept.tolist() == nms_by_loops(segments, scores, threshold, max_kept)


def test_nms_drops_only_what_is_above_the_threshold():
    segments = torch.tensor([[0, 4], [2, 6], [0, 4]])
    scores = torch.tensor([1.0, 3.0, 2.0])
    assert temporal_nms(segments, scores, 2 / 6 + 1e-9).tolist() == [1, 2]
    assert temporal_nms(segments, scores, 2 / 6 - 1e-9).tolist() == [1]
    assert temporal_nms(segments, scores, 1.0).tolist() == [1, 2, 0]


@given(second_segments, second_segments)
def test_offsets_invert_exactly(proposal, truth):
    proposal, truth = (torch.tensor([x], dtype=torch.float64) for x in (proposal, truth))
    offsets = encode_offsets(proposal, truth)
    torch.testing.assert_close(decode_offsets(proposal, offsets), truth, rtol=0, atol=1e-9)


def test_offsets_hand_worked_from_the_paper():
    # 4.7.2: loc = 20, len = 20 and loc* = 17, len* = 10, so T_c = (20 - 17) / 10 and T_l = log(20 / 10).
    offsets = encode_offsets(torch.tensor([[10.0, 30.0]]), torch.tensor([[12.0, 22.0]]))
    torch.testing.assert_close(offsets, torch.tensor([[0.3, math.log(2)]]))
    # 4.8.2: loc = 4, len = 8, so len* = e^{log 2} 8 = 16 and loc* = 4 - .5 * 16 = -4: [-12, 4].
    refined = decode_offsets(torch.tensor([[0.0, 8.0]]), torch.tensor([[0.5, -math.log(2)]]))
    torch.testing.assert_close(refined, torch.tensor([[-12.0, 4.0]]))


def test_offsets_of_the_truth_are_zero_and_of_others_without_unit():
    truths = torch.tensor([[[1.0, 3.0], [4.0, 9.0]]])  # leading dimensions are kept
    assert torch.equal(encode_offsets(truths, truths), torch.zeros(1, 2, 2))
    assert torch.equal(decode_offsets(truths, torch.zeros(1, 2, 2)), truths)
    proposals = truths + torch.tensor([-1.0, 2.0])
    torch.testing.assert_close(encode_offsets(proposals * 25, truths * 25), encode_offsets(proposals, truths))


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ([2.0, 5.0], [2.0, 5.0]),
        ([-3.0, 4.0], [0.0, 4.0]),
        ([8.0, 15.0], [8.0, 10.0]),
        ([-3.0, 15.0], [0.0, 10.0]),
        ([4.9, 5.1], [4.5, 5.5]),  # too short: widened about its centre
        ([0.0, 0.2], [0.0, 1.0]),  # too short at an end of the video
        ([9.9, 10.0], [9.0, 10.0]),
        ([20.0, 30.0], [9.0, 10.0]),  # outside
        ([-7.0, -5.0], [0.0, 1.0]),
    ],
)
def test_clip_segments(segment, expected):
    clipped = clip_segments(torch.tensor([segment]), duration=10.0, min_length=1.0)
    torch.testing.assert_close(clipped, torch.tensor([expected]))


@given(st.floats(-50, 50), st.floats(0.001, 50), st.floats(0.5, 30), st.floats(0.01, 5))
def test_clipped_segments_lie_inside_and_are_long_enough(start, length, duration, min_length):
    segment = torch.tensor([[start, start + length]], dtype=torch.float64)
    low, high = clip_segments(segment, duration, min_length)[0].tolist()
    assert -1e-9 <= low <= high <= duration + 1e-9
    assert high - low >= min(min_length, duration) - 1e-9
    if start >= 0 and start + length <= duration and length >= min_length:
        assert [low, high] == pytest.approx(segment[0].tolist(), abs=1e-9)
    if duration <= min_length:
        assert [low, high] == pytest.approx([0, duration])


@given(st.lists(step_segments, max_size=5), st.floats(0.01, 10))
def test_steps_survive_the_way_to_seconds_and_back(segments, seconds_per_step):
    steps = torch.tensor(segments).reshape(-1, 2).clamp(min=0)
    steps[:, 1] = torch.maximum(steps[:, 1], steps[:, 0] + 1)
    seconds = steps_to_seconds(steps, seconds_per_step)
    assert seconds.dtype == torch.float64
    assert torch.equal(seconds_to_steps(seconds, seconds_per_step, num_steps=50), steps)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ([1.0, 2.0], [2, 4]),
        ([1.1, 2.2], [2, 4]),
        ([1.3, 2.4], [3, 5]),
        ([1.0, 1.1], [2, 3]),  # empty after rounding
        ([4.9, 5.0], [9, 10]),  # empty after rounding, at the end of the video
        ([-3.0, 0.1], [0, 1]),
        ([3.0, 99.0], [6, 10]),
        ([50.0, 99.0], [9, 10]),
    ],
)
def test_seconds_become_the_nearest_steps(segment, expected):
    steps = seconds_to_steps(torch.tensor([segment], dtype=torch.float64), 0.5, num_steps=10)
    assert steps.dtype == torch.long
    assert steps.tolist() == [expected]


def test_segments_become_float64_and_iterate():
    segments = Segments([[0, 1], [2, 5]], [1, 2])
    assert segments.bounds.dtype == segments.scores.dtype == torch.float64
    assert len(segments) == 2
    assert list(segments) == [(0.0, 1.0), (2.0, 5.0)]
    with pytest.raises(AttributeError):
        segments.bounds = torch.zeros(0, 2)
    empty = Segments([], [])
    assert len(empty) == 0
    assert empty.bounds.shape == (0, 2)
    assert len(empty.top(3, nms_threshold=0.5)) == 0


def test_indexing_keeps_scores_with_their_segments():
    segments = Segments([[0, 1], [2, 5], [3, 4]], [0.1, 0.2, 0.3])
    chosen = segments[torch.tensor([2, 0])]
    assert list(chosen) == [(3.0, 4.0), (0.0, 1.0)]
    assert chosen.scores.tolist() == [0.3, 0.1]
    assert list(segments[1:]) == [(2.0, 5.0), (3.0, 4.0)]
    assert Segments([[0, 1], [2, 5]])[:1].scores is None


@given(
    st.lists(st.tuples(step_segments, st.integers(0, 4)), max_size=10),
    st.integers(1, 4),
    st.none() | st.sampled_from([0.2002, 0.5005]),
)
def test_top_is_the_head_of_ranking_and_suppression(ranked, n, threshold):
    bounds, scores = [list(segment) for segment, _ in ranked], [float(score) for _, score in ranked]
    kept = nms_by_loops(bounds, scores, 1.0 if threshold is None else threshold, n)
    top = Segments(bounds, scores).top(n, threshold)
    assert list(top) == [tuple(map(float, bounds[i])) for i in kept]
    assert top.scores.tolist() == [scores[i] for i in kept]
    ranked = Segments(bounds, scores).ranked()  # equal scores keep their order
    assert list(zip(ranked, ranked.scores.tolist(), strict=True)) == sorted(
        zip(Segments(bounds), scores, strict=True), key=lambda one: -one[1]
    )


def test_refuses_what_is_no_list_of_segments_or_scores():
    for use in (Segments([[0, 1]]).ranked, lambda: Segments([[0, 1]]).top(1)):
        with pytest.raises(SegmentError, match="carry no scores"):
            use()
    for scores in ([1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], 1.0):
        with pytest.raises(SegmentError, match="one score per segment, 2 in all"):
            Segments([[0, 1], [2, 3]], scores)
    for bounds in ([1.0, 2.0, 3.0], [[1.0, 2.0, 3.0, 4.0]], [[1.0], [2.0]], 3.0):
        with pytest.raises(SegmentError, match=r"Expected segments as \[M, 2\] \(got shape"):
            Segments(bounds)


@pytest.mark.parametrize("bad", [[2.0, 2.0], [3.0, 1.0], [float("nan"), 1.0], [0.0, float("inf")]])
def test_refuses_segments_that_are_empty_reversed_or_not_finite(bad):
    with pytest.raises(SegmentError, match=r"segment 1 = \[.*\) is not finite, empty or reversed"):
        Segments([[0.0, 1.0], bad])


@pytest.mark.parametrize("outside", [[-0.5, 1.0], [9.0, 10.5], [11.0, 12.0], [0.0, 10.001]])
def test_check_segments_refuses_those_outside_a_video(outside):
    segments = torch.tensor([[0.0, 10.0], outside])
    with pytest.raises(SegmentError, match=r"The label 1 = \[.*\) lies outside its video \[0, 10\)"):
        check_segments(segments, duration=10.0, what="label")
    assert check_segments(segments) is segments
    check_segments(torch.tensor([[-1e-7, 10 + 1e-7]], dtype=torch.float64), duration=10.0)  # of rounding


@pytest.mark.parametrize("seed", range(20))
def test_covering_maximum_is_that_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    num_steps = int(rng.integers(1, 60))
    start = rng.integers(0, num_steps, 30)
    end = [int(rng.integers(s + 1, num_steps + 1)) for s in start]
    windows, scores = torch.tensor(np.stack([start, end], 1)), torch.from_numpy(rng.normal(size=30))
    expected = torch.full((num_steps,), -torch.inf, dtype=torch.float64)
    for (first, last), score in zip(windows.tolist(), scores, strict=True):
        expected[first:last] = torch.maximum(expected[first:last], score)
    assert torch.equal(covering_maximum(windows, scores, num_steps), expected)


def test_where_no_window_is_nothing_is_covered():
    nothing = Ranking(torch.empty(0, 2, dtype=torch.int64), Segments(torch.empty(0, 2), torch.empty(0)))
    assert covering_maximum(nothing.windows, torch.empty(0), 3).tolist() == [-math.inf] * 3
    assert nothing.curve(3, least=-1.0).tolist() == [-1.0] * 3
    with pytest.raises(SegmentError, match="No window has a score"):
        nothing.curve(3)


def test_spans_are_text_and_back_with_every_digit():
    segments = torch.tensor([[0.1, 1 / 3], [2.0, 1e-3 + 7]], dtype=torch.float64)
    assert torch.equal(read_spans(spans_text(segments)), segments)
    assert spans_text(torch.tensor([[0.5, 2.0]], dtype=torch.float64)) == "0.5:2.0"
    assert spans_text(segments[:0]) == ""
    assert read_spans("").shape == (0, 2)
    for text in ("1:2:3", "a:b", "1:2;3"):
        with pytest.raises(SegmentError, match=r"such as '0\.5:2\.0;7\.0:9\.25'"):
            read_spans(text)


@given(st.lists(step_segments, min_size=1, max_size=9))
def test_moments_share_at_most_half_of_the_shorter(bounds):
    scores = torch.arange(len(bounds), 0, -1)
    found = Segments(torch.tensor(bounds), scores).moments(len(bounds))
    kept = []
    for start, end in bounds:
        if all((min(end, b) - max(start, a)) <= 0.5 * min(end - start, b - a) for a, b in kept):
            kept.append((start, end))
    assert list(found) == kept
