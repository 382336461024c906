import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.systems import video_level
from vreloc_pyg.systems.spec import Traits
from vreloc_pyg.systems.video_level import (
    VIDEO_LEVEL,
    VideoLevelExample,
    VideoLevelSettings,
    distance_hinge,
    draw_video_level,
    pick_triplet,
    segments_up_to,
    video_level_loss,
)

NONE = torch.empty(0, 2, dtype=torch.long)
SMALL = {"hidden_channels": 6, "longest": 5, "dropout": 0.0}


def tiou(a, b):
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared)


def example(query_steps=4, reference_steps=12, answers=((3, 7),), positive=0.5, negative=0.5):
    return VideoLevelExample(
        torch.randn(query_steps, 4),
        torch.randn(reference_steps, 4),
        torch.tensor(answers),
        positive,
        negative,
    )


def test_segments_are_all_there_are_shortest_then_earliest():
    assert segments_up_to(3, 2).tolist() == [[0, 1], [1, 2], [2, 3], [0, 2], [1, 3]]
    for num_steps, longest in [(1, 1), (1, 9), (7, 3), (7, 7), (7, 9)]:
        expected = [
            [start, start + length]
            for length in range(1, min(longest, num_steps) + 1)
            for start in range(num_steps - length + 1)
        ]
        assert segments_up_to(num_steps, longest).tolist() == expected


@st.composite
def situations(draw):
    num_steps = draw(st.integers(1, 30))
    spans = draw(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 20)), min_size=1, max_size=3))
    answers = [(min(s, num_steps - 1), min(min(s, num_steps - 1) + n, num_steps)) for s, n in spans]
    return num_steps, answers, draw(st.integers(1, 25))


@given(situations(), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_picked_segments_qualify(situation, positive, negative):
    num_steps, answers, longest = situation
    settings = VideoLevelSettings(longest=longest)
    right, wrong = pick_triplet(num_steps, torch.tensor(answers), settings, positive, negative)
    best = {
        (start, end): max(tiou((start, end), answer) for answer in answers)
        for start in range(num_steps)
        for end in range(start + 1, min(start + longest, num_steps) + 1)
    }
    found = best[tuple(right.tolist())]
    assert found > 0.8 or found == pytest.approx(max(best.values()), abs=1e-9)
    if min(end - start for start, end in answers) <= longest:
        assert found > 0.8
    if wrong is None:
        assert min(best.values()) >= 0.2
    else:
        assert best[tuple(wrong.tolist())] < 0.2


def test_every_qualifying_segment_is_equally_likely():
    settings, answers = VideoLevelSettings(longest=9), torch.tensor([[5, 11], [15, 19]])
    overlaps = [
        (tuple(one), max(tiou(one, a) for a in answers.tolist())) for one in segments_up_to(25, 9).tolist()
    ]
    for kind, expected in enumerate(
        ([one for one, overlap in overlaps if overlap > 0.8], [one for one, o in overlaps if o < 0.2])
    ):
        picked = [
            tuple(pick_triplet(25, answers, settings, place, place)[kind].tolist())
            for place in ((i + 0.5) / len(expected) for i in range(len(expected)))
        ]
        assert picked == expected
    assert len(expected) > 50


def test_an_answer_longer_than_longest():
    # No segment of 5 steps has a tIoU above .8 with 10 steps; all inside it have .5.
    settings = VideoLevelSettings(longest=5)
    picked = {
        tuple(pick_triplet(20, torch.tensor([[4, 14]]), settings, place, 0.0)[0].tolist())
        for place in np.linspace(0, 0.99, 40)
    }
    assert picked == {(start, start + 5) for start in range(4, 10)}


def test_no_room_for_a_negative():
    for num_steps in (1, 5):  # a step has a tIoU of 1/5 with the answer, which is not below .2
        answers = torch.tensor([[0, num_steps]])
        assert pick_triplet(num_steps, answers, VideoLevelSettings(), 0.3, 0.3)[1] is None
    assert pick_triplet(6, torch.tensor([[0, 6]]), VideoLevelSettings(), 0.3, 0.3)[1] is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distance_hinge_equals_explicit_loops(dtype):
    query, positive, negative = torch.nn.functional.normalize(torch.randn(3, 7, 5, dtype=dtype), dim=-1)
    expected = [
        max(0.0, float(((q - p) ** 2).sum() - ((q - n) ** 2).sum()) + 0.3)
        for q, p, n in zip(query, positive, negative, strict=True)
    ]
    assert distance_hinge(query, positive, negative, 0.3).tolist() == pytest.approx(expected, abs=1e-6)
    assert 0.0 in expected
    assert max(expected) > 0


def test_the_loss_is_the_mean_over_examples_alone():
    """Each example's share is the same in any batch, padded or not; one without a negative counts with 0."""
    network = VIDEO_LEVEL.build(Traits(4), SMALL)
    examples = [
        example(),
        example(9, 30, [(2, 5), (9, 29)], 0.9, 0.1),
        example(2, 1, [(0, 1)]),
        example(1, 8),
    ]
    expected = []
    for one in examples:
        right, wrong = pick_triplet(
            len(one.reference), one.answers, network.settings, one.positive, one.negative
        )
        if wrong is None:
            expected.append(torch.zeros(()))
            continue
        clips = one.query, one.reference[right[0] : right[1]], one.reference[wrong[0] : wrong[1]]
        states = [torch.nn.functional.normalize(network.encoder(clip[None])[0, -1], dim=0) for clip in clips]
        near, far = ((states[0] - other).square().sum() for other in states[1:])
        expected.append((near - far + 0.2).clamp(min=0))
    torch.testing.assert_close(
        video_level_loss(network, examples), torch.stack(expected).mean(), atol=1e-5, rtol=1e-5
    )


def test_nothing_to_learn_from_references_without_a_negative():
    network = VIDEO_LEVEL.build(Traits(4), SMALL)
    loss = video_level_loss(network, [example(3, 1, [(0, 1)])] * 2)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all((p.grad == 0).all() for p in network.parameters())


@pytest.mark.parametrize(("query_steps", "reference_steps"), [(4, 12), (20, 3), (1, 1), (6, 5)])
def test_the_search_equals_a_run_of_each_segment(query_steps, reference_steps, monkeypatch):
    network = VIDEO_LEVEL.build(Traits(4), {**SMALL, "dropout": 0.4}).eval()
    query, reference = torch.randn(query_steps, 4), torch.randn(reference_steps, 4)
    with torch.no_grad():
        ranked = network.rank(query, reference, NONE)
        assert torch.equal(ranked.windows, segments_up_to(reference_steps, 5))
        own = network.embed([query])[0]
        for (start, end), score in zip(ranked.windows.tolist(), ranked.scores.tolist(), strict=True):
            other = network.embed([reference[start:end]])[0]
            assert score == pytest.approx(-float((own - other).square().sum()), abs=1e-5)
        monkeypatch.setattr(video_level, "STARTS_AT_ONCE", 1)
        torch.testing.assert_close(network.rank(query, reference, NONE).scores, ranked.scores)


def test_of_equal_segments_the_shortest_then_earliest_wins():
    network = VIDEO_LEVEL.build(Traits(4), SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        ranked = network.rank(torch.randn(3, 4), torch.randn(6, 4), NONE)
    assert ranked.scores.unique().numel() == 1
    assert ranked.windows[ranked.scores.argmax()].tolist() == [0, 1]


def test_finds_the_clip_that_the_query_is_a_copy_of():
    network = VIDEO_LEVEL.build(Traits(4), SMALL).eval()
    reference = torch.randn(30, 4)
    ranked = network.rank(reference[11:15], reference, NONE)
    assert ranked.windows[ranked.scores.argmax()].tolist() == [11, 15]


def test_draws_and_lengths_of_a_task(small_splits):
    pool, rng = TrainingPool(small_splits["train"], crop=0.5), np.random.default_rng(3)
    drawn = [draw_video_level(pool, rng, None) for _ in range(5)]
    shares = [share for one in drawn for share in (one.positive, one.negative)]
    assert 0 <= min(shares) < max(shares) < 1
    assert VIDEO_LEVEL.settings_for(Traits(4, longest=200)) == VideoLevelSettings(longest=200)


@pytest.mark.learns
def test_learns_eight_pairs_by_heart(eight_pairs, steps_until_learned):
    """Triplets leave segments between both overlaps alone: they are brought together, to be a hit at .7."""
    settings = {"hidden_channels": 64, "dropout": 0.0, "longest": 32, "margin": 0.5, "negative_overlap": 0.7}
    network = VIDEO_LEVEL.build(Traits(8), settings)
    rng = np.random.default_rng(0)

    def batch():
        return [
            VideoLevelExample(one.query, one.reference, one.answers, rng.random(), rng.random())
            for one in eight_pairs
            for _ in range(4)
        ]

    assert steps_until_learned(VIDEO_LEVEL, network, eight_pairs, batch, 3e-3) is not None
