"""The training step: which loss moves which parameters."""

from __future__ import annotations

from typing import cast

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.nn.losses import l2_penalty, listwise_loss, regression_loss, triplet_loss
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.nn.ranking import rank_windows, refine_windows
from vreloc_pyg.systems.mgffnet.training_settings import TrainingSettings
from vreloc_pyg.training.data import TrainingBatch, ValidationPair
from vreloc_pyg.training.judging import log_answer


class RelocalizationModule(lightning.LightningModule):
    """Trains :class:`~vreloc_pyg.nn.MGFFNet` with two optimisers (paper section 5.2.2).

    The ranking loss moves the trunk and the score head; the regression loss sees the pooled features
    detached and moves the regression head only.

    Logs ``train/ranking_loss`` and ``train/regression_loss``, and on the validation pairs
    ``validation/R@1(0.5)``, ``validation/R@1(0.7)`` and ``validation/mean_tiou`` of the best window.

    Args:
        model: the network.
        pairing: how pairs become graphs.
        settings: of the training run.
        refine: move the best window by its offsets before it is judged.

    Raises:
        SettingsError: if a parameter would belong to both optimisers, or to none.
    """

    def __init__(
        self,
        model: MGFFNet,
        pairing: Pairing,
        settings: TrainingSettings,
        refine: bool = True,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.pairing = pairing
        self.settings = settings
        self.refine = refine
        self.regression_parameters = list(model.regression_head.parameters())
        regression = {id(parameter) for parameter in self.regression_parameters}
        self.ranking_parameters = [p for p in model.parameters() if id(p) not in regression]
        trunk = [module for name, module in model.named_children() if name != "regression_head"]
        if any(id(parameter) in regression for module in trunk for parameter in module.parameters()):
            raise SettingsError("The regression head shares parameters with the trunk or the score head")

    def configure_optimizers(
        self,
    ) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        chosen = self.settings
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                self.ranking_parameters, chosen.learning_rate, weight_decay=chosen.weight_decay
            ),
            torch.optim.AdamW(self.regression_parameters, chosen.regression_learning_rate, weight_decay=0.0),
        ]
        schedule = _decay(chosen.epochs * chosen.steps_per_epoch) if chosen.schedule == "decay" else _constant
        return optimizers, [torch.optim.lr_scheduler.LambdaLR(o, schedule) for o in optimizers]

    def on_train_batch_start(self, batch: TrainingBatch, batch_idx: int) -> None:
        # Dropout of an epoch depends on its number alone, so that a resumed run draws the same. Not seeded at
        # the epoch's start, since a data loader draws a number before it in a run's first epoch, then after.
        if batch_idx == 0:
            torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        ranking_optimizer, regression_optimizer = cast(list[LightningOptimizer], self.optimizers())
        pooled = self.model.pool(batch.graphs)
        scores = self.model.score_head(pooled.graph).view(batch.overlaps.shape)
        ranking = self.ranking_loss(scores, batch.overlaps)
        if self.settings.l2_weight:
            ranking = ranking + l2_penalty(self.ranking_parameters, self.settings.l2_weight)
        self._step(ranking_optimizer, ranking, self.ranking_parameters)

        chosen = (batch.overlaps > self.settings.regression_overlap).flatten()
        if chosen.sum() > 1:  # batch norm cannot normalise one row
            offsets = self.model.regress(pooled.detached(chosen))
            regression = regression_loss(offsets, batch.offsets.flatten(0, 1)[chosen])
            self._step(regression_optimizer, regression, self.regression_parameters)
            self.log("train/regression_loss", regression, batch_size=len(batch.overlaps))
        self.log("train/ranking_loss", ranking, prog_bar=True, batch_size=len(batch.overlaps))
        for scheduler in cast(list[torch.optim.lr_scheduler.LRScheduler], self.lr_schedulers()):
            scheduler.step()

    def ranking_loss(self, scores: Tensor, overlaps: Tensor) -> Tensor:
        """The chosen loss of scores and overlaps, ``[B, C]`` each, without the L2 penalty."""
        if self.settings.loss == "triplet":
            return triplet_loss(scores, self.settings.margin, self.settings.reduction)
        return listwise_loss(self.settings.score_scale * scores, overlaps, self.settings.overlap_temperature)

    def _step(self, optimizer: LightningOptimizer, loss: Tensor, parameters: list[nn.Parameter]) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(parameters, self.settings.gradient_clip)
        optimizer.step()

    def validation_step(self, batch: ValidationPair, batch_idx: int) -> None:
        relevance = rank_windows(self.model, self.pairing, batch.query, batch.reference, batch.windows)
        best = relevance.score.argmax().unsqueeze(0)
        answer = batch.windows[best].double()
        if self.refine:
            answer = refine_windows(answer, relevance.offsets[best], len(batch.reference))
        log_answer(self, answer, batch.truths)


def _constant(step: int) -> float:
    return 1.0


class _decay:
    """Warm-up over 50 steps, then the square root of the share of steps left."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps

    def __call__(self, step: int) -> float:
        left: float = max(0.0, 1 - step / self.num_steps) ** 0.5
        return min(1.0, (step + 1) / 50) * left
