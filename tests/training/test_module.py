import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.localization import Localizer
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.training import (
    EpisodeDataset,
    RelocalizationModule,
    TrainingBatch,
    l2_penalty,
    listwise_loss,
    regression_loss,
    triplet_loss,
)
from vreloc_pyg.training.data import PairDataset, ValidationPair, collate_episodes


def make_module(preset, seed=0):
    torch.manual_seed(seed)
    model = MGFFNet(**preset.model.to_dict())
    return RelocalizationModule(model, preset.pairing, preset.training, preset.refine)


def make_batch(preset, splits, size=3):
    dataset = EpisodeDataset(TrainingPool(splits["train"]), preset.sampler, preset.pairing, size)
    return collate_episodes([dataset[index] for index in range(size)])


class Bench:
    """A module with its optimisers and what it logs, without a trainer."""

    def __init__(self, preset, seed=0):
        self.module = module = make_module(preset, seed)
        self.logged = {}
        (self.ranking, self.regression), self.schedulers = module.configure_optimizers()
        module.optimizers = lambda: [self.ranking, self.regression]
        module.lr_schedulers = lambda: self.schedulers
        module.manual_backward = lambda loss: loss.backward()
        module.log = lambda name, value, **_: self.logged.update({name: float(value.detach())})
        module.train()
        for optimizer in (self.ranking, self.regression):
            optimizer.step()  # moves nothing, and torch does not warn of a schedule before its optimiser

    def step(self, batch):
        self.logged.clear()
        self.module.training_step(batch, 0)

    def weights(self):
        return {name: value.detach().clone() for name, value in self.module.model.named_parameters()}


@pytest.fixture(params=["paper", "recommended", "boundaries"])
def preset(request, small_preset):
    if request.param == "boundaries":
        return small_preset(model={"regression": "boundaries"}, learning_rate=1e-2)
    return small_preset(request.param, learning_rate=1e-2)


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def is_regression(name):
    return name.startswith("regression_head.")


def test_the_optimisers_are_disjoint_and_cover_everything(preset):
    bench = Bench(preset)
    groups = [
        [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for optimizer in (bench.ranking, bench.regression)
    ]
    ranking, regression = ({id(parameter) for parameter in group} for group in groups)
    names = dict(bench.module.model.named_parameters())
    assert {id(parameter) for name, parameter in names.items() if is_regression(name)} == regression
    assert {id(parameter) for name, parameter in names.items() if not is_regression(name)} == ranking
    assert len(groups[0]) + len(groups[1]) == len(names)
    assert not ranking & regression
    settings = preset.training
    assert bench.ranking.param_groups[0]["weight_decay"] == settings.weight_decay
    assert bench.regression.param_groups[0]["weight_decay"] == 0
    assert bench.ranking.param_groups[0]["initial_lr"] == settings.learning_rate
    assert bench.regression.param_groups[0]["initial_lr"] == settings.regression_learning_rate


def test_a_shared_parameter_is_refused(small_preset):
    preset = small_preset("paper")
    model = MGFFNet(**preset.model.to_dict())
    model.regression_head.mlp[0] = model.score_head.mlp[0]
    with pytest.raises(SettingsError, match="regression head shares parameters"):
        RelocalizationModule(model, preset.pairing, preset.training)


def only(bench, optimizer, module_step):
    """Take the steps of one optimiser alone."""
    bench.module._step = lambda chosen, *rest: module_step(chosen, *rest) if chosen is optimizer else None


def test_stepping_one_loss_leaves_the_other_group_bit_identical(preset, splits):
    bench, batch = Bench(preset), make_batch(preset, splits)
    step = bench.module._step
    for optimizer in (bench.ranking, bench.regression):
        before = bench.weights()
        only(bench, optimizer, step)
        bench.step(batch)
        moved = changed(before, bench.weights())
        assert moved == {name for name in before if is_regression(name) == (optimizer is bench.regression)}


def test_the_regression_loss_has_no_gradient_into_the_trunk(preset, splits):
    bench, batch = Bench(preset), make_batch(preset, splits)
    only(bench, bench.regression, lambda _, loss, *rest: loss.backward())
    bench.step(batch)
    for name, parameter in bench.module.model.named_parameters():
        assert (parameter.grad is not None) == is_regression(name), name
    assert bench.module.model.regression_head.mlp[-1].weight.grad.abs().sum() > 0


def test_the_ranking_loss_reaches_every_other_parameter(preset, splits):
    bench, batch = Bench(preset), make_batch(preset, splits)
    scores = bench.module.model(batch.graphs).score.view(batch.overlaps.shape)
    bench.module.ranking_loss(scores, batch.overlaps).backward()
    for name, parameter in bench.module.model.named_parameters():
        assert (parameter.grad is None) == is_regression(name), name


def test_ranking_losses_are_those_of_the_settings(small_preset, splits):
    paper, recommended = small_preset("paper", margin=0.3), small_preset("recommended", score_scale=7.0)
    scores = torch.rand(3, 24, generator=torch.Generator().manual_seed(0))
    overlaps = torch.rand(3, 24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        make_module(paper).ranking_loss(scores, overlaps), triplet_loss(scores, 0.3, "sum")
    )
    torch.testing.assert_close(
        make_module(recommended).ranking_loss(scores, overlaps), listwise_loss(7 * scores, overlaps, 0.1)
    )


def test_logged_losses_are_those_of_the_weights_before_the_step(preset, splits):
    bench, batch = Bench(preset), make_batch(preset, splits)
    model = bench.module.model
    torch.manual_seed(5)
    bench.step(batch)
    other = Bench(preset).module
    torch.manual_seed(5)
    with torch.no_grad():
        pooled = other.model.train().pool(batch.graphs)
        ranking = other.ranking_loss(
            other.model.score_head(pooled.graph).view(batch.overlaps.shape), batch.overlaps
        )
        if preset.training.l2_weight:
            ranking = ranking + l2_penalty(other.ranking_parameters, 5e-3)
        chosen = batch.overlaps.flatten() > preset.training.regression_overlap
        regression = regression_loss(
            other.model.regress(pooled.detached(chosen)), batch.offsets.view(-1, 2)[chosen]
        )
    assert bench.logged["train/ranking_loss"] == pytest.approx(ranking.item(), rel=1e-5)
    assert bench.logged["train/regression_loss"] == pytest.approx(regression.item(), rel=1e-5)
    assert model is not other.model


def test_the_l2_penalty_spares_the_regression_head(small_preset, splits):
    with_penalty, without = small_preset("paper"), small_preset("paper", l2_weight=0.0)
    batch = make_batch(with_penalty, splits)
    losses = []
    for preset in (with_penalty, without):
        bench = Bench(preset)
        torch.manual_seed(5)
        bench.step(batch)
        losses.append(bench.logged["train/ranking_loss"])
    squares = sum(
        p.square().sum().item()
        for name, p in make_module(without).model.named_parameters()
        if not is_regression(name)
    )
    assert losses[0] - losses[1] == pytest.approx(5e-3 * squares, rel=1e-3)


def with_overlaps(batch, overlaps):
    return TrainingBatch(batch.graphs, torch.as_tensor(overlaps).view_as(batch.overlaps), batch.offsets)


def test_negatives_never_train_the_regression_head(small_preset, splits):
    """What is chosen for regression has overlap above the setting; other rows' targets do not matter."""
    preset = small_preset("paper")
    batch = make_batch(preset, splits)
    assert (batch.overlaps[:, 1] == 0).all()
    spoiled = TrainingBatch(batch.graphs, batch.overlaps, batch.offsets.clone())
    spoiled.offsets[:, 1] = math.nan
    after = []
    for given in (batch, spoiled):
        bench = Bench(preset)
        torch.manual_seed(5)
        bench.step(given)
        after.append((bench.logged["train/regression_loss"], bench.weights()))
    assert after[0][0] == after[1][0]
    assert math.isfinite(after[0][0])
    assert changed(after[0][1], after[1][1]) == set()


@pytest.mark.parametrize("num_positive", [0, 1])
def test_without_two_positives_the_regression_head_rests(small_preset, splits, num_positive):
    preset = small_preset("paper", learning_rate=1e-2)
    batch = make_batch(preset, splits)
    overlaps = torch.zeros(batch.overlaps.numel())
    overlaps[:num_positive] = 0.7
    bench = Bench(preset)
    before = bench.weights()
    bench.step(with_overlaps(batch, overlaps))
    assert "train/regression_loss" not in bench.logged
    assert not any(map(is_regression, changed(before, bench.weights())))


def test_regression_overlap_is_strict(small_preset, splits):
    preset = small_preset("paper", regression_overlap=0.4)
    batch = make_batch(preset, splits)
    overlaps = torch.tensor([0.4, 0.0, 0.5, 0.0, 0.6, 0.0])
    bench = Bench(preset)
    torch.manual_seed(5)
    bench.step(with_overlaps(batch, overlaps))
    other = Bench(preset).module.model
    torch.manual_seed(5)
    offsets = other.regress(other.pool(batch.graphs).detached(torch.tensor([2, 4])))
    expected = regression_loss(offsets, batch.offsets.view(-1, 2)[[2, 4]]).item()
    assert bench.logged["train/regression_loss"] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped_for_each_optimiser_alone(small_preset, splits):
    limit, norms = 1e-3, {}
    for clip in (None, limit):
        preset = small_preset("paper", gradient_clip=clip)
        bench, batch = Bench(preset), make_batch(preset, splits)
        torch.manual_seed(5)
        bench.step(batch)
        for group in ("ranking_parameters", "regression_parameters"):
            gradients = [parameter.grad.flatten() for parameter in getattr(bench.module, group)]
            norms[group, clip] = torch.cat(gradients).norm().item()
    for group in ("ranking_parameters", "regression_parameters"):
        assert norms[group, None] > 10 * limit
        assert norms[group, limit] == pytest.approx(limit, rel=1e-2)


def test_the_decay_schedule(small_preset, splits):
    """50 steps of warm-up, and the square root of what is left of 4 x 50 = 200 steps."""
    preset = small_preset("recommended", epochs=4, steps_per_epoch=50)
    bench = Bench(preset)
    seen = []
    for _ in range(201):
        seen.append([group["lr"] for o in (bench.ranking, bench.regression) for group in o.param_groups])
        for optimizer in (bench.ranking, bench.regression):
            optimizer.step()
        for scheduler in bench.schedulers:
            scheduler.step()
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
    assert max(rates[0] for rates in seen) == seen[49][0]


def test_every_step_advances_both_schedules(small_preset, splits):
    preset = small_preset("recommended")
    bench, batch = Bench(preset), make_batch(preset, splits)
    # A batch without positives for the regression head counts too.
    bench.step(with_overlaps(batch, torch.zeros(batch.overlaps.numel())))
    assert [scheduler.last_epoch for scheduler in bench.schedulers] == [1, 1]


def test_the_constant_schedule(small_preset, splits):
    preset = small_preset("paper")
    bench, batch = Bench(preset), make_batch(preset, splits)
    for _ in range(3):
        bench.step(batch)
        assert bench.ranking.param_groups[0]["lr"] == 1e-4
        assert bench.regression.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("name", ["paper", "recommended"])
def test_it_overfits_a_batch(small_preset, splits, name):
    preset = small_preset(
        name, {"dropout": 0.0}, learning_rate=1e-2, regression_learning_rate=1e-2, schedule="constant"
    )
    bench, batch = Bench(preset), make_batch(preset, splits)
    history = []
    for _ in range(40):
        bench.step(batch)
        history.append(dict(bench.logged))
    for loss in ("train/ranking_loss", "train/regression_loss"):
        early, late = (sum(logged[loss] for logged in part) for part in (history[:3], history[-3:]))
        assert late < 0.75 * early, loss
    with torch.no_grad():
        scores = bench.module.model(batch.graphs).score.view(batch.overlaps.shape)
    chosen = batch.overlaps.gather(1, scores.argmax(1, keepdim=True))
    assert chosen.mean() > 0.8 * batch.overlaps.amax(1).mean()


def validate(module, pair):
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: float(value)})
    module.eval()
    with torch.no_grad():
        module.validation_step(pair, 0)
    return logged


@pytest.mark.parametrize("refine", [False, True])
def test_validation_judges_the_localizers_answer(preset, splits, refine):
    module = make_module(preset)
    module.refine = refine
    localizer = Localizer(module.model, preset.pairing, preset.proposals, refine)
    split = splits["validation"]
    pairs = PairDataset(split, preset.proposals)
    for index in range(len(split)):
        query, reference = split[index]
        logged = validate(module, pairs[index])
        answer = localizer.localize(query, reference).bounds
        overlap = temporal_iou(answer, reference.segments_of(query.label)).max().item()
        assert logged == {
            "validation/R@1(0.5)": float(overlap > 0.5),
            "validation/R@1(0.7)": float(overlap > 0.7),
            "validation/mean_tiou": pytest.approx(overlap, abs=1e-6),
        }


def test_validation_counts_any_instance_and_is_strict(small_preset, splits, monkeypatch):
    module = make_module(small_preset("recommended"))
    monkeypatch.setattr(
        "vreloc_pyg.training.module.rank_windows",
        lambda *_: SimpleNamespace(score=torch.tensor([0.1, 0.3]), offsets=torch.zeros(2, 2)),
    )
    pair = ValidationPair(
        torch.zeros(9, 8), torch.zeros(40, 8), torch.tensor([[0, 10], [20, 30]]), torch.empty(0)
    )
    answers = {
        ((20, 30),): 1.0,
        ((0, 10),): 0.0,
        ((0, 10), (22, 30)): 0.8,
        ((20, 40),): 0.5,  # not above .5
    }
    for truths, overlap in answers.items():
        logged = validate(module, pair._replace(truths=torch.tensor(truths, dtype=torch.float64)))
        assert logged["validation/mean_tiou"] == pytest.approx(overlap)
        assert logged["validation/R@1(0.5)"] == float(overlap > 0.5)


def test_an_epochs_dropout_depends_on_seed_and_number_alone(small_preset):
    def draw(seed, epoch):
        module = make_module(small_preset("paper", seed=seed))
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


@pytest.mark.parametrize("num_steps", [40, None])
def test_pairs_are_made_where_their_features_are(num_steps):
    """On an accelerator nothing is left on the CPU; torch's meta device stands in for one."""
    windows = torch.tensor([[0, 8], [3, 30]], device="meta" if num_steps else "cpu")
    query, reference = torch.zeros(9, 4, device="meta"), torch.zeros(60, 4, device="meta")
    pairs = Pairing(num_steps=num_steps).pair(query, reference, windows)
    assert all(clip.is_meta for clip in (pairs.queries, *pairs.proposals))
    assert pairs.query_mask.is_meta
    assert pairs.version.is_meta
    if num_steps is not None:
        assert pairs.proposal_mask.is_meta


def test_it_leaves_the_model_as_it_was_given(small_preset):
    preset = small_preset("paper")
    model = MGFFNet(**preset.model.to_dict())
    assert RelocalizationModule(model, preset.pairing, preset.training).model is model
    assert isinstance(model, nn.Module)
