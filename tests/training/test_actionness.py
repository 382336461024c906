import numpy as np
import pandas as pd
import pytest
import torch

from vreloc_pyg.datasets import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.nn.actionness_classifier import ActionnessSettings
from vreloc_pyg.training.actionness import (
    IGNORED,
    ActionnessTraining,
    LabelledReferences,
    actionness_labels,
    train_actionness,
)

SMALL = ActionnessTraining(batch_size=4, crop_steps=24, epochs=3, steps_per_epoch=10, learning_rate=1e-2)


def reference(segments, labels, num_steps=20, features=None):
    features = torch.zeros(num_steps, 2) if features is None else features
    return Reference(features, 1.0, torch.tensor(segments, dtype=torch.float64), tuple(labels), "v")


def test_labels_worked_by_hand():
    one = reference([[4, 9], [12, 16]], ["run", "jump"])
    ignored = actionness_labels(one, ["run"]).tolist()
    #        0  1  2   3   4  5  6  7   8   9 10 11  12  13  14  15 16 ...
    assert ignored == [0, 0, 0, -1, -1, 1, 1, 1, -1, -1, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0]
    background = actionness_labels(one, ["run", "jump"], 1, "background").tolist()
    assert background == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert actionness_labels(one, ["run"], 0).tolist()[4:9] == [1] * 5
    assert IGNORED == -1


def test_borders_stay_inside_the_video():
    one = reference([[0, 20]], ["run"])
    assert actionness_labels(one, ["run"], 3).tolist() == [-1] * 3 + [1] * 14 + [-1] * 3


def toy(classes, seed, num_videos=4):
    """Videos in which any action raises the first feature and its own class another one."""
    generator = torch.Generator().manual_seed(seed)
    references = []
    for number in range(num_videos):
        features = 0.3 * torch.randn(60, 4, generator=generator)
        label = classes[number % len(classes)]
        features[10:30, 0] += 1
        features[40:50, 0] += 1
        segments = torch.tensor([[10.0, 30.0], [40.0, 50.0]]).double()
        references.append(Reference(features, 1.0, segments, (label, label), f"{seed}-{number}"))
    queries = [Query(one.features[10:30], 1.0, one.labels[0], one.video_id) for one in references]
    pairs = [(i, (i + len(classes)) % num_videos) for i in range(num_videos)]
    return RelocalizationSplit("toy", queries, references, pairs)


@pytest.mark.learns
def test_it_learns_what_any_action_looks_like(tmp_path):
    train, validation = toy(["a", "b"], 0), toy(["c", "d"], 1)
    network = ActionnessSettings(4, hidden_channels=8)
    classifier, auc = train_actionness(train, validation, tmp_path, network, SMALL, progress=False)
    assert auc > 0.95
    curve = classifier.actionness(toy(["e"], 2).references[0].features)
    assert curve[12:28].mean() > curve[:8].mean() + 0.3
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert metrics["validation/auc"].max() == pytest.approx(auc, abs=1e-6)
    assert not classifier.training


def start_actionness(folder, epochs, seed=0, **options):
    """A run of a second, with dropout and augmentation."""
    settings = ActionnessTraining(batch_size=2, crop_steps=16, epochs=epochs, steps_per_epoch=2, seed=seed)
    network, change = ActionnessSettings(4, hidden_channels=4), Augmentation(scale=0.2)
    splits = toy(["a", "b"], 0), toy(["c", "d"], 1)
    return train_actionness(*splits, folder, network, settings, change, progress=False, **options)


def test_the_seed_decides_the_run(tmp_path):
    runs = [start_actionness(tmp_path / str(number), 2, seed)[0] for number, seed in enumerate((0, 0, 1))]
    first, again, other = (torch.cat([parameter.flatten() for parameter in run.parameters()]) for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_crops_are_a_function_of_the_random_state():
    references = [reference([[4, 9]], ["run"], 20, torch.randn(20, 2)), reference([[1, 3]], ["run"], 8)]
    query = Query(torch.zeros(3, 2), 1.0, "run", "q")
    labelled = LabelledReferences(RelocalizationSplit("x", [query], references, [(0, 0)]), SMALL)

    def crop(seed, num_steps=24, augmentation=None):
        return labelled.draw(np.random.default_rng(seed), num_steps, augmentation)

    assert str(crop(3)) == str(crop(3))
    starts = set()
    for seed in range(30):
        features, labels = crop(seed)
        assert (features.shape, labels.shape) == ((24, 2), (24,))
        found = 20 if features.any() else 8
        assert torch.equal(features[:found], references[found == 8].features)
        assert torch.equal(labels[:found], labelled.labels[found == 8])
        assert (features[found:] == 0).all()
        assert (labels[found:] == IGNORED).all()  # padding teaches nothing
        short = crop(seed, 6).features
        starts |= {n for n in range(15) if torch.equal(short, references[0].features[n : n + 6])}
    assert len(starts) > 5
    changed = [crop(seed, augmentation=Augmentation(scale=0.5)).features for seed in range(5)]
    assert any(not torch.equal(one, crop(seed).features) for seed, one in enumerate(changed))


def test_balance_and_missing_kinds():
    train = toy(["a", "b"], 0)
    data = LabelledReferences(train, ActionnessTraining(border=0))
    assert data.foreground == pytest.approx(0.5)  # 30 of 60 steps
    everywhere = [reference([[0, 20]], ["run"])]
    query = Query(torch.zeros(3, 2), 1.0, "run", "q")
    split = RelocalizationSplit("x", [query], everywhere, [(0, 0)])
    with pytest.raises(DataError, match="actionness needs both"):
        LabelledReferences(split, SMALL)


@pytest.mark.parametrize(("name", "value"), [("crop_steps", 0), ("border", -1), ("border_label", "nothing")])
def test_impossible_settings(name, value):
    with pytest.raises(SettingsError, match=f"Expected {name} .*got .*{value}"):
        ActionnessTraining(**{name: value})
