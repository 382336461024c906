import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool, TripletSampler
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.proposals.sliding_window import SlidingWindows

PROPOSALS = SlidingWindows(shortest=4, longest=30)


def overlap(a, b):
    first, second = set(range(*a)), set(range(*b))
    return len(first & second) / len(first | second)


def best_overlap(window, instances):
    return max((overlap(window, instance) for instance in instances), default=0.0)


def make_split(queries, references):
    """Queries ``(label, video_id)`` and references ``(video_id, sources, [(label, start, end), ...])``."""
    videos = []
    for video_id, sources, instances in references:
        segments = torch.tensor([[float(start), float(end)] for _, start, end in instances])
        labels = tuple(label for label, *_ in instances)
        videos.append(Reference(torch.randn(40, 2), 1.0, segments, labels, video_id, sources))
    clips = [Query(torch.randn(6, 2), 1.0, label, video_id) for label, video_id in queries]
    return RelocalizationSplit("train", clips, videos, [])


@pytest.fixture(scope="module")
def pool(small_splits):
    return TrainingPool(small_splits["train"])


@pytest.fixture(scope="module")
def woven():
    """References made of the queries' own videos, so that a careless draw meets the query again."""
    videos = [(label, f"{label}{number}") for label in "ab" for number in range(3)]
    references = [
        (f"r{i}", (videos[i][1], videos[-1 - i][1]), [(videos[i][0], 3, 12), (videos[-1 - i][0], 20, 33)])
        for i in range(6)
    ]
    return TrainingPool(make_split(videos, references))


def draws(sampler, pool, count):
    return [sampler.draw(pool, np.random.default_rng(seed)) for seed in range(count)]


def same_episode(one, other):
    return one.query is other.query and all(
        a.reference is b.reference and all(map(torch.equal, a[1:], b[1:]))
        for a, b in zip(one.candidates, other.candidates, strict=True)
    )


SAMPLERS = [
    TripletSampler(PROPOSALS),
    TripletSampler(PROPOSALS, positive_jitter=0.1, same_reference_negative=0.5),
    GradedSampler(num_candidates=8),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["triplet", "jittered", "graded"])
def test_the_state_of_rng_decides_the_episode(sampler, pool):
    first, again = draws(sampler, pool, 10), draws(sampler, pool, 10)
    assert all(map(same_episode, first, again))
    assert not all(same_episode(first[0], other) for other in first[1:])


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["triplet", "jittered", "graded"])
def test_no_candidate_is_from_the_video_of_the_query(sampler, woven):
    for episode in draws(sampler, woven, 150):
        assert not any(group.reference.shares_source(episode.query) for group in episode.candidates)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["triplet", "jittered", "graded"])
def test_overlaps_and_truths_of_the_first_group_are_those_of_the_answers(sampler, pool):
    for episode in draws(sampler, pool, 60):
        group = episode.candidates[0]
        answers = group.reference.steps_of(episode.query.label).tolist()
        assert answers
        assert len(group.windows) == len(group.truths) == len(group.overlaps)
        assert group.overlaps.dtype == torch.float32
        windows, truths = group.windows.tolist(), group.truths.tolist()
        for window, truth, value in zip(windows, truths, group.overlaps, strict=True):
            assert 0 <= window[0] < window[1] <= group.reference.num_steps
            assert float(value) == pytest.approx(best_overlap(window, answers))
            assert truth in answers
            assert overlap(window, truth) == pytest.approx(float(value))


def test_the_positive_is_the_proposal_of_greatest_overlap(pool):
    for episode in draws(TripletSampler(PROPOSALS), pool, 60):
        positive = episode.candidates[0]
        proposals = PROPOSALS(positive.reference.num_steps).tolist()
        answers = positive.reference.steps_of(episode.query.label).tolist()
        assert positive.windows[0].tolist() in proposals
        assert float(positive.overlaps) == pytest.approx(max(best_overlap(p, answers) for p in proposals))


class Listed:
    """Proposals that are the same for every video."""

    def __init__(self, *windows):
        self.windows = torch.tensor(windows)

    def propose(self, video):
        return self.windows


def test_of_two_answers_the_better_proposed_is_positive_in_every_draw():
    """So is the negative: of both videos the best proposal counts (paper section 5.2.1)."""
    answers, others = [("a", 3, 12), ("a", 20, 37)], [("b", 20, 37), ("b", 3, 12)]
    split = make_split([("a", "q")], [("r", (), answers), ("s", (), others)])
    proposals = Listed([0, 40], [22, 30], [3, 12])
    best = [max(overlap(p, answer[1:]) for p in proposals.windows.tolist()) for answer in answers]
    assert best == [1.0, pytest.approx(8 / 17)]
    for episode in draws(TripletSampler(proposals), TrainingPool(split), 30):
        positive, negative = episode.candidates
        assert positive.windows.tolist() == positive.truths.tolist() == [[3, 12]]
        assert positive.overlaps.tolist() == [1.0]
        assert negative.windows.tolist() == [[3, 12]]


def test_every_answer_of_a_reference_becomes_a_jittered_positive():
    split = make_split([("a", "q")], [("r", (), [("a", 3, 12), ("a", 25, 35)]), ("s", (), [("b", 0, 9)])])
    episodes = draws(TripletSampler(PROPOSALS, positive_jitter=0.05), TrainingPool(split), 30)
    chosen = {tuple(episode.candidates[0].truths[0].tolist()) for episode in episodes}
    assert chosen == {(3, 12), (25, 35)}


def test_the_negative_is_a_good_proposal_of_another_class(pool):
    for episode in draws(TripletSampler(PROPOSALS), pool, 100):
        positive, negative = episode.candidates
        assert negative.reference is not positive.reference
        assert negative.overlaps.tolist() == [0.0]
        assert torch.equal(negative.truths, negative.windows)
        window = negative.windows[0].tolist()
        proposals = PROPOSALS(negative.reference.num_steps).tolist()
        assert window in proposals
        labels = set(negative.reference.labels) - {episode.query.label}
        others = [instance for label in labels for instance in negative.reference.steps_of(label).tolist()]
        # It is the best proposal of one of the other instances, and shows the query's class less than that.
        fits = [o for o in others if overlap(window, o) == max(overlap(p, o) for p in proposals)]
        assert fits
        own = negative.reference.steps_of(episode.query.label).tolist()
        assert best_overlap(window, own) < best_overlap(window, fits)


def test_the_negative_is_of_every_other_class(pool):
    episodes = draws(TripletSampler(PROPOSALS), pool, 300)
    query, seen = episodes[0].query.label, set()
    for negative in (episode.candidates[1] for episode in episodes if episode.query.label == query):
        window, reference = negative.windows[0].tolist(), negative.reference
        for label in reference.labels:
            if best_overlap(window, reference.steps_of(label).tolist()) > 0.7:
                seen.add(label)
    assert seen >= set(pool.by_label) - {query}


def test_a_negative_of_the_same_reference_is_badly_placed(pool):
    for episode in draws(TripletSampler(PROPOSALS, same_reference_negative=1.0), pool, 60):
        positive, negative = episode.candidates
        assert negative.reference is positive.reference
        answers = negative.reference.steps_of(episode.query.label).tolist()
        value = best_overlap(negative.windows[0].tolist(), answers)
        assert float(negative.overlaps) == pytest.approx(value)
        assert value < 0.5


def test_negatives_of_the_same_reference_are_as_frequent_as_asked(pool):
    episodes = draws(TripletSampler(PROPOSALS, same_reference_negative=0.3), pool, 300)
    share = np.mean([e.candidates[0].reference is e.candidates[1].reference for e in episodes])
    assert 0.2 < share < 0.4


def test_a_jittered_positive_is_near_the_answer(pool):
    sampler = TripletSampler(PROPOSALS, positive_jitter=0.1)
    groups = [episode.candidates[0] for episode in draws(sampler, pool, 200)]
    overlaps = torch.cat([group.overlaps for group in groups])
    assert 0.75 < overlaps.mean() < 0.97
    starts = torch.cat([(group.windows - group.truths)[:, 0] for group in groups])
    assert (starts < 0).any()
    assert (starts > 0).any()


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.15, 3.0]), st.sampled_from([1, 6, 25]))
def test_graded_windows_are_inside_and_long_enough(pool, seed, jitter, shortest):
    sampler = GradedSampler(num_candidates=12, jitter=jitter, shortest=shortest)
    (group,) = sampler.draw(pool, np.random.default_rng(seed)).candidates
    assert group.windows.shape == (12, 2)
    assert group.windows.dtype == torch.long
    lengths = group.windows[:, 1] - group.windows[:, 0]
    assert (lengths >= min(shortest, group.reference.num_steps)).all()
    assert (group.windows >= 0).all()
    assert (group.windows <= group.reference.num_steps).all()


def test_graded_windows_without_jitter_are_answers_and_instances(pool):
    for episode in draws(GradedSampler(num_candidates=16, jitter=0.0, shortest=1), pool, 20):
        (group,) = episode.candidates
        instances = (group.reference.segments / group.reference.seconds_per_step).round().long().tolist()
        answers = group.reference.steps_of(episode.query.label).tolist()
        assert group.windows[0].tolist() in answers
        assert group.windows[:4].tolist() == [group.windows[0].tolist()] * 4
        assert all(window in instances for window in group.windows[4:8].tolist())
        ends = {end for instance in instances for end in instance}
        for start, end in group.windows[8:12].tolist():  # about an end of an instance, cut at the video's
            if start > 0 and end < group.reference.num_steps:
                assert min(abs((start + end) / 2 - at) for at in ends) <= 1


def test_graded_overlaps_reach_from_right_to_wrong(pool):
    sampler = GradedSampler(num_candidates=24)
    overlaps = torch.stack([episode.candidates[0].overlaps for episode in draws(sampler, pool, 100)])
    assert overlaps[:, :6].mean() > 0.6
    assert (overlaps == 0).float().mean() > 0.15
    assert ((overlaps > 0.2) & (overlaps < 0.6)).float().mean() > 0.15


def test_a_pool_uses_queries_that_another_video_answers():
    queries = [("a", "q0"), ("a", "q1"), ("b", "q2"), ("c", "q3"), ("c", "r3")]
    references = [("r0", ("q0",), [("a", 0, 9)]), ("r1", ("q2", "q1"), [("b", 0, 9)])]
    split = make_split(queries, [*references, ("r3", (), [("c", 0, 9)])])
    pool = TrainingPool(split)
    assert pool.usable == [1, 3]  # q0 and q2 are in the only reference of their class, r3 is its own
    assert pool.by_label == {"a": [0], "b": [1], "c": [2]}
    assert {pool.draw_query(np.random.default_rng(seed)).video_id for seed in range(30)} == {"q1", "q3"}
    assert pool.draw_match(split.queries[1], np.random.default_rng(0)).video_id == "r0"


def test_a_pool_without_a_usable_query():
    split = make_split([("a", "q0")], [("r0", ("q0",), [("a", 0, 9)]), ("r1", (), [("b", 0, 9)])])
    with pytest.raises(DataError, match="No query of split 'train' has a reference of its class from"):
        TrainingPool(split)


@pytest.mark.parametrize(
    "references",
    [
        [("r", (), [("a", 0, 9)]), ("s", (), [("a", 5, 14)])],  # a single class
        [("r", (), [("a", 0, 9), ("b", 20, 29)])],  # another class in the positive reference only
        [("r", (), [("a", 0, 9)]), ("s", ("q",), [("b", 5, 14)])],  # or in the query's own video
    ],
)
def test_triplets_need_another_class_in_another_reference(references):
    pool = TrainingPool(make_split([("a", "q")], references))
    with pytest.raises(DataError, match="no other class than 'a' in a further reference"):
        TripletSampler(PROPOSALS).draw(pool, np.random.default_rng(0))
    GradedSampler().draw(pool, np.random.default_rng(0))


def test_where_no_proposal_is_bad_the_negative_is_of_another_class():
    split = make_split([("a", "q")], [("r", (), [("a", 0, 40)]), ("s", (), [("b", 5, 14)])])
    sampler = TripletSampler(SlidingWindows(shortest=40, longest=40), same_reference_negative=1.0)
    episode = sampler.draw(TrainingPool(split), np.random.default_rng(0))
    assert episode.candidates[1].reference.video_id == "s"


def test_refuses_candidates_that_are_no_four_equal_parts():
    with pytest.raises(SettingsError, match="num_candidates"):
        GradedSampler(num_candidates=10)
