import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging

from vreloc_pyg.errors import CheckpointError, DataError
from vreloc_pyg.localization import Localizer
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.training import make_trainer, train
from vreloc_pyg.training.run import MONITOR, WarmedUpAverage, merge_curves

COLUMNS = [
    "train/ranking_loss",
    "train/regression_loss",
    "validation/R@1(0.5)",
    "validation/R@1(0.7)",
    "validation/mean_tiou",
]


def run(preset, splits, folder, **options):
    return train(preset, splits["train"], splits["validation"], folder, progress=False, **options)


def curves(folder):
    return pd.read_csv(folder / "metrics.csv").sort_index(axis=1)


def saved(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


@pytest.fixture(scope="module")
def whole(small_preset, splits, tmp_path_factory):
    """Four epochs at once, with dropout, augmentation, clipping and averaged weights."""
    folder = tmp_path_factory.mktemp("whole")
    preset = small_preset("recommended", epochs=4)
    assert preset.model.dropout > 0
    assert preset.training.ema_decay is not None
    return preset, folder, run(preset, splits, folder)


def test_a_run_leaves_checkpoints_and_curves(whole):
    preset, folder, model = whole
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    log = pd.read_csv(folder / "metrics.csv")
    assert set(log) == {"epoch", "step", *COLUMNS}
    for name in COLUMNS:
        values = log[["epoch", name]].dropna()
        assert values["epoch"].tolist() == [0, 1, 2, 3]
        assert np.isfinite(values[name]).all()
        if name.startswith("validation"):
            assert values[name].between(0, 1).all()
    assert not model.training
    assert model.settings == preset.model


def test_checkpoints_hold_plain_tensors_only(whole):
    """So that torch.load needs no unpickling of code."""
    _, folder, _ = whole
    for name in ("best", "last"):
        checkpoint = saved(folder, name)
        assert {"state_dict", "optimizer_states", "lr_schedulers", "epoch"} <= checkpoint.keys()
        assert len(checkpoint["optimizer_states"]) == 2


def test_train_returns_the_best_epoch_not_the_last(whole, splits):
    _, folder, model = whole
    log = pd.read_csv(folder / "metrics.csv")[["epoch", MONITOR]].dropna()
    best = saved(folder, "best")
    best_epoch = int(log["epoch"][log[MONITOR].idxmax()])
    assert best["epoch"] == best_epoch
    assert_same_weights(
        {f"model.{key}": value for key, value in model.state_dict().items()}, best["state_dict"]
    )


def test_the_best_checkpoint_is_kept_when_later_epochs_are_worse(small_preset, splits, tmp_path, monkeypatch):
    """A learning rate that ruins the network after the first epoch."""
    preset = small_preset("paper", epochs=3, learning_rate=1e-4)
    judged = iter([0.1, 0.9, 0.4])
    seen = []

    def validation_step(module, batch, batch_idx):
        if batch_idx == 0:
            seen.append(({k: v.clone() for k, v in module.model.state_dict().items()}, next(judged)))
        module.log(MONITOR, torch.tensor(seen[-1][1]), batch_size=1)

    monkeypatch.setattr("vreloc_pyg.training.module.RelocalizationModule.validation_step", validation_step)
    model = run(preset, splits, tmp_path)
    assert_same_weights(model.state_dict(), seen[1][0])
    assert not torch.equal(model.score_head.mlp[0].weight, seen[2][0]["score_head.mlp.0.weight"])


def test_resuming_is_as_if_it_had_not_been_interrupted(whole, splits, tmp_path, small_preset, monkeypatch):
    """Two epochs, then on to four: the same curve and bit-identical weights, averages and optimisers."""
    preset, folder, model = whole

    class Interrupted(Exception):
        pass

    real = torch.nn.utils.clip_grad_norm_
    calls = []

    def clip(*arguments):
        calls.append(1)
        if len(calls) == 2 * 2 * 2 + 1:  # the third epoch's first step; two optimisers, two steps an epoch
            raise Interrupted
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.utils, "clip_grad_norm_", clip)
        with pytest.raises(Interrupted):
            run(preset, splits, tmp_path)
    assert saved(tmp_path)["epoch"] == 1
    torch.rand(17)  # another state of the generator than at the interruption
    resumed = run(preset, splits, tmp_path, resume=True)
    pd.testing.assert_frame_equal(curves(tmp_path), curves(folder), check_exact=True)
    assert_same_weights(resumed.state_dict(), model.state_dict())
    first, second = saved(folder), saved(tmp_path)
    assert_same_weights(first["state_dict"], second["state_dict"])
    for one, other in zip(first["optimizer_states"], second["optimizer_states"], strict=True):
        for number, state in one["state"].items():
            assert all(torch.equal(state[key], other["state"][number][key]) for key in state)
    assert first["lr_schedulers"] == second["lr_schedulers"]
    assert first["global_step"] == second["global_step"]


def test_a_finished_run_goes_on_to_more_epochs(small_preset, splits, tmp_path):
    """With the constant schedule, two epochs and then two more are four."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    expected = run(small_preset("paper", epochs=4), splits, whole)
    run(small_preset("paper", epochs=2), splits, part)
    resumed = run(small_preset("paper", epochs=4), splits, part, resume=True)
    pd.testing.assert_frame_equal(curves(part), curves(whole), check_exact=True)
    assert_same_weights(resumed.state_dict(), expected.state_dict())


def test_resuming_a_finished_run_changes_nothing(small_preset, splits, tmp_path):
    preset = small_preset("recommended")
    model = run(preset, splits, tmp_path)
    before = curves(tmp_path)
    again = run(preset, splits, tmp_path, resume=True)
    assert_same_weights(again.state_dict(), model.state_dict())
    pd.testing.assert_frame_equal(curves(tmp_path), before, check_exact=True)


def test_a_new_run_in_the_same_folder_starts_anew(whole, splits, tmp_path):
    preset, folder, model = whole
    shutil.copytree(folder, tmp_path / "copy")
    again = run(preset, splits, tmp_path / "copy")
    assert_same_weights(again.state_dict(), model.state_dict())
    pd.testing.assert_frame_equal(curves(tmp_path / "copy"), curves(folder), check_exact=True)
    names = sorted(path.name for path in (tmp_path / "copy" / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]


def test_another_seed_gives_another_curve(whole, small_preset, splits, tmp_path):
    _, folder, _ = whole
    run(small_preset("recommended", epochs=1, seed=1), splits, tmp_path)
    losses = [pd.read_csv(where / "metrics.csv")["train/ranking_loss"][0] for where in (folder, tmp_path)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", ["paper", "recommended"])
def test_edges_give_the_losses_of_the_closed_form(small_preset, splits, tmp_path, name):
    logs = []
    for edges in (False, True):
        preset = small_preset(name, epochs=2)
        run(preset, splits, tmp_path / str(edges), edges=edges)
        logs.append(pd.read_csv(tmp_path / str(edges) / "metrics.csv"))
    for column in COLUMNS[:2]:
        losses = [log[column].dropna().to_numpy() for log in logs]
        assert len(losses[0]) == 2
        np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


def test_a_worker_changes_nothing(small_preset, splits, tmp_path):
    preset = small_preset("recommended", epochs=2, steps_per_epoch=1)
    models = [run(preset, splits, tmp_path / str(n), num_workers=n) for n in (0, 1)]
    assert_same_weights(models[0].state_dict(), models[1].state_dict())
    pd.testing.assert_frame_equal(curves(tmp_path / "0"), curves(tmp_path / "1"), check_exact=True)


def test_nothing_to_resume(small_preset, splits, tmp_path):
    with pytest.raises(CheckpointError, match=r"^Nothing to resume: .*last\.ckpt does not exist$"):
        run(small_preset(), splits, tmp_path, resume=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def resumable(whole, tmp_path):
    """A copy of a finished run, to be damaged."""
    preset, folder, _ = whole
    shutil.copytree(folder, tmp_path / "run")
    return preset, tmp_path / "run"


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_truncated_checkpoints_are_refused(resumable, splits, kept):
    preset, folder = resumable
    last = folder / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: "):
        run(preset, splits, folder, resume=True)


def test_files_that_are_no_checkpoints_are_refused(resumable, splits):
    preset, folder = resumable
    (folder / "checkpoints" / "last.ckpt").write_text("no checkpoint\n")
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: "):
        run(preset, splits, folder, resume=True)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1, 2], torch.zeros(2)])
def test_checkpoints_of_something_else_are_refused(resumable, splits, content):
    preset, folder = resumable
    torch.save(content, folder / "checkpoints" / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: "):
        run(preset, splits, folder, resume=True)


@pytest.mark.parametrize("model", [{"hidden_channels": 4}, {"num_layers": 1}])
def test_checkpoints_of_another_model_are_refused(resumable, small_preset, splits, model):
    _, folder = resumable
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: "):
        run(small_preset("recommended", model, epochs=4), splits, folder, resume=True)


def test_a_failure_in_training_is_not_blamed_on_a_checkpoint(small_preset, splits, tmp_path, monkeypatch):
    def training_step(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("vreloc_pyg.training.module.RelocalizationModule.training_step", training_step)
    with pytest.raises(RuntimeError, match="out of memory"):
        run(small_preset(), splits, tmp_path)


def test_early_stopping_stops(small_preset, splits, tmp_path, monkeypatch):
    judged = iter([0.3, 0.4, 0.2, 0.1, 0.5, 0.6])

    def validation_step(module, batch, batch_idx):
        module.log(MONITOR, torch.tensor(next(judged)), batch_size=1)

    monkeypatch.setattr("vreloc_pyg.training.module.RelocalizationModule.validation_step", validation_step)
    preset = small_preset("paper", epochs=6, patience=2, validation_pairs=1)
    run(preset, splits, tmp_path)
    values = pd.read_csv(tmp_path / "metrics.csv")[MONITOR].dropna().tolist()
    assert values == pytest.approx([0.3, 0.4, 0.2, 0.1])
    assert saved(tmp_path, "best")["epoch"] == 1


def test_validation_pairs_limit_what_is_judged(small_preset, splits, tmp_path):
    run(small_preset("paper", epochs=1, steps_per_epoch=1, validation_pairs=1), splits, tmp_path)
    value = pd.read_csv(tmp_path / "metrics.csv")["validation/R@1(0.5)"].dropna().item()
    assert value in (0, 1)


def test_event_files_for_tensorboard_on_request(small_preset, splits, tmp_path):
    preset = small_preset("paper", epochs=1, steps_per_epoch=1)
    run(preset, splits, tmp_path / "with", tensorboard=True)
    run(preset, splits, tmp_path / "without")
    (events,) = (tmp_path / "with" / "tensorboard").glob("events.out.tfevents*")
    assert events.stat().st_size > 0
    assert not (tmp_path / "without" / "tensorboard").exists()
    assert (tmp_path / "with" / "metrics.csv").exists()


def test_the_trained_model_is_the_one_that_was_judged(whole, splits):
    """Mean tIoU of a localizer with the returned model is the best of the curve."""
    preset, folder, model = whole
    localizer = Localizer(model, preset.pairing, preset.proposals, preset.refine)
    split = splits["validation"]
    overlaps = []
    for query, reference in (split[index] for index in range(len(split))):
        answer = localizer.localize(query, reference).bounds
        overlaps.append(temporal_iou(answer, reference.segments_of(query.label)).max().item())
    best = pd.read_csv(folder / "metrics.csv")[MONITOR].max()
    assert np.mean(overlaps) == pytest.approx(best, abs=1e-6)


def test_averaging_follows_the_weights_with_a_decay_that_warms_up():
    average, current = WarmedUpAverage(0.9), torch.ones(2)
    value, expected = torch.zeros(2), 0.0
    for step in range(1, 400):
        value = average(value, current, torch.tensor(step))
        decay = min(0.9, step / (step + 20))
        expected = decay * expected + (1 - decay)
        if step in (1, 5, 179, 180, 399):
            torch.testing.assert_close(value, torch.full((2,), expected))
    # 180 / 200 is the final decay: from here it is a plain exponential average.
    assert average(torch.zeros(1), torch.ones(1), 180).item() == pytest.approx(0.1)
    assert average(torch.zeros(1), torch.ones(1), 10_000).item() == pytest.approx(0.1)


def test_averaged_weights_are_judged_and_saved(small_preset, splits, tmp_path):
    preset = small_preset("recommended", {"dropout": 0.0}, epochs=1, steps_per_epoch=3)
    averaged = run(preset, splits, tmp_path / "averaged")
    plain_preset = small_preset("recommended", {"dropout": 0.0}, epochs=1, steps_per_epoch=3, ema_decay=None)
    plain = run(plain_preset, splits, tmp_path / "plain")
    losses = [
        curves(tmp_path / name)["train/ranking_loss"].dropna().tolist() for name in ("averaged", "plain")
    ]
    assert losses[0] == losses[1]
    own, other = averaged.score_head.mlp[0].weight, plain.score_head.mlp[0].weight
    assert not torch.equal(own, other)
    torch.testing.assert_close(own, other, atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("training", "kinds"),
    [
        ({}, {ModelCheckpoint}),
        ({"patience": 3}, {ModelCheckpoint, EarlyStopping}),
        ({"ema_decay": 0.9}, {ModelCheckpoint, WeightAveraging}),
    ],
)
def test_the_trainer_has_the_callbacks_of_the_settings(small_preset, tmp_path, training, kinds):
    settings = small_preset("paper", **training).training
    trainer = make_trainer(settings, tmp_path, progress=False)
    known = {ModelCheckpoint, EarlyStopping, WeightAveraging}
    assert {type(callback) for callback in trainer.callbacks} & known == kinds
    assert trainer.max_epochs == settings.epochs
    assert trainer.reload_dataloaders_every_n_epochs == 1


def write_part(folder, version, epochs, losses):
    path = folder / "curves" / f"version_{version}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"epoch": epochs, "step": range(len(epochs)), "loss": losses}).to_csv(path, index=False)


def test_merged_curves_drop_what_came_after_the_last_checkpoint(tmp_path):
    write_part(tmp_path, 0, [0, 0, 1, 1, 2], [9, 8, 7, 6, 5.5])  # interrupted in epoch 2
    write_part(tmp_path, 1, [2, 2, 3], [5, 4, 3.5])  # interrupted in epoch 3
    write_part(tmp_path, 2, [3, 4], [3, 2])
    assert merge_curves(tmp_path) == tmp_path / "metrics.csv"
    merged = pd.read_csv(tmp_path / "metrics.csv")
    assert merged["epoch"].tolist() == [0, 0, 1, 1, 2, 2, 3, 4]
    assert merged["loss"].tolist() == [9, 8, 7, 6, 5, 4, 3, 2]


def test_merged_curves_are_in_order_of_their_starts(tmp_path):
    for version in range(11):
        write_part(tmp_path, version, [version], [float(version)])
    merged = pd.read_csv(merge_curves(tmp_path))
    assert merged["loss"].tolist() == list(range(11))


def test_there_must_be_curves_to_merge(tmp_path):
    with pytest.raises(DataError, match="Found no training curves"):
        merge_curves(tmp_path)


def test_it_learns(small_preset, splits, tmp_path):
    preset = small_preset(
        "recommended", epochs=4, steps_per_epoch=6, learning_rate=1e-2, regression_learning_rate=1e-2
    )
    run(preset, splits, tmp_path)
    log = pd.read_csv(tmp_path / "metrics.csv")
    for name in COLUMNS[:2]:
        losses = log[name].dropna().tolist()
        assert losses[-1] < 0.9 * losses[0], name
