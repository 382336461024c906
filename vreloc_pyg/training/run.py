"""A whole training run: trainer, checkpoints, loggers, resume."""

from __future__ import annotations

import io
import warnings
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import lightning
import pandas as pd
import torch
from lightning.pytorch import callbacks
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from vreloc_pyg.checkpoint import first_not_finite
from vreloc_pyg.errors import CheckpointError, DataError
from vreloc_pyg.files import read_text, replacing, write_json, write_text
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.training.data import RunData
from vreloc_pyg.training.module import TrainingModule
from vreloc_pyg.training.recipe import MEAN_TIOU, Recipe

#: What a run leaves beside its checkpoints and curves.
RUN_NAME = "run.json"


class ProcessorClock(callbacks.Callback):
    """Processor seconds of a run, of all its threads; those before an interruption are in its checkpoint."""

    def __init__(self) -> None:
        self.before, self.began = 0.0, process_time()

    @property
    def seconds(self) -> float:
        """So far."""
        return self.before + process_time() - self.began

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before, self.began = state_dict["seconds"], process_time()


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Lightning's, which takes no path from a checkpoint that is resumed.

    Lightning removes the files and folders that a checkpoint calls its earlier ones: a checkpoint from
    elsewhere could so remove anything. The one file is where this run writes it. The name is Lightning's,
    since it is a key in checkpoints.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        own = Path(str(self.dirpath)) / f"{self.filename}.ckpt"
        path = str(own) if own.is_file() else ""
        score = torch.as_tensor(state_dict.get("best_model_score") or 0.0) if path and self.monitor else None
        super().load_state_dict(
            {
                "dirpath": self.dirpath,
                "best_model_path": path,
                "best_model_score": score,
                "best_k_models": {} if score is None else {path: score},
                "kth_best_model_path": "" if score is None else path,
                "kth_value": self.kth_value if score is None else score,
                "last_model_path": "",
            }
        )


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's way of saving, each file whole or not at all.

    Its own writes a temporary file elsewhere first, and copies it where that is another file system: a run
    that is killed then leaves half a checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        with replacing(path) as unfinished:
            torch.save(checkpoint, unfinished)


class WarmedUpAverage:
    """Exponential moving average whose decay grows to its final value, so that it soon forgets the start.

    .. math::
        \\bar\\theta \\leftarrow \\delta \\bar\\theta + (1 - \\delta) \\theta, \\qquad
        \\delta = \\min(\\mathrm{decay}, n / (n + 20))

    at the n-th step.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, average: Tensor, current: Tensor, num_averaged: Tensor | int) -> Tensor:
        steps = int(num_averaged)
        return average.lerp(current, 1 - min(self.decay, steps / (steps + 20)))


def make_trainer(
    settings: RunSettings,
    output: str | Path,
    clock: ProcessorClock,
    progress: bool = True,
    tensorboard: bool = False,
    monitor: str = MEAN_TIOU,
) -> lightning.Trainer:
    """A Lightning trainer that writes into ``output``.

    ``checkpoints/best.ckpt`` is the best on the validation examples by ``monitor``, ``checkpoints/last.ckpt``
    the last; ``curves/version_N/metrics.csv`` are the curves of the N-th start (:func:`merge_curves`).
    """
    output = Path(output)
    folder = output / "checkpoints"
    # Of two callbacks, since save_last=True writes last.ckpt only when best.ckpt is written. The best comes
    # first: the last then knows of it.
    keep = partial(ModelCheckpoint, folder, enable_version_counter=False)
    used: list[lightning.Callback] = [clock, keep("best", monitor=monitor, mode="max"), keep("last")]
    if settings.patience is not None:
        used.append(callbacks.EarlyStopping(monitor, mode="max", patience=settings.patience))
    if settings.ema_decay is not None:
        average = WarmedUpAverage(settings.ema_decay)
        used.append(callbacks.WeightAveraging(avg_fn=average, use_buffers=False))
    if progress:
        used.append(callbacks.TQDMProgressBar(refresh_rate=5))
    loggers: list[Logger] = [CSVLogger(output, name="curves")]
    if tensorboard:
        loggers.append(TensorBoardLogger(output, name="tensorboard", version=""))
    return lightning.Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices="auto",
        max_epochs=settings.epochs,
        callbacks=used,
        plugins=[WholeCheckpoints()],
        logger=loggers,
        log_every_n_steps=min(20, settings.steps_per_epoch),
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
        deterministic="warn",
    )


def merge_curves(output: str | Path) -> Path:
    """Join the curves of a run and of its resumptions into ``output/metrics.csv``.

    A resumed run starts from its last checkpoint: what an interrupted one logged after that is left out, as
    is a line that it did not finish.
    """
    output = Path(output)
    found = sorted(output.glob("curves/version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))
    texts = [text[: text.rfind("\n") + 1] for text in map(read_text, found)]
    parts = [pd.read_csv(io.StringIO(text)) for text in texts if text.count("\n") > 1]
    if not parts:
        raise DataError(f"Found no training curves {output / 'curves'}/version_*/metrics.csv")
    merged = parts[0]
    for later in parts[1:]:
        merged = pd.concat([merged[merged["epoch"] < later["epoch"].min()], later], ignore_index=True)
    return write_text(output / "metrics.csv", merged.to_csv(index=False))


def check_resumable(last: Path, module: lightning.LightningModule) -> None:
    """Raise :class:`CheckpointError` unless a checkpoint can be read and fits the module."""
    if not last.exists():
        raise CheckpointError(f"Nothing to resume: {last} does not exist")
    try:
        checkpoint = torch.load(last, map_location="cpu", weights_only=True)
    except Exception:  # a damaged archive raises nearly anything
        raise CheckpointError(f"Cannot resume from {last}: it is truncated or no checkpoint") from None
    if not isinstance(checkpoint, dict) or not {"state_dict", "loops"} <= checkpoint.keys():
        raise CheckpointError(f"Cannot resume from {last}: it is no checkpoint of a training run")
    expected, state = module.state_dict(), checkpoint["state_dict"]
    wrong = sorted(expected.keys() ^ state.keys())
    wrong = wrong or [name for name in expected if expected[name].shape != state[name].shape]
    if wrong:
        raise CheckpointError(f"Cannot resume from {last}: it is of another model ({wrong[0]} does not fit)")
    if first_not_finite(state):
        raise CheckpointError(f"Cannot resume from {last}: its training has failed, with numbers not finite")


def train(
    network: nn.Module,
    recipe: Recipe,
    settings: RunSettings,
    output: str | Path,
    *,
    resume: bool = False,
    progress: bool = True,
    tensorboard: bool = False,
    num_workers: int = 0,
) -> float:
    """Train a network and leave it as it did best on the validation examples, in eval mode.

    ``output/run.json`` says what it came to: the best judgement and the processor seconds.

    Args:
        network, recipe, settings: new, drawn under the seed of the run; how it is trained; and how long.
        output: folder for ``checkpoints`` and the curves, ``metrics.csv``.
        resume: continue the run in ``output`` from its last checkpoint, with the same curve as if it had
            not been interrupted.
        progress: show a progress bar.
        tensorboard: log for TensorBoard too.
        num_workers: processes that prepare examples.

    Returns:
        The best judgement by ``recipe.monitor``.

    Raises:
        CheckpointError: if there is nothing to resume, or the checkpoint does not fit the network.
    """
    output = Path(output)
    last = output / "checkpoints" / "last.ckpt"
    module = TrainingModule(network, recipe, settings)
    if resume:
        check_resumable(last, module)
    clock = ProcessorClock()
    trainer = make_trainer(settings, output, clock, progress, tensorboard, recipe.monitor)
    data = RunData(recipe, settings, num_workers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        trainer.fit(module, datamodule=data, ckpt_path=last if resume else None, weights_only=True)
    merge_curves(output)
    path = output / "checkpoints" / "best.ckpt"
    best = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    network.eval()
    [score] = [
        float(state["best_model_score"])
        for name, state in best["callbacks"].items()
        if name.startswith("ModelCheckpoint") and state["monitor"] == recipe.monitor
    ]
    write_json(output / RUN_NAME, {"best": score, "processor_s": round(clock.seconds, 1)})
    return score
