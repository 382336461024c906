"""Training the actionness classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.splits import Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.settings import Count, RunSettings, Whole
from vreloc_pyg.training.recipe import Group, Recipe
from vreloc_pyg.training.run import train

#: Steps that no loss and no metric sees.
IGNORED = -1
AUC = "validation/auc"


@dataclass(frozen=True)
class ActionnessTraining(RunSettings):
    """How the actionness classifier is trained; an example is a crop of a reference.

    Args:
        crop_steps: length of a training crop in steps.
        border: steps to either side of an instance's start and end that are special.
        border_label: ``"ignored"``, or ``"background"``, which keeps neighbouring instances apart.
    """

    batch_size: Count = 16
    epochs: Count = 20
    steps_per_epoch: Count = 50
    patience: Count | None = 5
    crop_steps: Count = 128
    border: Whole = 1
    border_label: Literal["ignored", "background"] = "ignored"


class Labelled(NamedTuple):
    """Steps of a reference and what they teach: features ``[T, F]`` and labels ``[T]`` int64."""

    features: Tensor
    labels: Tensor


def actionness_labels(
    reference: Reference,
    classes: Sequence[str],
    border: int = 1,
    border_label: Literal["ignored", "background"] = "ignored",
) -> Tensor:
    """What a step teaches: 1 in an instance of ``classes``, 0 outside all instances, else ``IGNORED``.

    Instances of other classes are ignored: a step that shows an action nobody may learn is not taught to be
    background. ``[num_steps]`` int64; see :class:`ActionnessTraining` for the borders.
    """
    labels = torch.zeros(reference.num_steps, dtype=torch.long)
    shown, known = set(reference.labels), set(classes)
    ours, others = (
        [span for label in kind for span in reference.steps_of(label).tolist()]
        for kind in (shown & known, shown - known)
    )
    for spans, value in ((others, IGNORED), (ours, 1)):
        for start, end in spans:
            labels[start:end] = value
    for edge in (edge for span in ours for edge in span):
        labels[max(0, edge - border) : edge + border] = IGNORED if border_label == "ignored" else 0
    return labels


class LabelledReferences:
    """The references of a split, labelled."""

    def __init__(self, split: RelocalizationSplit, settings: ActionnessTraining) -> None:
        self.references = list(split.references)
        self.labels = [
            actionness_labels(one, split.classes, settings.border, settings.border_label)
            for one in self.references
        ]
        if not all(any((one == kind).any() for one in self.labels) for kind in (0, 1)):
            raise DataError(
                f"The references of split {split.name!r} hold no step of an action, or none of background: "
                "actionness needs both to tell apart"
            )

    @property
    def foreground(self) -> float:
        """Share of foreground among the steps that count."""
        inside, outside = (sum(int((one == kind).sum()) for one in self.labels) for kind in (1, 0))
        return inside / (inside + outside)

    def whole(self) -> list[Labelled]:
        """Every reference."""
        pairs = zip(self.references, self.labels, strict=True)
        return [Labelled(one.features, labels) for one, labels in pairs]

    def draw(
        self, rng: np.random.Generator, crop_steps: int, augmentation: Augmentation | None = None
    ) -> Labelled:
        """A random crop; a reference shorter than that is padded with ignored steps.

        A reference is drawn as often as it is long.
        """
        ends = np.cumsum([len(one) for one in self.labels])
        chosen = int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))
        start = int(rng.integers(max(0, len(self.labels[chosen]) - crop_steps) + 1))
        features = self.references[chosen].features[start : start + crop_steps]
        labels = self.labels[chosen][start : start + crop_steps]
        if augmentation is not None:
            features = augmentation.draw_episode(features.size(1), rng)(features)
        missing = crop_steps - len(labels)
        features = nn.functional.pad(features, (0, 0, 0, missing))
        return Labelled(features, nn.functional.pad(labels, (0, missing), value=IGNORED))


def collate_crops(crops: Sequence[Labelled]) -> Labelled:
    """Crops of one length as ``[B, T, F]`` and ``[B, T]``."""
    return Labelled(*map(torch.stack, zip(*crops, strict=True)))


def actionness_loss(classifier: ActionnessClassifier, batch: Labelled, foreground: float) -> Tensor:
    """Class-balanced cross-entropy of steps; ``foreground`` is the share of an action among them."""
    logits = classifier(batch.features).flatten(0, 1)
    weight = torch.tensor([0.5 / (1 - foreground), 0.5 / foreground], device=logits.device)
    return nn.functional.cross_entropy(logits, batch.labels.flatten(), weight, ignore_index=IGNORED)


def judge_actionness(classifier: ActionnessClassifier, references: Sequence[Labelled]) -> dict[str, Tensor]:
    """Area under the ROC curve over the steps of all references, under ``validation/auc``."""
    from sklearn.metrics import roc_auc_score

    scores = torch.cat(
        [classifier.actionness(one.features)[one.labels != IGNORED].cpu() for one in references]
    )
    labels = torch.cat([one.labels[one.labels != IGNORED].cpu() for one in references])
    return {AUC: torch.tensor(roc_auc_score(labels.numpy(), scores.numpy()))}


def train_actionness(
    train_split: RelocalizationSplit,
    validation_split: RelocalizationSplit,
    output: str | Path,
    network: ActionnessSettings | None = None,
    settings: ActionnessTraining | None = None,
    augmentation: Augmentation | None = None,
    **options: Any,
) -> tuple[ActionnessClassifier, float]:
    """Train an actionness classifier without classes and return the best one with its validation AUC.

    Foreground are the instances of the split's own classes (those of its queries); see
    :func:`actionness_labels`. The validation split's classes choose the checkpoint.

    Args:
        train_split, validation_split: whose references teach, and whose, of other classes, choose.
        output: folder for ``checkpoints`` and ``metrics.csv``.
        network, settings: by default of the features' width, and the run's defaults.
        augmentation: changes to training features.
        **options: of :func:`vreloc_pyg.training.run.train`.

    Raises:
        DataError: if a split's references hold no foreground or no background.
    """
    settings = ActionnessTraining() if settings is None else settings
    labelled, judged = (LabelledReferences(split, settings) for split in (train_split, validation_split))
    torch.manual_seed(settings.seed)
    network = ActionnessSettings(labelled.references[0].features.size(1)) if network is None else network
    classifier = ActionnessClassifier(network)
    classifier.normalize_by([one.features for one in labelled.references])
    recipe = Recipe(
        draw=partial(labelled.draw, crop_steps=settings.crop_steps, augmentation=augmentation),
        loss=partial(actionness_loss, foreground=labelled.foreground),
        groups=[Group(list(classifier.parameters()), settings.learning_rate, settings.weight_decay)],
        validation=[judged.whole()],  # one example: the curve is that of all steps
        judge=judge_actionness,
        collate=collate_crops,
        monitor=AUC,
        skips_a_number=True,
    )
    return classifier, train(classifier, recipe, settings, output, **options)
