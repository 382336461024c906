import json
from dataclasses import asdict

import pytest

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.nn import PRESETS, MGFFNet, MGFFSettings
from vreloc_pyg.nn.mgff_settings import preset_settings
from vreloc_pyg.settings import settings_from_dict


def test_the_defaults_are_the_papers():
    settings = MGFFSettings()
    assert preset_settings("paper") == settings
    assert (settings.in_channels, settings.hidden_channels, settings.num_layers) == (500, 500, 2)
    assert settings.scales == (1, 2, 3)
    assert (settings.weight, settings.mask_padding, settings.dropout) == ("binary", False, 0.4)
    assert settings.head_channels == (128, 32)
    assert (settings.aggregate, settings.residual, settings.input_norm) == (True, False, False)
    assert settings.conv == "mgff"
    assert (settings.pool, settings.score_gain, settings.pair_features) == ("all", 1.0, False)
    assert settings.regression == "pooled"


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_build_and_survive_json(preset):
    settings = preset_settings(preset, in_channels=6, hidden_channels=8)
    assert settings_from_dict(MGFFSettings, json.loads(json.dumps(settings.to_dict()))) == settings
    assert MGFFNet(**settings.to_dict()).settings == settings
    assert settings.to_dict() == asdict(settings)


def test_the_constructor_of_the_model_takes_exactly_the_settings():
    settings = {
        "in_channels": 3, "hidden_channels": 4, "num_layers": 1, "scales": [2], "weight": "exponential",
        "bandwidth": 2.0, "mask_padding": True, "dropout": 0.1, "head_channels": [5], "aggregate": False,
        "input_norm": True, "residual": True, "pool": "separate", "score_gain": 0.5, "pair_features": True,
        "conv": "mgff", "regression": "boundaries", "context": 0.2,
    }  # fmt: skip
    built = MGFFNet(**settings).settings
    assert built.to_dict() == {**settings, "scales": (2,), "head_channels": (5,)}
    assert set(settings) == set(MGFFSettings().to_dict())


def test_lists_become_tuples():
    settings = MGFFSettings(scales=[1, 4], head_channels=[9])
    assert settings.scales == (1, 4)
    assert settings.head_channels == (9,)
    assert hash(settings) == hash(MGFFSettings(scales=(1, 4), head_channels=(9,)))


def test_single_settings_replace_those_of_a_preset():
    settings = preset_settings("recommended", hidden_channels=7, weight="binary")
    assert (settings.hidden_channels, settings.weight) == (7, "binary")
    assert settings.residual is preset_settings("recommended").residual is True


@pytest.mark.parametrize("conv", ["gat", "sage"])
def test_another_convolution_takes_the_place_of_weights(conv):
    with pytest.raises(SettingsError, match=f"weight='binary' with conv='{conv}'"):
        preset_settings("recommended", conv=conv)
    settings = preset_settings("recommended", conv=conv, weight="binary")
    assert settings.conv == MGFFNet(**settings.to_dict()).settings.conv == conv
    assert settings_from_dict(MGFFSettings, json.loads(json.dumps(settings.to_dict()))) == settings


def test_settings_written_before_there_was_a_choice_are_read():
    old = preset_settings("recommended").to_dict()
    del old["conv"]
    assert settings_from_dict(MGFFSettings, old) == preset_settings("recommended")


def test_refuses_unknown_presets_and_settings():
    with pytest.raises(SettingsError, match="Unknown preset 'big'; known are paper, recommended"):
        preset_settings("big")
    with pytest.raises(SettingsError, match="Unknown setting 'width' of MGFFSettings"):
        preset_settings("paper", width=3)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"in_channels": 0}, r"in_channels, hidden_channels and num_layers >= 1 \(got 0, 500 and 2\)"),
        ({"hidden_channels": -1}, r"got 500, -1 and 2"),
        ({"num_layers": 0}, r"got 500, 500 and 0"),
        ({"weight": "mean"}, r"weight to be one of binary, exponential, laplacian, row \(got 'mean'\)"),
        ({"bandwidth": 0.0}, r"positive bandwidth in nodes \(got 0.0\)"),
        ({"bandwidth": float("nan")}, "positive bandwidth"),
        ({"head_channels": (8, 0)}, r"head_channels >= 1 \(got \(8, 0\)\)"),
        ({"pool": "max"}, r"pool to be 'all' or 'separate' \(got 'max'\)"),
        ({"conv": "gcn"}, r"conv to be one of mgff, gat, sage \(got 'gcn'\)"),
        ({"conv": "gat", "weight": "row"}, r"weight='binary' with conv='gat', which has none \(got 'row'\)"),
        ({"conv": "sage", "aggregate": False}, r"aggregate=True with conv='sage' \(got False\)"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\) \(got 1.0\)"),
        ({"dropout": -0.1}, r"dropout in \[0, 1\) \(got -0.1\)"),
    ],
)
def test_refuses_impossible_values(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        MGFFSettings(**settings)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"regression": "ends"}, "'pooled' or 'boundaries' \\(got 'ends'\\)"),
        ({"regression": "boundaries", "mask_padding": False}, "needs mask_padding"),
        ({"context": -0.1}, "context >= 0 \\(got -0.1\\)"),
    ],
)
def test_impossible_settings_of_boundaries_are_refused(wrong, message):
    with pytest.raises(SettingsError, match=message):
        preset_settings("recommended", **wrong)
