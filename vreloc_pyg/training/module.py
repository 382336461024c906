"""The training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import lightning
import torch
from torch import Tensor, nn

from vreloc_pyg.checkpoint import first_not_finite
from vreloc_pyg.errors import TrainingError
from vreloc_pyg.files import replacing
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.training.recipe import Decay, Recipe, clip_gradients, make_optimizer

#: The batch at which a run came to numbers that are not finite, for ``torch.load``.
DIVERGED_NAME = "diverged.pt"


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
        losses = self.recipe.losses(self.network, batch, self.settings.mixed_precision)
        for name, loss in losses.items():
            self.log(f"train/{name}", loss, prog_bar=True, batch_size=self.settings.batch_size)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            self._stop(batch, batch_idx, f"The loss is {loss.item():g}")
        return loss

    def on_validation_epoch_start(self) -> None:
        wrong = first_not_finite(self.state_dict())
        if wrong:
            self._stop(None, None, f"{wrong} is not finite")

    def _stop(self, batch: Any, index: int | None, what: str) -> NoReturn:
        """End the run before anything is saved, and keep the batch that led there."""
        path = Path(self.trainer.loggers[0].save_dir or ".") / DIVERGED_NAME
        with replacing(path) as unfinished:
            torch.save({"epoch": self.current_epoch, "step": index, "batch": batch}, unfinished)
        raise TrainingError(
            f"{what} in epoch {self.current_epoch}: training has failed, and nothing of it is saved; "
            f"lower the learning rate, or set gradient_clip. What led there is in {path}"
        )

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        for name, value in self.recipe.judge(self.network, batch).items():
            self.log(name, value, batch_size=1, prog_bar=name == self.recipe.monitor, sync_dist=True)
