import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets import Reference, StoredReference, TrainingPool
from vreloc_pyg.datasets.cropping import crop_reference
from vreloc_pyg.features.lazy import AbsentFeatures, FeaturePart


def make(num_steps=20, segments=((6, 9), (11, 14)), step=0.5, **options):
    features = torch.arange(num_steps * 2.0).view(num_steps, 2)
    bounds = torch.tensor(segments, dtype=torch.float64) * step
    return Reference(features, step, bounds, ("run",) * len(segments), "v", **options)


SEGMENTS = [((6, 9), (11, 14)), ((6.7, 9.2),), ((0, 20),), ((0, 1), (19, 20))]


@given(st.integers(0, 10_000), st.sampled_from(SEGMENTS))
def test_instances_are_kept_whole_and_features_move_along(seed, segments):
    reference = make(segments=segments, offset_s=3.0)
    cropped = crop_reference(reference, np.random.default_rng(seed), 1.0)
    start = round((cropped.offset_s - 3.0) / 0.5)
    assert 0 <= start <= segments[0][0]
    assert segments[-1][1] <= start + cropped.num_steps <= 20
    assert torch.equal(cropped.features, reference.features[start : start + cropped.num_steps])
    torch.testing.assert_close(cropped.segments, reference.segments - start * 0.5)
    assert cropped.labels == reference.labels
    assert (cropped.video_id, cropped.sources) == ("v", ())


def test_every_crop_is_as_likely():
    """Starts 0 to 6 and ends 14 to 20 are uniform: 7 of each."""
    rng = np.random.default_rng(0)
    starts, ends = np.zeros(7), np.zeros(7)
    for _ in range(3500):
        cropped = crop_reference(make(), rng, 1.0)
        start = round(cropped.offset_s / 0.5)
        starts[start] += 1
        ends[start + cropped.num_steps - 14] += 1
    assert (abs(starts - 500) < 100).all()
    assert (abs(ends - 500) < 100).all()


def test_one_draw_decides_for_both_ends():
    rng = np.random.default_rng(0)
    reference = make()
    cropped = [crop_reference(reference, rng, 0.9) for _ in range(2000)]
    unchanged = sum(one is reference for one in cropped)
    assert 0.07 < unchanged / 2000 < 0.13
    assert crop_reference(reference, rng, 0.0) is reference


def test_nothing_is_read_of_a_stored_reference():
    bounds = torch.tensor([[3.0, 4.5]], dtype=torch.float64)
    stored = StoredReference(AbsentFeatures(20), 0.5, bounds, ("run",), "v#3", ("v",), 10.0)
    for seed in range(30):
        cropped = crop_reference(stored, np.random.default_rng(seed), 1.0)
        assert isinstance(cropped, StoredReference)
        assert cropped.sources == ("v",)
        assert 10.0 <= cropped.offset_s <= 13.0
        torch.testing.assert_close(cropped.segments + cropped.offset_s, bounds + 10.0)


def test_cropped_stored_features_are_those_of_the_stretch():
    reference = make()

    class Stored:
        num_steps = 20

        def read(self):
            return reference.features

        def part(self, start, stop):
            return FeaturePart(self, start, stop)

    stored = StoredReference(Stored(), 0.5, reference.segments, reference.labels, "v")
    for seed in range(10):
        one, other = (crop_reference(r, np.random.default_rng(seed), 1.0) for r in (reference, stored))
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.segments, other.segments)


def test_videos_without_instances_stay_whole():
    reference = Reference(torch.zeros(9, 2), 0.5, torch.empty(0, 2), (), "v")
    assert crop_reference(reference, np.random.default_rng(0), 1.0) is reference


def test_a_training_pool_crops_what_answers_a_query(small_splits):
    split = small_splits["train"]
    plain, cropping = TrainingPool(split), TrainingPool(split, crop=1.0)
    query = plain.draw_query(np.random.default_rng(0))
    lengths = set()
    for seed in range(20):
        whole = plain.draw_match(query, np.random.default_rng(seed))
        part = cropping.draw_match(query, np.random.default_rng(seed))
        assert part.video_id == whole.video_id
        assert len(part.segments_of(query.label)) == len(whole.segments_of(query.label))
        lengths.add(whole.num_steps - part.num_steps)
    assert len(lengths) > 2
