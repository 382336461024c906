import json
from dataclasses import dataclass

import pytest

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs import Pairing
from vreloc_pyg.nn import MGFFNet, MGFFSettings
from vreloc_pyg.settings import settings_from_dict

OTHERS = {
    "in_channels": 3, "hidden_channels": 4, "num_layers": 1, "scales": [2], "weight": "exponential",
    "bandwidth": 2.0, "mask_padding": True, "dropout": 0.1, "head_channels": [5], "aggregate": False,
    "input_norm": True, "residual": True, "pool": "separate", "score_gain": 0.5, "pair_features": True,
    "regression": "boundaries", "context": 0.2, "conv": "match", "heads": ["path"],
}  # fmt: skip


def test_the_defaults_are_the_papers():
    settings = MGFFSettings()
    assert (settings.in_channels, settings.hidden_channels, settings.num_layers) == (500, 500, 2)
    assert settings.scales == (1, 2, 3)
    assert (settings.weight, settings.mask_padding, settings.dropout) == ("binary", False, 0.4)
    assert settings.head_channels == (128, 32)
    assert (settings.aggregate, settings.residual, settings.input_norm) == (True, False, False)
    assert (settings.pool, settings.score_gain, settings.pair_features) == ("all", 1.0, False)
    assert settings.regression == "pooled"


def test_settings_or_fields_or_both_make_a_model():
    settings = MGFFSettings(**OTHERS)
    assert settings.to_dict() == {**OTHERS, "scales": (2,), "head_channels": (5,), "heads": ("path",)}
    assert settings_from_dict(MGFFSettings, json.loads(json.dumps(settings.to_dict()))) == settings
    assert MGFFNet(settings).settings == MGFFNet(**OTHERS).settings == settings
    both = MGFFNet(settings, hidden_channels=8, scales=[1, 2])
    assert both.settings == MGFFSettings(**{**OTHERS, "hidden_channels": 8, "scales": (1, 2)})
    assert settings.hidden_channels == 4


def test_a_model_keeps_its_own_of_wider_settings():
    @dataclass(frozen=True)
    class Both(Pairing, MGFFSettings):
        refine: bool = False

    both = Both(in_channels=3, hidden_channels=4, num_steps=8, context=0.25)
    assert MGFFNet(both).settings == MGFFSettings(in_channels=3, hidden_channels=4, context=0.25)
    with pytest.raises(SettingsError, match="dropout"):
        Both(dropout=1.0)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"scales": (1, 1)}, r"scales .*\(got \(1, 1\)\)"),
        ({"scales": ()}, r"scales .*\(got \(\)\)"),
        ({"weight": "mean"}, r"weight .*binary, exponential, laplacian, row \(got 'mean'\)"),
        ({"regression": "boundaries"}, "needs mask_padding"),
        ({"heads": ("loose",)}, "heads as .*rigid, uniform, path"),
        ({"hiden_channels": 3}, r"Unknown setting 'hiden_channels'.*known are in_channels, hidden"),
    ],
)
def test_refuses_impossible_settings(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        MGFFNet(**settings)
