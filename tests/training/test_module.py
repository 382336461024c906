import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.small_runs import Bench, small_run
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.training.module import TrainingModule
from vreloc_pyg.training.recipe import Decay, Group, clip_gradients, make_optimizer


def groups_of(*parts, **options):
    return [Group(list(part), 0.1 * (i + 1), 0.0, **options) for i, part in enumerate(parts)]


def test_every_parameter_must_be_in_one_group():
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    first, second = (layer.parameters() for layer in network)
    optimizer = make_optimizer(network, groups_of(first, second))
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.2])
    first, second = network[0], network[1]
    for parts, name, count in (
        ([first.parameters()], r"1\.weight", 0),
        ([first.parameters(), [second.weight]], r"1\.bias", 0),
        ([network.parameters(), second.parameters()], r"1\.weight", 2),
    ):
        with pytest.raises(SettingsError, match=rf"every parameter in one group .*\(got {name} in {count}\)"):
            make_optimizer(network, groups_of(*parts))


def test_groups_of_one_word_share_a_norm():
    values = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    groups = [Group([value], 0.1, 0.0, word) for value, word in zip(values, ("a", "b", "b"), strict=True)]
    optimizer = make_optimizer(nn.ParameterList(values), groups)
    for value, gradient in zip(values, (0.5, 3.0, 4.0), strict=True):
        value.grad = torch.tensor([gradient])
    clip_gradients(optimizer, 1.0)
    assert [value.grad.item() for value in values] == pytest.approx([0.5, 0.6, 0.8], abs=1e-5)


def test_the_decay_schedule():
    """50 steps of warm-up, and the square root of what is left of 4 x 50 = 200 steps, for every rate."""
    bench = Bench(small_run(epochs=4, steps_per_epoch=50))
    seen = []
    for _ in range(201):
        seen.append([group["lr"] for group in bench.optimizer.param_groups])
        bench.optimizer.step()
        bench.scheduler.step()
    for step, factor in (
        (0, 1 / 50),
        (24, 0.5 * math.sqrt(1 - 24 / 200)),
        (49, math.sqrt(1 - 49 / 200)),
        (100, math.sqrt(0.5)),
        (150, 0.5),
        (199, math.sqrt(1 / 200)),
        (200, 0.0),
    ):
        assert seen[step] == pytest.approx([factor * 2e-3, factor * 1e-3], abs=1e-12), step
        assert Decay(200)(step) == pytest.approx(factor, abs=1e-12)
    assert max(rates[0] for rates in seen) == seen[49][0]


def test_the_constant_schedule():
    run = small_run("mgffnet-paper")
    bench, batch = Bench(run), run.batch()
    for _ in range(2):
        bench.step(batch)
        assert [group["lr"] for group in bench.optimizer.param_groups] == [1e-4, 0.1]
    assert bench.scheduler is None


def test_losses_are_added_and_logged_by_name():
    run = small_run("cgbm")
    for losses in (torch.tensor(3.0), {"near": torch.tensor(1.0), "far": torch.tensor(2.0)}):
        recipe = replace(run.recipe, loss=lambda *_, made=losses: made)
        module = TrainingModule(run.network, recipe, run.settings)
        logged = {}
        module.log = lambda name, value, into=logged, **_: into.update({name: value.item()})
        assert module.training_step(None, 0).item() == 3
        assert logged == (
            {"train/near": 1, "train/far": 2} if isinstance(losses, dict) else {"train/loss": 3}
        )


def test_an_epochs_dropout_depends_on_seed_and_number_alone():
    def draw(seed, epoch):
        run = small_run("mgffnet-paper", seed=seed)
        module = TrainingModule(run.network, run.recipe, run.settings)
        module._trainer = SimpleNamespace(current_epoch=epoch)
        module.on_train_batch_start(None, 0)
        first = torch.rand(4).tolist()
        module.on_train_batch_start(None, 1)
        return first, torch.rand(4).tolist()

    assert draw(0, 1) == draw(0, 1)
    firsts = [draw(seed, epoch)[0] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(numbers) for numbers in firsts}) == 3
    first, second = draw(0, 0)
    assert first != second  # steps of one epoch differ


@pytest.mark.parametrize("name", ["mgffnet-paper", "mgffnet", "matching-transformer"])
def test_mixed_precision_changes_training_steps_by_rounding_alone(name):
    """A loss in bfloat16 is that of float32 to some per cent; weights and gradients are not cast."""
    losses = []
    for mixed in (False, True):
        run = small_run(name, mixed_precision=mixed)
        torch.manual_seed(0)  # dropout
        step = TrainingModule(run.network, run.recipe, run.settings).train()
        step.log = lambda *_, **__: None
        loss = step.training_step(run.batch(), 0)
        loss.backward()
        assert {value.dtype for value in run.network.parameters()} == {torch.float32}
        assert {value.grad.dtype for value in run.network.parameters() if value.grad is not None} == {
            torch.float32
        }
        losses.append(loss.item())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
