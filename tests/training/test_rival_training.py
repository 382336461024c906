import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from tests.training.conftest import WINDOWS
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import CheckpointError
from vreloc_pyg.systems.catalog import RIVALS
from vreloc_pyg.systems.spec import RivalTraining
from vreloc_pyg.training.rivals import ExampleDataset, RivalData, bucketed, train_rival

RIVAL = RIVALS["matching-transformer"]
SMALL = {"hidden_channels": 16, "num_layers": 1}
SETTINGS = {"batch_size": 3, "steps_per_epoch": 2, "gradient_clip": 1.0}


def run(splits, folder, epochs=2, rival=RIVAL, **options):
    torch.manual_seed(0)
    network = rival.build(8, SMALL)
    training = RivalTraining(epochs=epochs, **SETTINGS)
    data = RivalData(rival, training, splits["train"], splits["validation"], WINDOWS)
    return train_rival(rival, network, data, folder, progress=False, **options)


@pytest.fixture
def finished(splits, tmp_path):
    return run(splits, tmp_path / "whole"), tmp_path / "whole"


def test_the_best_checkpoint_is_returned(finished):
    network, folder = finished
    curves = pd.read_csv(folder / "metrics.csv")
    assert curves["train/loss"].notna().any()
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert not network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, best[f"network.{name}"])


def test_a_resumed_run_ends_as_one_that_was_not_interrupted(finished, splits, tmp_path):
    _, whole = finished
    run(splits, tmp_path / "parts", epochs=1)
    run(splits, tmp_path / "parts", epochs=2, resume=True)
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (whole, tmp_path / "parts")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_nothing_to_resume(splits, tmp_path):
    with pytest.raises(CheckpointError, match="Nothing to resume"):
        run(splits, tmp_path, resume=True)


def test_epochs_draw_different_examples(splits):
    pool = TrainingPool(splits["train"])
    first, again, other = (ExampleDataset(pool, RIVAL, 4, seed=0, epoch=e)[1] for e in (0, 0, 1))
    assert str(first) == str(again)
    assert str(first) != str(other)


def test_the_gradient_is_clipped(splits, tmp_path, monkeypatch):
    seen = []
    step = torch.optim.AdamW.step

    def spy(self, closure=None, **options):
        found = step(self, closure, **options)
        norms = [p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]
        seen.append(float(torch.stack(norms).norm()))
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    monkeypatch.setitem(SETTINGS, "gradient_clip", 1e-3)
    run(splits, tmp_path)
    assert len(seen) == 4
    assert max(seen) < 1.001e-3


def test_batches_of_like_lengths(splits):
    pool = TrainingPool(splits["train"])
    drawn = [RIVAL.draw(pool, np.random.default_rng(seed), None) for seed in range(12)]
    batches = bucketed(drawn, 3, [0, 1])
    assert sorted(id(one) for batch in batches for one in batch) == sorted(map(id, drawn))
    spans = sorted((len(batch[0].reference), len(batch[-1].reference)) for batch in batches)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert [list(map(id, batch)) for batch in batches] == [
        list(map(id, batch)) for batch in bucketed(drawn, 3, [0, 1])
    ]
    orders = {tuple(len(b[0].reference) for b in bucketed(drawn, 3, [0, e])) for e in range(6)}
    assert len(orders) > 1


def test_a_run_in_buckets(splits, tmp_path, monkeypatch):
    monkeypatch.setitem(SETTINGS, "buckets", True)
    run(splits, tmp_path)
    assert pd.read_csv(tmp_path / "metrics.csv")["train/loss"].notna().sum() >= 2
