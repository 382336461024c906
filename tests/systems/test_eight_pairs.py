"""MGFFNet learns eight pairs by heart: of the windows it was trained on, it finds the right one."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from tests.small_runs import Bench, small_run
from vreloc_pyg.datasets.sampling import Candidates, Episode
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.catalog import every_system
from vreloc_pyg.systems.mgffnet.episodes import collate_episodes, draw_episode
from vreloc_pyg.systems.mgffnet.presets import MGFFSystem


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


def eight_episodes(split, settings):
    """Draws them, paired, as a recipe does."""
    return partial(draw_episode, None, augmentation=None, sampler=EightPairs(split), pairing=settings)


@pytest.mark.learns
@pytest.mark.parametrize("name", [one.name for one in every_system() if isinstance(one, MGFFSystem)])
def test_learns_eight_pairs_by_heart(small_splits, name):
    """Each at its own learning rate; greater ones drive the paper's into saturation."""
    training = {"schedule": "constant", "l2_weight": 0.0, "weight_decay": 0.0}
    run = small_run(name, {"hidden_channels": 32, "dropout": 0.0}, **training)
    draw = eight_episodes(small_splits["train"], run.network.settings)
    batch = collate_episodes([draw(None) for _ in range(8)])
    bench, network = Bench(run), run.network
    for _ in range(20):
        for _ in range(20):
            bench.step(batch)
        network.eval()
        with torch.no_grad():
            scores = network.model.score_head(network.pool(batch.pairs).graph).view(8, 8)
        # The answer comes first, so that the best of equal scores would be it.
        lead = scores[:, 0] - scores[:, 1:].amax(1)
        if lead.min() > 0.01:
            return
        network.train()
    pytest.fail(f"after 400 steps the answers lead by {lead.tolist()}")
