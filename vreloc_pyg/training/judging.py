"""How a training run judges an answer on validation pairs; the same for every learned system."""

from __future__ import annotations

import lightning
from torch import Tensor

from vreloc_pyg.segments import temporal_iou

#: What chooses the best checkpoint.
MONITOR = "validation/mean_tiou"


def log_answer(module: lightning.LightningModule, answer: Tensor, truths: Tensor) -> None:
    """Log tIoU and R@1 at .5 and .7 of one pair.

    Args:
        module: logs ``validation/mean_tiou``, ``validation/R@1(0.5)`` and ``validation/R@1(0.7)``.
        answer: the best segment in steps, ``[1, 2]`` float64.
        truths: every right answer in steps, ``[G, 2]`` float64.
    """
    overlap = temporal_iou(answer, truths).max()
    for threshold in (0.5, 0.7):
        hit = (overlap > threshold).float()
        module.log(
            f"validation/R@1({threshold})", hit, batch_size=1, prog_bar=threshold == 0.5, sync_dist=True
        )
    module.log(MONITOR, overlap.float(), batch_size=1, prog_bar=True, sync_dist=True)
