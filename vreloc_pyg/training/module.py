"""The training step."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor, nn

from vreloc_pyg.settings import RunSettings
from vreloc_pyg.training.recipe import Decay, Recipe, clip_gradients, make_optimizer


class TrainingModule(lightning.LightningModule):
    """Trains a network by its recipe.

    Logs every loss as ``train/NAME``, and every judgement of validation examples under its own name.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, settings: RunSettings) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.settings = settings

    def configure_optimizers(self) -> Any:
        optimizer = make_optimizer(self.network, self.recipe.groups)
        if self.settings.schedule == "constant":
            return optimizer
        decay = Decay(self.settings.epochs * self.settings.steps_per_epoch)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *unused: Any, **also_unused: Any) -> None:
        if self.settings.gradient_clip is not None:
            clip_gradients(optimizer, self.settings.gradient_clip)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout of an epoch depends on its number alone, so that a resumed run draws the same. Not seeded at
        # the epoch's start, since a data loader draws a number before it in a run's first epoch, then after.
        if batch_idx == 0:
            torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)
            if self.recipe.skips_a_number and self.current_epoch > 0:
                torch.empty((), dtype=torch.int64).random_()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        losses = self.recipe.loss(self.network, batch)
        if isinstance(losses, Tensor):
            losses = {"loss": losses}
        for name, loss in losses.items():
            self.log(f"train/{name}", loss, prog_bar=True, batch_size=self.settings.batch_size)
        return torch.stack(list(losses.values())).sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        for name, value in self.recipe.judge(self.network, batch).items():
            self.log(name, value, batch_size=1, prog_bar=name == self.recipe.monitor, sync_dist=True)
