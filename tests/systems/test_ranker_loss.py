"""The paper's two losses and their two Adams."""

import math

import pytest
import torch
from torch_geometric.data import Batch

from tests.small_runs import Bench, changed, small_run
from vreloc_pyg.nn.losses import l2_penalty, listwise_loss, regression_loss, triplet_loss
from vreloc_pyg.systems.mgffnet.presets import PAPER, RECOMMENDED
from vreloc_pyg.systems.mgffnet.ranker_loss import ranking_loss


@pytest.fixture(params=["mgffnet-paper", "mgffnet", "boundaries"])
def run(request):
    if request.param == "boundaries":
        return small_run(model={"regression": "boundaries"}, learning_rate=1e-2)
    return small_run(request.param, learning_rate=1e-2)


def again(run):
    """The same run with a new network."""
    model = {"regression": run.network.settings.regression}
    return small_run(run.system.name, model, learning_rate=1e-2)


def is_regression(name):
    return name.startswith("model.regression_head.")


def test_the_groups_are_disjoint_and_cover_everything(run):
    ranking, regression = Bench(run).optimizer.param_groups
    names = dict(run.network.named_parameters())
    for group, own in ((ranking, False), (regression, True)):
        expected = {id(parameter) for name, parameter in names.items() if is_regression(name) == own}
        assert {id(parameter) for parameter in group["params"]} == expected
        assert len(group["params"]) == len(expected) > 0
    settings = run.settings
    rates = [group.get("initial_lr", group["lr"]) for group in (ranking, regression)]
    assert rates == [settings.learning_rate, settings.regression_learning_rate]
    assert ranking["weight_decay"] == settings.weight_decay
    assert regression["weight_decay"] == 0


def test_stepping_one_loss_leaves_the_other_group_bit_identical(run):
    bench, batch = Bench(run), run.batch()
    for loss in ("ranking_loss", "regression_loss"):
        before = bench.weights()
        losses = run.recipe.loss(run.network, batch)
        bench.move(losses[loss])
        own = {name for name in before if is_regression(name) == (loss == "regression_loss")}
        for name, parameter in run.network.named_parameters():
            assert (parameter.grad is not None) == (name in own), name
        assert changed(before, bench.weights()) == own
    assert run.network.model.regression_head.mlp[-1].weight.grad.abs().sum() > 0


def test_one_step_is_that_of_both_losses(run):
    """One optimiser that steps the sum moves everything as two that step a loss each."""
    batch, moved = run.batch(), []
    for loss in (None, "ranking_loss", "regression_loss"):
        bench = Bench(again(run))
        torch.manual_seed(5)
        if loss is None:
            bench.step(batch)
        else:
            bench.move(bench.run.recipe.loss(bench.run.network, batch)[loss])
        moved.append(bench.weights())
    for name, value in moved[0].items():
        assert torch.equal(value, moved[2 if is_regression(name) else 1][name]), name


def test_ranking_losses_are_those_of_the_settings():
    scores = torch.rand(3, 24, generator=torch.Generator().manual_seed(0))
    overlaps = torch.rand(3, 24, generator=torch.Generator().manual_seed(1))
    paper, recommended = PAPER.training_for({"margin": 0.3}), RECOMMENDED.training_for({"score_scale": 7.0})
    torch.testing.assert_close(ranking_loss(scores, overlaps, paper), triplet_loss(scores, 0.3, "sum"))
    torch.testing.assert_close(
        ranking_loss(scores, overlaps, recommended), listwise_loss(7 * scores, overlaps, 0.1)
    )


def test_logged_losses_are_those_of_graphs_before_the_step(run):
    bench, episodes = Bench(run), run.examples(3)
    batch = run.recipe.collate(episodes)
    other = again(run).network.train()
    torch.manual_seed(5)
    bench.step(batch)
    torch.manual_seed(5)
    graphs = [graph for episode in episodes for pairs in episode.pairs for graph in pairs.graphs()]
    with torch.no_grad():
        pooled = other.model.pool(Batch.from_data_list(graphs))
        scores = other.model.score_head(pooled.graph).view(batch.overlaps.shape)
        ranking = ranking_loss(scores, batch.overlaps, run.settings)
        if run.settings.l2_weight:
            ranking = ranking + l2_penalty(other.ranking_parameters(), 5e-3)
        chosen = batch.overlaps.flatten() > run.settings.regression_overlap
        offsets = other.model.regress(pooled.detached().rows(chosen))
        regression = regression_loss(offsets, batch.offsets.view(-1, 2)[chosen])
    assert bench.logged["train/ranking_loss"] == pytest.approx(ranking.item(), rel=1e-5)
    assert bench.logged["train/regression_loss"] == pytest.approx(regression.item(), rel=1e-5)


def joint_run(**training):
    return small_run("mgffnet-paper", joint=True, regression_learning_rate=7.0, **training)


def test_jointly_the_regression_loss_moves_the_trunk_too():
    """What it never moves is the score head; the ranking loss never moves the regression head."""
    run = joint_run()
    batch = run.batch()
    for loss, still in (("ranking_loss", "regression_head"), ("regression_loss", "score_head")):
        bench = Bench(run)
        before = bench.weights()
        bench.move(run.recipe.loss(run.network, batch)[loss])
        rests = {name for name in before if name.startswith(f"model.{still}.")}
        assert rests
        assert changed(before, bench.weights()) == set(before) - rests


def test_jointly_one_adam_moves_everything_at_one_rate():
    (group,) = Bench(joint_run(learning_rate=3e-3, weight_decay=0.2)).optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (3e-3, 0.2)


@pytest.mark.parametrize("joint", [False, True])
def test_mu_weighs_the_regression_loss(joint):
    batch, gradients = small_run("mgffnet-paper").batch(), []
    for mu in (1.0, 2.5):
        run, losses = losses_of(batch, regression_weight=mu, joint=joint)
        sum(losses.values()).backward()
        ranking = [losses["ranking_loss"].item()]
        head = run.network.model.regression_head.parameters()
        gradients.append((ranking, torch.cat([one.grad.flatten() for one in head])))
    assert gradients[0][0] == gradients[1][0]
    torch.testing.assert_close(gradients[1][1], 2.5 * gradients[0][1])


def test_of_weight_zero_the_joint_loss_is_the_ranking_loss():
    batch, moved = small_run("mgffnet-paper").batch(), []
    for training in ({"joint": True, "regression_weight": 0.0}, {"joint": False}):
        bench = Bench(small_run("mgffnet-paper", **training))
        torch.manual_seed(5)
        bench.step(batch)
        moved.append(bench.weights())
    assert {name for name in moved[0] if is_regression(name)} >= changed(*moved)


def losses_of(batch, **training):
    """Losses of the paper's small network in training mode, the same in every call."""
    run = small_run("mgffnet-paper", **training)
    torch.manual_seed(5)
    return run, run.recipe.loss(run.network.train(), batch)


def test_the_l2_penalty_spares_the_regression_head():
    batch = small_run("mgffnet-paper").batch()
    (run, losses), (_, without) = losses_of(batch), losses_of(batch, l2_weight=0.0)
    squares = sum(
        parameter.square().sum().item()
        for name, parameter in run.network.named_parameters()
        if not is_regression(name)
    )
    difference = (losses["ranking_loss"] - without["ranking_loss"]).item()
    assert difference == pytest.approx(5e-3 * squares, rel=1e-3)


def with_overlaps(batch, overlaps):
    return batch._replace(overlaps=torch.as_tensor(overlaps).view_as(batch.overlaps))


def test_negatives_never_train_the_regression_head():
    """What is chosen for regression has overlap above the setting; other rows' targets do not matter."""
    batch = small_run("mgffnet-paper").batch()
    assert (batch.overlaps[:, 1] == 0).all()
    spoiled = batch._replace(offsets=batch.offsets.clone())
    spoiled.offsets[:, 1] = math.nan
    after = []
    for given in (batch, spoiled):
        bench = Bench(small_run("mgffnet-paper"))
        torch.manual_seed(5)
        bench.step(given)
        after.append((bench.logged["train/regression_loss"], bench.weights()))
    assert after[0][0] == after[1][0]
    assert math.isfinite(after[0][0])
    assert changed(after[0][1], after[1][1]) == set()


@pytest.mark.parametrize("num_positive", [0, 1])
def test_without_two_positives_the_regression_head_rests(num_positive):
    """Also after a step that set it in motion: Adam does not go on by what it remembers."""
    run = small_run("mgffnet-paper", learning_rate=1e-2)
    bench, batch = Bench(run), run.batch()
    bench.step(batch)
    overlaps = torch.zeros(batch.overlaps.numel())
    overlaps[:num_positive] = 0.7
    before = bench.weights()
    bench.step(with_overlaps(batch, overlaps))
    assert "train/regression_loss" not in bench.logged
    moved = changed(before, bench.weights())
    assert moved
    assert not any(map(is_regression, moved))


def test_regression_overlap_is_strict():
    batch = small_run("mgffnet-paper").batch()
    given = with_overlaps(batch, torch.tensor([0.4, 0.0, 0.5, 0.0, 0.6, 0.0]))
    run, losses = losses_of(given, regression_overlap=0.4)
    torch.manual_seed(5)
    offsets = run.network.model.regress(run.network.pool(batch.pairs).rows(torch.tensor([2, 4])))
    expected = regression_loss(offsets, batch.offsets.view(-1, 2)[[2, 4]])
    torch.testing.assert_close(losses["regression_loss"], expected)


@pytest.mark.learns
@pytest.mark.parametrize("name", ["mgffnet-paper", "mgffnet"])
def test_it_overfits_a_batch(name):
    rates = {"learning_rate": 1e-3, "regression_learning_rate": 1e-2, "schedule": "constant"}
    run = small_run(name, {"dropout": 0.0}, **rates)
    bench, batch = Bench(run), run.batch()
    history = []
    for _ in range(40):
        bench.step(batch)
        history.append(dict(bench.logged))
    for loss in ("train/ranking_loss", "train/regression_loss"):
        early, late = (sum(logged[loss] for logged in part) for part in (history[:3], history[-3:]))
        assert late < 0.85 * early, loss
    with torch.no_grad():
        scores = run.network.model.score_head(run.network.pool(batch.pairs).graph).view_as(batch.overlaps)
    chosen = batch.overlaps.gather(1, scores.argmax(1, keepdim=True))
    assert chosen.mean() > 0.8 * batch.overlaps.amax(1).mean()
