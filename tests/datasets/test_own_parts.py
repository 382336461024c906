import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.own_parts import draw_own_part, played_otherwise
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit

SEEDS = st.integers(0, 10_000)


def reference(num_steps, length):
    """Its features tell the step; one instance at the start."""
    ramp = torch.arange(float(num_steps)).unsqueeze(1)
    return Reference(ramp, 0.5, torch.tensor([[0.0, 0.5 * length]]), ("a",), "r")


@given(SEEDS, st.integers(1, 60), st.integers(1, 60))
def test_a_query_is_what_its_place_shows_in_order(seed, num_steps, length):
    video = reference(num_steps, min(length, num_steps))
    query, found, place = draw_own_part([video], np.random.default_rng(seed))
    ((start, end),) = place.tolist()
    assert found is video
    assert query.video_id == "r"
    assert 0 <= start < end <= num_steps
    steps = query.features[:, 0]
    assert steps[0] == start
    assert torch.isclose(steps[-1], torch.tensor(float(end - 1)))
    assert (steps.diff() >= -1e-5).all()


def test_parts_lie_anywhere_and_are_as_long_as_instances_more_or_less():
    draws = [draw_own_part([reference(200, 20)], np.random.default_rng(seed)) for seed in range(300)]
    start, end = torch.cat([place for *_, place in draws]).double().unbind(1)
    assert 15 < (end - start).median() < 25
    assert (start < 60).double().mean() > 0.2
    assert (start > 120).double().mean() > 0.2


def test_speed_changes_from_quarter_to_quarter():
    clip = torch.arange(41.0).unsqueeze(1)
    paces = [played_otherwise(clip, np.random.default_rng(seed))[:, 0].diff() for seed in range(20)]
    assert all(pace.max() > 1.2 * pace.min() for pace in paces)
    lengths = [1 + len(pace) for pace in paces]
    assert min(lengths) < 36
    assert max(lengths) > 46


def test_some_episodes_ask_for_a_part_of_their_own_reference():
    """Without them the draws are what they were before there were any."""
    video = reference(100, 20)
    queries = [Query(torch.zeros(6, 1), 0.5, "a", "q")]
    pool = TrainingPool(RelocalizationSplit("train", queries, [video], []))
    shares = {}
    for share in (0.0, 0.3):
        sampler = GradedSampler(num_candidates=8, jitter=0.0, own_parts=share)
        draws = [sampler.draw(pool, np.random.default_rng(seed)) for seed in range(200)]
        own = [one for one in draws if one.query.video_id == "r"]
        shares[share] = len(own) / len(draws)
        for one in own:
            (group,) = one.candidates
            assert group.overlaps[0] == 1
            assert one.query.features[0, 0] == group.truths[0, 0]
    assert shares[0.0] == 0
    assert 0.2 < shares[0.3] < 0.4
