import json
import shutil
import tempfile
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from tests.small_runs import SPLITS, small_run
from tests.systems.test_eight_pairs import eight_episodes
from tests.training.test_actionness import start_actionness
from vreloc_pyg.checkpoint import load_weights, save_model
from vreloc_pyg.errors import CheckpointError, DataError, TrainingError
from vreloc_pyg.systems.judging import judge
from vreloc_pyg.training.actionness import AUC
from vreloc_pyg.training.data import ExampleDataset
from vreloc_pyg.training.module import TrainingModule
from vreloc_pyg.training.recipe import MEAN_TIOU
from vreloc_pyg.training.run import WarmedUpAverage, merge_curves

JUDGED = ["validation/R@1(0.5)", "validation/R@1(0.7)", MEAN_TIOU]
COLUMNS = {
    "mgffnet": ["train/ranking_loss", "train/regression_loss", *JUDGED],
    "matching-transformer": ["train/loss", *JUDGED],
    "actionness": ["train/loss", AUC],
}
#: MGFFNet, a rival, and the classifier of steps: one trainer for all.
each_kind = pytest.mark.parametrize("name", COLUMNS)


def start(name, folder, epochs=4, **options):
    """Train, with dropout, augmentation and, but for actionness, clipping and averaged weights."""
    if name == "actionness":
        return start_actionness(folder, epochs, **options)
    run = small_run(name, epochs=epochs)
    return run.network, run.train(folder, **options)


def curves(folder):
    return pd.read_csv(folder / "metrics.csv").sort_index(axis=1)


def saved(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def assert_same_run(folder, network, expected):
    """The curves and the network are those of ``expected``, which gives a folder and a network first."""
    pd.testing.assert_frame_equal(curves(folder), curves(expected[0]), check_exact=True)
    assert_same_weights(network.state_dict(), expected[1].state_dict())


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Function that gives four epochs at once: their folder, the network and its judgement."""

    @cache
    def finished(name):
        folder = tmp_path_factory.mktemp("whole")
        return folder, *start(name, folder)

    return finished


@each_kind
def test_a_run_leaves_checkpoints_and_curves(whole, name):
    folder, network, _ = whole(name)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    log = pd.read_csv(folder / "metrics.csv")
    assert set(log) == {"epoch", "step", *COLUMNS[name]}
    for column in COLUMNS[name]:
        values = log[["epoch", column]].dropna()
        assert values["epoch"].tolist() == [0, 1, 2, 3]
        assert np.isfinite(values[column]).all()
        if column.startswith("validation"):
            assert values[column].between(0, 1).all()
    assert not network.training


@each_kind
def test_train_returns_the_best_epoch_not_the_last(whole, name):
    folder, network, score = whole(name)
    monitor = COLUMNS[name][-1]
    log = pd.read_csv(folder / "metrics.csv")[["epoch", monitor]].dropna()
    best = saved(folder, "best")
    assert best["epoch"] == int(log["epoch"][log[monitor].idxmax()])
    assert score == pytest.approx(log[monitor].max(), abs=1e-6)
    assert_same_weights({f"network.{key}": v for key, v in network.state_dict().items()}, best["state_dict"])
    if name != "actionness":
        with torch.no_grad():
            judged = [judge(network, pair)[MEAN_TIOU].item() for pair in small_run(name).recipe.validation]
        assert np.mean(judged) == pytest.approx(score, abs=1e-6)


def test_the_best_is_kept_and_training_stops_when_later_epochs_are_worse(tmp_path, monkeypatch):
    judged, seen = iter([0.3, 0.4, 0.2, 0.1, 0.5, 0.6]), []

    def validation_step(module, batch, batch_idx):
        seen.append({name: value.clone() for name, value in module.network.state_dict().items()})
        module.log(MEAN_TIOU, torch.tensor(next(judged)), batch_size=1)

    monkeypatch.setattr(TrainingModule, "validation_step", validation_step)
    run = small_run("mgffnet-paper", epochs=6, patience=2, validation_pairs=1, learning_rate=1e-4)
    assert run.train(tmp_path) == pytest.approx(0.4)
    assert curves(tmp_path)[MEAN_TIOU].dropna().tolist() == pytest.approx([0.3, 0.4, 0.2, 0.1])
    assert_same_weights(run.network.state_dict(), seen[1])
    weight = "model.score_head.mlp.0.weight"
    assert not torch.equal(seen[1][weight], seen[3][weight])


@each_kind
def test_resuming_is_as_if_it_had_not_been_interrupted(whole, tmp_path, name, monkeypatch):
    """Two epochs, then on to four: the same curve and bit-identical weights, averages and optimiser."""
    folder, _, score = whole(name)
    real, steps = TrainingModule.training_step, []

    def interrupted(module, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == 2 * 2 + 1:  # the third epoch's first step
            raise RuntimeError("out of memory")
        return real(module, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingModule, "training_step", interrupted)
        with pytest.raises(RuntimeError, match="out of memory"):
            start(name, tmp_path)
    assert saved(tmp_path)["epoch"] == 1
    torch.rand(17)  # another state of the generator than at the interruption
    resumed, again = start(name, tmp_path, resume=True)
    assert again == score
    assert_same_run(tmp_path, resumed, whole(name))
    first, second = saved(folder), saved(tmp_path)
    assert_same_weights(first["state_dict"], second["state_dict"])
    (one,), (other,) = first["optimizer_states"], second["optimizer_states"]
    assert len(one["state"]) > 0
    for number, state in one["state"].items():
        assert all(torch.equal(state[key], other["state"][number][key]) for key in state)
    assert first["lr_schedulers"] == second["lr_schedulers"]
    assert [schedule["last_epoch"] for schedule in first["lr_schedulers"]] == [8] * (name == "mgffnet")
    assert first["global_step"] == second["global_step"] == 8


def test_a_finished_run_goes_on_to_more_epochs(whole, tmp_path):
    """With a constant schedule, two epochs and then two more are four."""
    start("matching-transformer", tmp_path, epochs=2)
    resumed, _ = start("matching-transformer", tmp_path, resume=True)
    assert_same_run(tmp_path, resumed, whole("matching-transformer"))


def test_a_run_says_its_processor_seconds_those_before_an_interruption_included(tmp_path, monkeypatch):
    """On a clock that moves by a second a training step."""
    real, now = TrainingModule.training_step, [100.0]

    def timed(module, batch, batch_idx):
        now[0] += 1
        return real(module, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", timed)
    monkeypatch.setattr("vreloc_pyg.training.run.process_time", lambda: now[0])
    start("matching-transformer", tmp_path, epochs=2)
    assert json.loads((tmp_path / "run.json").read_text())["processor_s"] == 4
    now[0] += 1000  # what another program does
    _, score = start("matching-transformer", tmp_path, resume=True)
    assert json.loads((tmp_path / "run.json").read_text()) == {"best": score, "processor_s": 8}


@pytest.fixture
def copied(whole, tmp_path):
    """A copy of a finished run, to be changed."""
    shutil.copytree(whole("mgffnet")[0], tmp_path / "run")
    return tmp_path / "run"


def test_starting_a_finished_run_anew_or_resuming_it_changes_nothing(whole, copied):
    for resume in (False, True):
        again, _ = start("mgffnet", copied, resume=resume)
        assert_same_run(copied, again, whole("mgffnet"))
        assert sorted(path.name for path in (copied / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_another_seed_gives_another_curve(whole, tmp_path):
    small_run(epochs=1, seed=1).train(tmp_path)
    losses = [curves(folder)["train/ranking_loss"].dropna()[0] for folder in (whole("mgffnet")[0], tmp_path)]
    assert losses[0] != losses[1]


def test_a_worker_changes_nothing(whole, tmp_path):
    helped, _ = start("mgffnet", tmp_path, num_workers=1)
    assert_same_run(tmp_path, helped, whole("mgffnet"))


def test_every_epoch_draws_new_examples(tmp_path):
    run, drawn = small_run("cgbm"), []

    def draw(rng):
        drawn.append(run.recipe.draw(rng))
        return drawn[-1]

    replace(run, recipe=replace(run.recipe, draw=draw)).train(tmp_path)
    first, second = (ExampleDataset(run.recipe.draw, 6, 0, epoch) for epoch in (0, 1))
    assert [str(one) for one in drawn] == [str(one[i]) for one in (first, second) for i in range(6)]
    assert len({str(one) for one in drawn}) == 12


@each_kind
def test_nothing_to_resume(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"^Nothing to resume: .*last\.ckpt does not exist$"):
        start(name, tmp_path, resume=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_truncated_checkpoints_are_refused(copied, kept):
    last = copied / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: it is truncated"):
        start("mgffnet", copied, resume=True)


@pytest.mark.parametrize("content", ["no checkpoint\n", {}, {"state_dict": {}}, [1, 2], torch.zeros(2)])
def test_files_of_something_else_are_refused(copied, content):
    last = copied / "checkpoints" / "last.ckpt"
    if isinstance(content, str):
        last.write_text(content)
    else:
        torch.save(content, last)
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: it is .*no checkpoint"):
        start("mgffnet", copied, resume=True)


@pytest.mark.parametrize(
    ("name", "model"), [("mgffnet", {"hidden_channels": 4}), ("mgffnet", {"num_layers": 1}), ("cgbm", {})]
)
def test_checkpoints_of_another_model_are_refused(copied, name, model):
    with pytest.raises(CheckpointError, match=r"^Cannot resume from .*last\.ckpt: it is of another model"):
        small_run(name, model, epochs=4).train(copied, resume=True)


@pytest.mark.parametrize("name", ["mgffnet", "aft-srm"])
def test_every_step_is_clipped(tmp_path, monkeypatch, name):
    """MGFFNet's two groups each, the two of a rival together."""
    seen, step = [], torch.optim.AdamW.step

    def spy(self, closure=None, **options):
        found = step(self, closure, **options)
        norms = {}
        for group in self.param_groups:
            parts = norms.setdefault(group["clipped_with"], [])
            parts.extend(p.grad.norm() for p in group["params"] if p.grad is not None)
        seen.append({word: float(torch.stack(parts).norm()) for word, parts in norms.items() if parts})
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    small_run(name, gradient_clip=1e-3).train(tmp_path)
    assert len(seen) == 4
    assert set(seen[0]) == ({"ranking", "regression"} if name == "mgffnet" else {""})
    for norms in seen:  # all would be greater by far
        assert list(norms.values()) == pytest.approx([1e-3] * len(norms), rel=1e-3)


def test_event_files_for_tensorboard_on_request(whole, tmp_path):
    run = small_run("mgffnet-paper", epochs=1, steps_per_epoch=1)
    run.train(tmp_path, tensorboard=True)
    (events,) = (tmp_path / "tensorboard").glob("events.out.tfevents*")
    assert events.stat().st_size > 0
    assert (tmp_path / "metrics.csv").exists()
    assert not (whole("mgffnet")[0] / "tensorboard").exists()


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


def test_averaged_weights_are_judged_and_saved(tmp_path):
    weights, losses = [], []
    for decay in (0.998, None):
        run = small_run("mgffnet", {"dropout": 0.0}, epochs=1, steps_per_epoch=3, ema_decay=decay)
        run.train(tmp_path / str(decay))
        losses.append(curves(tmp_path / str(decay))["train/ranking_loss"].dropna().tolist())
        weights.append(run.network.model.score_head.mlp[0].weight)
    assert losses[0] == losses[1]
    assert not torch.equal(*weights)
    torch.testing.assert_close(*weights, atol=0.05, rtol=0)


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
    for version in range(3, 12):  # the tenth comes after the ninth, not after the first
        write_part(tmp_path, version, [version + 2], [float(version)])
    assert pd.read_csv(merge_curves(tmp_path))["loss"].tolist()[-9:] == list(range(3, 12))
    with pytest.raises(DataError, match="Found no training curves"):
        merge_curves(tmp_path / "curves")


def test_merged_curves_leave_out_what_was_not_finished(tmp_path):
    write_part(tmp_path, 0, [0, 0, 1], [9, 8, 7])
    path = tmp_path / "curves" / "version_0" / "metrics.csv"
    path.write_text(path.read_text() + "1,3")  # killed while it wrote the line of epoch 12, step 3
    for version, text in ((1, ""), (2, "epoch,step,loss\n"), (3, "epoch,st")):
        write_part(tmp_path, version, [], [])
        (tmp_path / "curves" / f"version_{version}" / "metrics.csv").write_text(text)
    write_part(tmp_path, 4, [1, 2], [6, 5])
    assert pd.read_csv(merge_curves(tmp_path))["loss"].tolist() == [9, 8, 6, 5]


def test_checkpoints_are_made_beside_their_place(tmp_path, monkeypatch):
    """A folder of temporary files may be on another disk, from which nothing is renamed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    start("mgffnet", tmp_path / "run", epochs=1)
    left = sorted(one.name for one in (tmp_path / "run" / "checkpoints").iterdir())
    assert left == ["best.ckpt", "last.ckpt"]


@pytest.mark.learns
def test_it_learns(tmp_path):
    """The same eight episodes in every step: otherwise losses differ more by what is drawn than by epoch."""
    rates = {"learning_rate": 1e-2, "regression_learning_rate": 1e-2}
    run = small_run(epochs=3, steps_per_epoch=8, batch_size=8, **rates)
    draw = eight_episodes(SPLITS["train"], run.network.settings)
    replace(run, recipe=replace(run.recipe, draw=draw)).train(tmp_path)
    log = pd.read_csv(tmp_path / "metrics.csv")
    for column in COLUMNS["mgffnet"][:2]:
        losses = log[column].dropna().tolist()
        assert losses[-1] < 0.9 * losses[0], column


def test_no_path_is_taken_from_a_checkpoint(tmp_path):
    """Lightning removes what a checkpoint calls its earlier files, folders with all they hold."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").write_text("once in a lifetime")
    start("mgffnet", tmp_path / "run", epochs=1)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    crafted = saved(tmp_path / "run")
    for name, state in crafted["callbacks"].items():
        if name.startswith("ModelCheckpoint"):
            for path in (str(precious), f"local://{precious}"):
                state |= {"best_model_path": path, "kth_best_model_path": path, "last_model_path": path}
                state |= {"best_k_models": {path: torch.tensor(-1.0)}, "kth_value": torch.tensor(-1.0)}
    torch.save(crafted, last)
    start("mgffnet", tmp_path / "run", epochs=3, resume=True)
    assert (precious / "photo").exists()
    kept = [state for name, state in saved(tmp_path / "run")["callbacks"].items() if "Checkpoint" in name]
    assert all(str(precious) not in str(state) for state in kept)


@pytest.mark.parametrize("steps", [1, 4])
def test_numbers_that_are_not_finite_end_a_run(tmp_path, steps):
    """After a step of 1e30 the weights overflow, or the next loss does; nothing of it is saved."""
    run = small_run("mgffnet", epochs=2, steps_per_epoch=steps, learning_rate=1e38, gradient_clip=None)
    with pytest.raises(TrainingError, match=r"(not finite|no numbers|The loss is (nan|inf))"):
        run.train(tmp_path)
    assert not list((tmp_path / "checkpoints").glob("*.ckpt"))
    assert not (tmp_path / "run.json").exists()
    if steps > 1:
        assert torch.load(tmp_path / "diverged.pt", weights_only=False)["epoch"] == 0


def test_models_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path):
    model = torch.nn.Linear(2, 2)
    save_model(tmp_path, model, {})
    torch.nn.init.constant_(model.bias, float("nan"))
    with pytest.raises(CheckpointError, match="bias that is not finite is not saved"):
        save_model(tmp_path, model, {})
    load_weights(tmp_path, torch.nn.Linear(2, 2))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds bias that is not finite"):
        load_weights(tmp_path, torch.nn.Linear(2, 2))
