import math

import pytest

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.training import TrainingSettings


def test_the_defaults_are_the_papers():
    """Paper sections 4.7 and 5.2.2."""
    chosen = TrainingSettings()
    assert (chosen.loss, chosen.margin, chosen.reduction) == ("triplet", 0.5, "sum")
    assert chosen.l2_weight == 5e-3
    assert chosen.weight_decay == 0
    assert chosen.learning_rate == 1e-4
    assert chosen.regression_learning_rate == 0.1
    assert chosen.schedule == "constant"
    assert chosen.batch_size == 32
    assert chosen.epochs * chosen.steps_per_epoch == 10_000
    assert chosen.gradient_clip is chosen.ema_decay is chosen.patience is chosen.validation_pairs is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "contrastive"),
        ("reduction", "none"),
        ("schedule", "cosine"),
        ("batch_size", 0),
        ("epochs", 0),
        ("epochs", -1),
        ("steps_per_epoch", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("regression_learning_rate", -0.1),
        ("validation_pairs", 0),
        ("patience", 0),
        ("overlap_temperature", 0.0),
        ("l2_weight", -1e-3),
        ("weight_decay", -1e-3),
        ("gradient_clip", 0.0),
        ("gradient_clip", -2.0),
        ("ema_decay", -0.1),
        ("ema_decay", 1.0),
        ("regression_overlap", -0.1),
        ("regression_overlap", 1.0),
        ("margin", -0.5),
        ("score_scale", 0.0),
        ("seed", -1),
    ],
)
def test_impossible_values_are_refused_by_name_and_value(name, value):
    with pytest.raises(SettingsError, match=rf"{name}.*got .*{value}"):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize(
    "values",
    [
        {"validation_pairs": 1, "patience": 1, "batch_size": 1, "epochs": 1, "steps_per_epoch": 1},
        {"l2_weight": 0.0, "weight_decay": 0.0, "ema_decay": 0.0, "gradient_clip": 1e-3, "margin": 0.0},
    ],
)
def test_the_least_values_are_accepted(values):
    chosen = settings_from_dict(TrainingSettings, values)
    assert {name: getattr(chosen, name) for name in values} == values


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", "ten"), ("epochs", 2.5), ("seed", "x"), ("learning_rate", "fast")]
)
def test_values_of_another_type_are_refused_by_name_and_value(name, value):
    with pytest.raises(SettingsError, match=rf"{name}.*got .*{value}"):
        settings_from_dict(TrainingSettings, {name: value})
