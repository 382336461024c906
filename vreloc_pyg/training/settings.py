"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vreloc_pyg.errors import SettingsError


@dataclass(frozen=True)
class TrainingSettings:
    """How :class:`~vreloc_pyg.training.RelocalizationModule` is trained. The defaults are the paper's.

    Args:
        loss: ``"triplet"`` (paper section 4.7.1) or ``"listwise"``.
        margin: of the triplet loss.
        reduction: of the triplet loss over the batch, ``"sum"`` (paper) or ``"mean"``.
        overlap_temperature: of the listwise loss, see :func:`~vreloc_pyg.training.losses.listwise_loss`.
        score_scale: the listwise loss sees scores, which lie in [-1, 1], times this.
        l2_weight: lambda of the L2 penalty on trunk and score head.
        learning_rate: Adam, trunk and score head.
        regression_learning_rate: Adam, regression head.
        weight_decay: decoupled (AdamW), trunk and score head.
        schedule: ``"constant"`` (paper), or ``"decay"``: 50 steps of warm-up, then falling to zero with the
            square root of what is left.
        regression_overlap: candidates of greater tIoU with the answer train the regression head.
        batch_size: episodes a step.
        epochs: validations, at most.
        steps_per_epoch: steps between validations.
        validation_pairs: judge only so many validation pairs, spread evenly; ``None``: all.
        patience: stop after this many validations without a better one; ``None``: never.
        gradient_clip: greatest norm of a gradient; ``None``: unlimited.
        crop: probability that a training reference is cropped at random to the stretch about its instances
            (Feng et al., ECCV 2018: .9).
        ema_decay: weights are averaged over steps with this decay; ``None``: not averaged.
        seed: decides initial weights, episodes and dropout.

    Raises:
        SettingsError: for an impossible value.
    """

    loss: Literal["triplet", "listwise"] = "triplet"
    margin: float = 0.5
    reduction: Literal["sum", "mean"] = "sum"
    overlap_temperature: float = 0.1
    score_scale: float = 20.0
    l2_weight: float = 5e-3
    learning_rate: float = 1e-4
    regression_learning_rate: float = 0.1
    weight_decay: float = 0.0
    schedule: Literal["constant", "decay"] = "constant"
    regression_overlap: float = 0.0
    batch_size: int = 32
    epochs: int = 100
    steps_per_epoch: int = 100
    validation_pairs: int | None = None
    patience: int | None = None
    gradient_clip: float | None = None
    crop: float = 0.0
    ema_decay: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "loss": ("triplet", "listwise"),
            "reduction": ("sum", "mean"),
            "schedule": ("constant", "decay"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise SettingsError(f"Expected {name} to be one of {known} (got {getattr(self, name)!r})")
        positive = ("batch_size", "epochs", "steps_per_epoch", "learning_rate", "regression_learning_rate")
        for name in (*positive, "overlap_temperature", "score_scale"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"Expected a positive {name} (got {getattr(self, name)})")
        for name in ("margin", "l2_weight", "weight_decay", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"Expected {name} >= 0 (got {getattr(self, name)})")
        for name in ("validation_pairs", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise SettingsError(f"Expected {name} >= 1 or none (got {getattr(self, name)})")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise SettingsError(f"Expected a positive gradient_clip or none (got {self.gradient_clip})")
        if not 0 <= self.regression_overlap < 1:
            raise SettingsError(f"Expected regression_overlap in [0, 1) (got {self.regression_overlap})")
        if not 0 <= self.crop <= 1:
            raise SettingsError(f"Expected crop in [0, 1] (got {self.crop})")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise SettingsError(f"Expected ema_decay in [0, 1) or none (got {self.ema_decay})")
