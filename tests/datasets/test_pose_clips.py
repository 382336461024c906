import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.pose_clips import PoseClip, compose_split, join_clips
from vreloc_pyg.errors import DataError
from vreloc_pyg.sequences.pose import pose_features


def still(value, num_steps, label="run", video_id="a", seen=True):
    """A clip of one joint in one dimension that stays at ``value``."""
    pose = np.full((num_steps, 1, 1), float(value))
    return PoseClip(video_id, label, pose, np.full((num_steps, 1), seen))


def moving(num_steps, label, video_id, seed):
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(num_steps, 3, 2)).cumsum(0) / 4
    return PoseClip(video_id, label, pose, rng.random((num_steps, 3)) < 0.9)


@pytest.fixture(scope="module")
def clips():
    """Five clips each of four classes."""
    return [
        moving(14 + number, label, f"{label}{number}", seed)
        for seed, (label, number) in enumerate((label, n) for label in "abcd" for n in range(5))
    ]


def positions(reference):
    return reference.features[:, 0].tolist()


def test_a_clip_as_a_query(clips):
    query = clips[3].query(0.1)
    assert (query.label, query.video_id, query.seconds_per_step) == ("a", "a3", 0.1)
    assert np.array_equal(query.features.numpy(), pose_features(clips[3].pose, clips[3].visible))
    assert len(clips[3]) == query.num_steps == 17


def test_cross_fade_hand_worked():
    clips = [still(0, 6, seen=True), still(5, 8, seen=False, label="jump")]
    joined = join_clips(clips, 0.5, "v", fade_steps=4)
    # fade = min(4, 8 // 2, 6 // 2) = 3 steps, with weights 1/4, 2/4, 3/4 of the new clip
    expected = [0.0, 0.0, 0.0, 1.25, 2.5, 3.75, 5.0, 5.0, 5.0, 5.0, 5.0]
    np.testing.assert_allclose(positions(joined), expected)
    np.testing.assert_allclose(joined.features[:, 1], 5 * np.gradient(expected), atol=1e-6)
    assert joined.features[:, 2].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]  # of the larger weight
    assert joined.segments.tolist() == [[0.0, 2.25], [2.25, 5.5]]  # the middle of the fade: 4.5 steps
    assert joined.labels == ("run", "jump")
    assert positions(join_clips(clips, 0.5, "v", fade_steps=0)) == [0.0] * 6 + [5.0] * 8  # a hard cut


def test_the_fade_is_no_longer_than_half_of_a_neighbour():
    joined = join_clips([still(0, 20), still(1, 3), still(0, 20)], 1.0, "v", fade_steps=8)
    assert joined.num_steps == 43 - 1 - 1  # both fades last one step
    assert joined.segments[1].tolist() == [19.5, 21.5]
    one = join_clips([still(0, 1), still(1, 1)], 1.0, "v")
    assert positions(one) == [0.0, 1.0]


def test_every_clip_becomes_an_instance(clips):
    chosen = [clips[0], clips[6], clips[12], clips[1]]
    joined = join_clips(chosen, 0.1, "video", fade_steps=4)
    assert joined.sources == tuple(clip.video_id for clip in chosen)
    assert joined.labels == tuple(clip.label for clip in chosen)
    assert joined.video_id == "video"
    assert joined.num_steps == sum(map(len, chosen)) - 3 * 4
    bounds = joined.segments
    assert bounds[0, 0] == 0
    assert bounds[-1, 1] == pytest.approx(joined.duration_s)
    assert torch.equal(bounds[1:, 0], bounds[:-1, 1])  # no gap
    first = 0
    for clip in chosen:  # beyond the fades the poses are the clips' own
        kept = slice(first + 4, first + len(clip) - 4)
        own = clip.pose[4:-4].reshape(len(clip) - 8, -1)
        np.testing.assert_allclose(joined.features[kept, :6], own, rtol=1e-6)
        first += len(clip) - 4


def test_a_single_clip_is_not_changed(clips):
    joined = join_clips(clips[:1], 0.1, "video")
    assert torch.equal(joined.features, clips[0].query(0.1).features)
    assert joined.segments.tolist() == [[0.0, pytest.approx(1.4)]]


def test_every_reference_holds_one_answer_from_another_clip(clips):
    split = compose_split("train", clips, 40, 0.1, seed=5)
    assert len(split) == 40
    assert split.classes == ("a", "b", "c", "d")
    for number in range(40):
        query, reference = split[number]
        assert query.label == "abcd"[number % 4]  # balanced
        assert reference.labels.count(query.label) == 1
        assert not reference.comes_from(query.video_id)
        assert 4 <= len(reference.labels) <= 8
        assert reference.video_id == f"train-{number:04d}"


def test_answers_are_anywhere_and_distractors_of_every_number(clips):
    split = compose_split("train", clips, 200, 0.1, seed=5, num_distractors=(1, 3))
    pairs = [split[i] for i in range(200)]
    places = {(len(r.labels), r.labels.index(q.label)) for q, r in pairs}
    assert places == {(n, i) for n in (2, 3, 4) for i in range(n)}


def test_every_clip_is_a_query_before_one_is_again(clips):
    split = compose_split("train", clips, 40, 0.1, seed=5)
    ids = [query.video_id for query in split.queries]
    assert sorted(ids[:20]) == sorted(clip.video_id for clip in clips)
    assert ids[20:] == ids[:20]


def test_the_seed_decides_everything(clips):
    first, again, other = (compose_split("train", clips, 12, 0.1, seed) for seed in (1, 1, 2))
    for i in range(12):
        assert torch.equal(first[i][0].features, again[i][0].features)
        assert torch.equal(first[i][1].features, again[i][1].features)
        assert torch.equal(first[i][1].segments, again[i][1].segments)
    assert [r.sources for r in first.references] != [r.sources for r in other.references]


@pytest.mark.parametrize("kept", [[], range(5), [0, 1, 5], [0, 5]])
def test_refuses_too_few_classes_or_clips(clips, kept):
    with pytest.raises(DataError, match="'train' needs at least two classes with two clips each"):
        compose_split("train", [clips[i] for i in kept], 4, 0.1, seed=0)
