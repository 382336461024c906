import numpy as np
import pytest
import torch

from vreloc_pyg.datasets.synthetic import Synthetic, _World
from vreloc_pyg.errors import SettingsError

NAMES = ("train", "validation", "test")


@pytest.fixture(scope="module")
def splits():
    return Synthetic().splits()


def test_sizes_and_units(splits):
    assert list(splits) == list(NAMES)
    assert [len(splits[name]) for name in NAMES] == [600, 60, 100]
    assert [len(splits[name].classes) for name in NAMES] == [20, 5, 8]
    for split in splits.values():
        assert split.num_features == 32
        assert {clip.seconds_per_step for clip in (*split.queries, *split.references)} == {0.5}
        assert {clip.features.dtype for clip in (*split.queries, *split.references)} == {torch.float32}


def test_classes_are_disjoint(splits):
    shown = [{label for clip in splits[name].references for label in clip.labels} for name in NAMES]
    assert [sorted(labels) for labels in shown] == [list(splits[name].classes) for name in NAMES]
    assert len(set().union(*shown)) == sum(map(len, shown))


def test_every_reference_holds_one_answer_over_background(splits):
    for split in splits.values():
        videos = [clip.video_id for clip in (*split.queries, *split.references)]
        assert len(set(videos)) == len(videos)
        for query, reference in (split[i] for i in range(len(split))):
            assert reference.labels.count(query.label) == 1
            assert 2 <= len(reference.labels) <= 4
            steps = (reference.segments / 0.5).round().long()
            torch.testing.assert_close(steps.double() * 0.5, reference.segments)
            ends = [0, *steps[:, 1].tolist()]
            starts = [*steps[:, 0].tolist(), reference.num_steps]
            assert all(start - end >= 4 for end, start in zip(ends, starts, strict=True))


def test_the_seed_decides_everything(small_synthetic):
    one, again, other = (small_synthetic(seed=seed).splits() for seed in (3, 3, 4))
    for name in NAMES:
        for i in range(len(one[name])):
            for first, second in zip(one[name][i], again[name][i], strict=True):
                assert torch.equal(first.features, second.features)
                assert first.video_id == second.video_id
            assert torch.equal(one[name][i][1].segments, again[name][i][1].segments)
    assert not torch.equal(one["test"].queries[0].features[0], other["test"].queries[0].features[0])


@pytest.mark.parametrize("seed", range(2))
def test_frames_mislead_where_clips_do_not(seed):
    """Figure 2 of the paper: the nearest frame is often of another class, the nearest clip is not."""
    task = Synthetic(seed=seed)
    queries = task.splits()["test"].queries
    rotation = torch.from_numpy(_World(task, np.random.default_rng(seed)).rotation)
    frames = torch.cat([query.features for query in queries]).double()
    action, look = (frames @ rotation.T).chunk(2, dim=1)
    lengths = torch.tensor([query.num_steps for query in queries])
    labels = np.array([query.label for query in queries])
    clip = torch.arange(len(queries)).repeat_interleave(lengths)

    def share_of_nearest_of_the_same_class(points, owner):
        distances = torch.cdist(points, points)
        distances[owner.unsqueeze(1) == owner] = float("inf")
        return float(np.mean(labels[owner[distances.argmin(1)]] == labels[owner]))

    def clips(points):
        parts = points.split(lengths.tolist())
        return torch.stack([torch.cat([part.mean(0), part.std(0, correction=0)]) for part in parts])

    each = torch.arange(len(queries))
    assert share_of_nearest_of_the_same_class(frames, clip) < 0.55
    assert share_of_nearest_of_the_same_class(clips(action), each) > 0.95
    assert share_of_nearest_of_the_same_class(clips(look), each) < 0.3  # of 8 classes
    distances = torch.cdist(clips(action), clips(action))
    same = torch.from_numpy(labels[:, None] == labels)
    assert distances[same & (each != each[:, None])].mean() < 0.6 * distances[~same].mean()


def test_without_look_and_noise_frames_show_the_action_only(small_synthetic):
    task = small_synthetic(look=0.0, noise=0.0)
    rotation = torch.from_numpy(_World(task, np.random.default_rng(0)).rotation).float()
    look = (task.splits()["test"].queries[0].features @ rotation.T)[:, 4:]
    assert look.abs().max() < 1e-5


def test_refuses_an_odd_width_and_fewer_pairs_than_classes():
    with pytest.raises(SettingsError, match=r"num_features \(got 7\)"):
        Synthetic(num_features=7)
    for name in NAMES:
        problem = rf"num_{name} >= num_{name}_classes \(got 3 and 4\)"
        with pytest.raises(SettingsError, match=problem):
            Synthetic(**{f"num_{name}_classes": 4, f"num_{name}": 3})


def test_the_smallest_vocabulary(small_synthetic):
    small_synthetic(num_sub_actions=5).splits()
