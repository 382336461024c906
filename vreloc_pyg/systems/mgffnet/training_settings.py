"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import RunSettings


@dataclass(frozen=True)
class TrainingSettings(RunSettings):
    """How :class:`~vreloc_pyg.training.RelocalizationModule` is trained. The defaults are the paper's.

    Args:
        loss: ``"triplet"`` (paper section 4.7.1) or ``"listwise"``.
        margin: of the triplet loss.
        reduction: of the triplet loss over the batch, ``"sum"`` (paper) or ``"mean"``.
        overlap_temperature: of the listwise loss, see :func:`~vreloc_pyg.nn.losses.listwise_loss`.
        score_scale: the listwise loss sees scores, which lie in [-1, 1], times this.
        l2_weight: lambda of the L2 penalty on trunk and score head.
        regression_learning_rate: Adam, regression head; ``learning_rate`` and ``weight_decay`` are those of
            trunk and score head.
        schedule: ``"constant"`` (paper), or ``"decay"``: 50 steps of warm-up, then falling to zero with the
            square root of what is left.
        regression_overlap: candidates of greater tIoU with the answer train the regression head.

    The other settings are those of :class:`~vreloc_pyg.settings.RunSettings`; an example is an episode.

    Raises:
        SettingsError: for an impossible value.
    """

    learning_rate: float = 1e-4
    epochs: int = 100
    loss: Literal["triplet", "listwise"] = "triplet"
    margin: float = 0.5
    reduction: Literal["sum", "mean"] = "sum"
    overlap_temperature: float = 0.1
    score_scale: float = 20.0
    l2_weight: float = 5e-3
    regression_learning_rate: float = 0.1
    schedule: Literal["constant", "decay"] = "constant"
    regression_overlap: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        choices = {
            "loss": ("triplet", "listwise"),
            "reduction": ("sum", "mean"),
            "schedule": ("constant", "decay"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise SettingsError(f"Expected {name} to be one of {known} (got {getattr(self, name)!r})")
        for name in ("regression_learning_rate", "overlap_temperature", "score_scale"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"Expected a positive {name} (got {getattr(self, name)})")
        for name in ("margin", "l2_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"Expected {name} >= 0 (got {getattr(self, name)})")
        if not 0 <= self.regression_overlap < 1:
            raise SettingsError(f"Expected regression_overlap in [0, 1) (got {self.regression_overlap})")
