"""Training the actionness classifier."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import BinaryAUROC

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.splits import Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.training.run import merge_curves

#: Steps that no loss and no metric sees.
IGNORED = -1
AUC = "validation/auc"


@dataclass(frozen=True)
class ActionnessTraining:
    """How the actionness classifier is trained.

    Args:
        learning_rate: of Adam.
        weight_decay: decoupled.
        batch_size: crops a step.
        crop: length of a training crop in steps.
        epochs: validations, at most.
        steps_per_epoch: steps between validations.
        patience: stop after so many validations without a better one.
        border: steps to either side of an instance's start and end that are special.
        border_label: ``"ignored"``, or ``"background"``, which keeps neighbouring instances apart.
        seed: decides weights, crops and dropout.

    Raises:
        SettingsError: if a value is impossible.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 16
    crop: int = 128
    epochs: int = 20
    steps_per_epoch: int = 50
    patience: int = 5
    border: int = 1
    border_label: Literal["ignored", "background"] = "ignored"
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.batch_size, self.crop, self.epochs, self.steps_per_epoch, self.patience)
        if min(counts) < 1 or self.learning_rate <= 0 or min(self.weight_decay, self.border, self.seed) < 0:
            raise SettingsError(f"Expected positive counts and learning_rate, none negative (got {self})")
        if self.border_label not in ("ignored", "background"):
            raise SettingsError(
                f"Expected border_label to be 'ignored' or 'background' (got {self.border_label!r})"
            )


def actionness_labels(
    reference: Reference,
    classes: Sequence[str],
    border: int = 1,
    border_label: Literal["ignored", "background"] = "ignored",
) -> Tensor:
    """What a step teaches: 1 in an instance of ``classes``, 0 outside all instances, else ``IGNORED``.

    Instances of other classes are ignored: a step that shows an action nobody may learn is not taught to be
    background.

    Args:
        reference: an annotated video.
        classes: classes whose instances are foreground.
        border, border_label: see :class:`ActionnessTraining`.

    Returns:
        ``[num_steps]`` int64.
    """
    labels = torch.zeros(reference.num_steps, dtype=torch.long)
    known = set(classes)
    for label in sorted(set(reference.labels) - known):
        for start, end in reference.steps_of(label).tolist():
            labels[start:end] = IGNORED
    ours = [
        span for label in sorted(known & set(reference.labels)) for span in reference.steps_of(label).tolist()
    ]
    for start, end in ours:
        labels[start:end] = 1
    for edge in (edge for span in ours for edge in span):
        labels[max(0, edge - border) : edge + border] = IGNORED if border_label == "ignored" else 0
    return labels


class CropDataset(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of labelled references; crop ``index`` is a function of ``(seed, epoch, index)`` alone.

    A reference is drawn as often as it is long; one shorter than a crop is padded with ignored steps.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        labels: Sequence[Tensor],
        settings: ActionnessTraining,
        augmentation: Augmentation | None = None,
        epoch: int = 0,
    ) -> None:
        self.references, self.labels = references, labels
        self.settings, self.augmentation, self.epoch = settings, augmentation, epoch
        self.ends = np.cumsum([len(one) for one in labels])

    def __len__(self) -> int:
        return self.settings.batch_size * self.settings.steps_per_epoch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.settings.seed, self.epoch, index])
        chosen = int(np.searchsorted(self.ends, rng.integers(self.ends[-1]), side="right"))
        length, wanted = len(self.labels[chosen]), self.settings.crop
        start = int(rng.integers(max(0, length - wanted) + 1))
        features = self.references[chosen].features[start : start + wanted]
        labels = self.labels[chosen][start : start + wanted]
        if self.augmentation is not None:
            features = self.augmentation.draw_episode(features.size(1), rng)(features)
        missing = wanted - len(labels)
        features = nn.functional.pad(features, (0, 0, 0, missing))
        return features, nn.functional.pad(labels, (0, missing), value=IGNORED)


class ActionnessModule(lightning.LightningModule):
    """Class-balanced cross-entropy of steps; logs ``validation/auc``, the area under the ROC curve."""

    def __init__(
        self, classifier: ActionnessClassifier, settings: ActionnessTraining, foreground: float
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.settings = settings
        self.register_buffer("weight", torch.tensor([0.5 / (1 - foreground), 0.5 / foreground]))
        self.auc = BinaryAUROC()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.classifier.parameters(), self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        features, labels = batch
        logits = self.classifier(features).flatten(0, 1)
        weight: Tensor = self.weight  # type: ignore[assignment]
        loss = nn.functional.cross_entropy(logits, labels.flatten(), weight, ignore_index=IGNORED)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        features, labels = batch
        known = labels != IGNORED
        if known.any():
            self.auc.update(self.classifier.actionness(features)[known], labels[known])
        self.log(AUC, self.auc, prog_bar=True)


class ActionnessData(lightning.LightningDataModule):
    """Crops of the training references, and the validation references whole."""

    def __init__(
        self,
        train: RelocalizationSplit,
        validation: RelocalizationSplit,
        settings: ActionnessTraining,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.augmentation = settings, augmentation
        self.references = {"train": list(train.references), "validation": list(validation.references)}
        self.labels = {
            name: [
                actionness_labels(one, split.classes, settings.border, settings.border_label)
                for one in split.references
            ]
            for name, split in (("train", train), ("validation", validation))
        }
        for name, labels in self.labels.items():
            if not all(any((one == kind).any() for one in labels) for kind in (0, 1)):
                raise DataError(
                    f"The {name} references hold no step of {'/'.join(('background', 'an action'))} to tell "
                    "apart: actionness needs both"
                )

    @property
    def foreground(self) -> float:
        """Share of foreground among the training steps that count."""
        counts = torch.stack(
            [torch.stack([(one == 1).sum(), (one == 0).sum()]) for one in self.labels["train"]]
        )
        inside, outside = counts.sum(0).tolist()
        return float(inside / (inside + outside))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        crops = CropDataset(
            self.references["train"], self.labels["train"], self.settings, self.augmentation, epoch
        )
        return DataLoader(crops, self.settings.batch_size)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        whole = WholeDataset(self.references["validation"], self.labels["validation"])
        return DataLoader(whole, batch_size=None)


class WholeDataset(Dataset[tuple[Tensor, Tensor]]):
    """Labelled references, whole."""

    def __init__(self, references: Sequence[Reference], labels: Sequence[Tensor]) -> None:
        self.references, self.labels = references, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.references[index].features, self.labels[index]


def train_actionness(
    train: RelocalizationSplit,
    validation: RelocalizationSplit,
    output: str | Path,
    network: ActionnessSettings | None = None,
    settings: ActionnessTraining | None = None,
    augmentation: Augmentation | None = None,
    progress: bool = True,
) -> tuple[ActionnessClassifier, float]:
    """Train an actionness classifier without classes and return the best one with its validation AUC.

    Foreground are the instances of the split's own classes (those of its queries); see
    :func:`actionness_labels`. The validation split's classes choose the checkpoint.

    Args:
        train: whose references teach.
        validation: whose references, of other classes, choose.
        output: folder for ``checkpoints`` and ``metrics.csv``.
        network: by default of the features' width.
        settings: of the training run.
        augmentation: changes to training features; ``None`` for none.
        progress: show a progress bar.

    Raises:
        DataError: if a split's references hold no foreground or no background.
        FeatureError: if features are missing or not finite.
    """
    settings = ActionnessTraining() if settings is None else settings
    output = Path(output)
    data = ActionnessData(train, validation, settings, augmentation)
    torch.manual_seed(settings.seed)
    network = ActionnessSettings(train.references[0].features.size(1)) if network is None else network
    classifier = ActionnessClassifier(network)
    classifier.normalize_by([one.features for one in train.references])
    module = ActionnessModule(classifier, settings, data.foreground)
    best = ModelCheckpoint(
        output / "checkpoints", "actionness", monitor=AUC, mode="max", enable_version_counter=False
    )
    callbacks: list[Callback] = [best, EarlyStopping(AUC, mode="max", patience=settings.patience)]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=5))
    trainer = lightning.Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=1,
        max_epochs=settings.epochs,
        callbacks=callbacks,
        logger=CSVLogger(output, name="curves", version=0),
        log_every_n_steps=min(20, settings.steps_per_epoch),
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
        deterministic="warn",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*Experiment logs directory .* exists and is not empty.*")
        trainer.fit(module, datamodule=data)
    merge_curves(output)
    state = torch.load(output / "checkpoints" / "actionness.ckpt", map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    assert best.best_model_score is not None
    return classifier.eval(), float(best.best_model_score)
