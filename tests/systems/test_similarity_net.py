"""Similarity-net: its maps by loops, what it cannot see, and that it learns."""

import math

import numpy as np
import pytest
import torch

from tests.small_runs import DATA, WINDOWS, Bench, small_run
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.sequences.pose import PENN_SKELETON, mirror_image
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.similarity_net.distance_maps import reference_maps, window_maps
from vreloc_pyg.systems.similarity_net.similarity_net import SimilarityNetSettings
from vreloc_pyg.systems.spec import Traits


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_maps_of_a_reference_by_loops():
    images, reference, groups = (
        [noise(7, 5, seed=1), noise(7, 5, seed=2)],
        noise(9, 5, seed=3),
        ((0, 2), (2, 5)),
    )
    maps = reference_maps(images, reference, groups, num_query=4)
    assert maps.shape == (4, 4, 9)
    for group, (low, high) in enumerate(groups):
        for i, step in enumerate((0, 2, 4, 6)):
            row = [
                min(float((one[step, low:high] - other[low:high]).norm()) for one in images)
                / math.sqrt(high - low)
                for other in reference
            ]
            assert maps[2 * group, i].tolist() == pytest.approx(row, abs=1e-5)
            ranged = [(value - min(row)) / (max(row) - min(row)) for value in row]
            assert maps[2 * group + 1, i].tolist() == pytest.approx(ranged, abs=1e-5)


def test_maps_of_windows_by_loops():
    maps = noise(2, 4, 20)
    windows = torch.tensor([[3, 11], [0, 5], [12, 20], [0, 20]])
    found = window_maps(maps, windows, num_window=7, context=0.3)
    assert found.shape == (4, 4, 4, 7)
    for parts, (start, end) in zip(found, windows.tolist(), strict=True):
        for t in range(7):
            place = (t + 0.5) / 7 * 1.6 - 0.3
            step = math.floor(start + place * (end - start))
            expected = maps[:, :, step] if 0 <= step < 20 else torch.zeros(2, 4)
            assert torch.equal(parts[:2, :, t], expected)
            assert parts[2, :, t].tolist() == [float(0 <= place < 1)] * 4
            assert parts[3, :, t].tolist() == pytest.approx(
                [place - (i + 0.5) / 4 for i in range(4)], abs=1e-6
            )


def network(skeleton=None, num_features=8):
    torch.manual_seed(0)
    traits = Traits(num_features, skeleton=skeleton)
    return find_learned("similarity-net").build(traits, {"hidden_channels": 8}).eval()


@torch.no_grad()
def test_only_distances_are_seen():
    # A rotation of the feature space changes every feature and no distance.
    net, query, reference = network(), noise(10, 8, seed=1), noise(60, 8, seed=2)
    rotation = torch.linalg.qr(noise(8, 8, seed=3)).Q
    windows = WINDOWS(60)
    scores = net.rank(query, reference, windows).scores
    turned = net.rank(query @ rotation, reference @ rotation, windows).scores
    torch.testing.assert_close(turned, scores, atol=1e-4, rtol=1e-4)
    other = net.rank(query + 1, reference, windows).scores
    assert not torch.allclose(other, scores, atol=1e-3)


@torch.no_grad()
def test_a_query_and_its_mirror_image_are_one():
    width = PENN_SKELETON.num_features
    net, query, reference = network(PENN_SKELETON, width), noise(10, width), noise(60, width, seed=1)
    image = mirror_image(query, *PENN_SKELETON.mirror_features())
    windows = WINDOWS(60)
    scores = [net.rank(one, reference, windows).scores for one in (query, image)]
    torch.testing.assert_close(*scores)


@torch.no_grad()
def test_windows_are_scored_each_by_itself(monkeypatch):
    net, query, reference = network(), noise(10, 8), noise(60, 8, seed=1)
    windows = WINDOWS(60)
    together = net.rank(query, reference, windows).scores
    alone = torch.cat([net.rank(query, reference, window[None]).scores for window in windows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    monkeypatch.setattr("vreloc_pyg.systems.similarity_net.similarity_net.CELLS", 7 * 16 * 24)
    torch.testing.assert_close(net.rank(query, reference, windows).scores, together, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"feature_groups": groups} for groups in ((), ((3, 3),), ((4, 2),), ((-1, 2),))]
    + [{"num_window": 10**6}],
)
def test_maps_that_cannot_be_are_refused(settings):
    with pytest.raises(SettingsError, match=r"feature_groups|num_window"):
        SimilarityNetSettings(**settings)


def test_a_faster_query_is_shorter():
    class Faster:
        speed = 2.0

        def __call__(self, features):
            return features

    class Changes:
        def draw_episode(self, num_features, rng):
            return Faster()

        draw_query = draw_episode

    pool, draw = TrainingPool(DATA.splits["train"]), small_run("similarity-net").recipe.draw
    draw = draw.func, draw.keywords["sampler"]
    plain, fast = (
        draw[0](pool, np.random.default_rng(0), change, sampler=draw[1]) for change in (None, Changes())
    )
    assert torch.equal(plain.windows, fast.windows)
    torch.testing.assert_close(
        fast.log_ratio - plain.log_ratio, torch.full_like(plain.log_ratio, math.log(2))
    )
    lengths = plain.windows[:, 1] - plain.windows[:, 0]
    torch.testing.assert_close(plain.log_ratio, torch.log(lengths / len(plain.query)))
    assert int(lengths.min()) >= DATA.shortest


def test_it_learns_a_batch_by_heart():
    run = small_run("similarity-net", {"dropout": 0.0, "hidden_channels": 16}, learning_rate=3e-3)
    batch, bench = run.batch(4), Bench(run)
    best = torch.stack([one.overlaps for one in batch]).argmax(1)
    for _ in range(150):
        bench.step(batch)
    net = run.network.train()
    with torch.no_grad():
        scores = [
            net(net.cut(net.maps(one.query, one.reference), one.windows), one.log_ratio) for one in batch
        ]
    found = torch.stack(scores).argmax(1)
    picked = [float(one.overlaps[i]) for one, i in zip(batch, found, strict=True)]
    greatest = [float(one.overlaps[i]) for one, i in zip(batch, best, strict=True)]
    assert sum(picked) > 0.9 * sum(greatest)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("num_query", 0, r"num_query .*\(got 0\)"),
        ("context", -0.1, r"context .*\(got -0.1\)"),
        ("mirror_index", (0,), "of one length"),
    ],
)
def test_impossible_settings_are_refused(setting, value, message):
    with pytest.raises(SettingsError, match=message):
        find_learned("similarity-net").settings_for(Traits(8), {setting: value})
