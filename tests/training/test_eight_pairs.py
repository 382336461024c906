"""MGFFNet learns eight pairs by heart: of the windows it was trained on, it finds the right one."""

import itertools

import numpy as np
import pytest
import torch

from tests.training.test_module import Bench
from vreloc_pyg.datasets.sampling import Candidates, Episode, TrainingPool
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.known import VARIANTS
from vreloc_pyg.training import EpisodeDataset
from vreloc_pyg.training.data import collate_episodes


class EightPairs:
    """Always the same eight episodes, one after the other: the answer, and seven windows that are not."""

    def __init__(self, split):
        rng, episodes = np.random.default_rng(0), []
        for query, reference in (split[index] for index in range(8)):
            instances = reference.steps_of(query.label)
            ends = np.sort(rng.integers(0, reference.num_steps, size=(200, 2)), axis=1)
            windows = torch.from_numpy(ends[ends[:, 1] - ends[:, 0] > 4])
            wrong = windows[temporal_iou(windows.double(), instances.double()).amax(1) < 0.7][:7]
            windows = torch.cat([instances[:1], wrong])
            overlaps, nearest = temporal_iou(windows.double(), instances.double()).max(1)
            episodes.append(
                Episode(query, [Candidates(reference, windows, instances[nearest], overlaps.float())])
            )
        self.episodes = itertools.cycle(episodes)

    def draw(self, pool, rng):
        return next(self.episodes)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_learns_eight_pairs_by_heart(small_preset, small_splits, name):
    variant = VARIANTS[name]
    model = {"hidden_channels": 32, "dropout": 0.0, **variant.model}
    training = {"learning_rate": 5e-3, "schedule": "constant", "l2_weight": 0.0, "weight_decay": 0.0}
    preset = small_preset(variant.preset, model, **training)
    pool, sampler = TrainingPool(small_splits["train"]), EightPairs(small_splits["train"])
    dataset = EpisodeDataset(pool, sampler, preset.pairing, 8)
    batch = collate_episodes([dataset[index] for index in range(8)])
    bench = Bench(preset)
    for _ in range(20):
        for _ in range(20):
            bench.step(batch)
        model = bench.module.model.eval()
        with torch.no_grad():
            best = model(batch.graphs).score.view(8, 8).argmax(1, keepdim=True)
        if (batch.overlaps.gather(1, best) > 0.7).all():
            return
        model.train()
    pytest.fail(f"after 400 steps: {batch.overlaps.gather(1, best).flatten().tolist()}")
