"""Training MGFFNet."""

from vreloc_pyg.nn.losses import l2_penalty, listwise_loss, regression_loss, triplet_loss
from vreloc_pyg.systems.mgffnet.presets import Preset, make_preset
from vreloc_pyg.systems.mgffnet.training_settings import TrainingSettings
from vreloc_pyg.training.data import EpisodeDataset, RelocalizationData, TrainingBatch
from vreloc_pyg.training.module import RelocalizationModule
from vreloc_pyg.training.run import make_trainer, train

__all__ = [
    "EpisodeDataset",
    "Preset",
    "RelocalizationData",
    "RelocalizationModule",
    "TrainingBatch",
    "TrainingSettings",
    "l2_penalty",
    "listwise_loss",
    "make_preset",
    "make_trainer",
    "regression_loss",
    "train",
    "triplet_loss",
]
