import numpy as np
import pytest
import torch

from tests.datasets.conftest import moving_clip
from vreloc_pyg.datasets.composer import Composer
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.sequences.pose import PENN_SKELETON, normalize_pose, pose_features

SIZE, ABSENT = 24, 10


@pytest.fixture(scope="module")
def clips():
    """Six clips each of four classes, by three people."""
    return [
        moving_clip(24 + 2 * number, label, f"{label}{number}", 10 * seed + number, person=f"p{number % 3}")
        for seed, label in enumerate("abcd")
        for number in range(6)
    ]


def composed(clips, seed=0, **settings):
    return Composer(**settings).split("test", clips, SIZE, PENN_SKELETON, 0.1, seed, ABSENT)


@pytest.fixture(scope="module")
def split(clips):
    return composed(clips)


def test_pairs_are_balanced_and_absent_ones_lack_the_action(split):
    assert (len(split), len(split.absent), len(split.references)) == (SIZE, ABSENT, SIZE + ABSENT)
    assert [query.label for query in split.queries] == list("abcd") * 6
    counts = [reference.labels.count(query.label) for query, reference in (split[i] for i in range(SIZE))]
    assert set(counts) == {1, 2}
    for query, reference in split.absent:
        assert split.queries[query].label not in split.references[reference].labels


def test_as_many_clips_are_shown_with_a_target_as_without(clips):
    found = composed(clips, several=0, num_distractors=(4, 4))
    assert {len(reference.labels) for reference in found.references} == {5}


def test_a_reference_shows_one_person_and_never_that_of_its_query(split):
    for query, reference in [*split.pairs, *split.absent]:
        shown, asked = split.references[reference], split.queries[query]
        people = [source for source in shown.sources if source.startswith("p")]
        assert len(people) == 1
        assert not shown.shares_source(asked)
        assert asked.video_id not in shown.sources


def test_without_names_of_people_only_the_video_is_another():
    clips = [moving_clip(30, label, f"{label}{i}", i) for label in "ab" for i in range(3)]
    split = composed(clips)
    for query, reference in (split[i] for i in range(SIZE)):
        assert query.sources == ()
        assert not reference.shares_source(query)


def test_annotations_lie_inside_the_joined_clips(split):
    """Clips are cut where they are joined, and the annotation leaves out more."""
    inside = []
    for reference in split.references:
        steps = (reference.segments / 0.1).round().long()
        joins = torch.tensor(reference.joins).view(-1, 2)
        assert len(joins) == len(steps)
        assert (joins[:, 0] <= steps[:, 0]).all()
        assert (steps[:, 1] <= joins[:, 1]).all()
        assert (joins.flatten().diff() > 0).all()
        assert joins[0, 0] >= 16  # background before the first clip,
        assert joins[-1, 1] + 16 <= reference.num_steps  # between them and behind the last
        assert (joins[1:, 0] - joins[:-1, 1] >= 16).all()
        inside.append((joins != steps).double().mean())
    assert torch.stack(inside).mean() > 0.4


def test_the_whole_is_normalised_after_joining(split):
    for reference in split.references[:5]:
        pose = reference.features[:, :26].view(-1, 13, 2).double().numpy()
        np.testing.assert_allclose(normalize_pose(pose, PENN_SKELETON), pose, atol=1e-5)
        np.testing.assert_allclose(pose_features(pose), reference.features, atol=1e-5)


def test_without_variation_a_clip_is_in_its_reference_but_for_jitter(clips):
    split = composed(clips, cut=0, margin=0, speed=0, size=0, turn=0)
    for reference in split.references[:5]:
        first, last = reference.joins[:2]
        source = next(clip for clip in clips if clip.video_id == reference.sources[0])
        pose = reference.features[first:last, :26].double().numpy()
        shown = normalize_pose(source.pose, PENN_SKELETON).reshape(len(source), 26)
        assert last - first == len(source)
        assert np.corrcoef(pose.ravel(), shown.ravel())[0, 1] > 0.98


def test_the_seed_decides_everything(clips, split):
    again, other = composed(clips), composed(clips, seed=1)
    for i in range(SIZE + ABSENT):
        assert torch.equal(again.references[i].features, split.references[i].features)
        assert torch.equal(again.references[i].segments, split.references[i].segments)
    assert [r.sources for r in other.references] != [r.sources for r in split.references]


@pytest.mark.parametrize("kept", [[], range(6), [0, 1, 6], [0, 3, 6, 7]])
def test_refuses_too_few_classes_clips_or_people(clips, kept):
    with pytest.raises(DataError, match="'test' needs at least two classes, each with two clips of diff"):
        composed([clips[i] for i in kept])


def test_refuses_ranges_that_are_none():
    with pytest.raises(SettingsError, match="num_distractors as least and most"):
        Composer(num_distractors=(4, 3))
    with pytest.raises(SettingsError, match="bridge_steps"):
        Composer(bridge_steps=(4, 40))
