from dataclasses import asdict, replace

import pytest

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.penn_action import PennAction
from vreloc_pyg.datasets.sampling import GradedSampler, TripletSampler
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.nn.mgff_settings import MGFFSettings
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.training import TrainingSettings, make_preset

SKELETON = PennAction.skeleton
POSE = SKELETON.num_features


def test_paper_is_the_literal_reading():
    """Paper sections 4.2 to 4.7 and 5.2.2, read literally."""
    preset = make_preset("paper", 500)
    assert preset.model.to_dict() == {
        "in_channels": 500,
        "hidden_channels": 500,
        "num_layers": 2,
        "scales": (1, 2, 3),
        "weight": "binary",
        "bandwidth": None,
        "mask_padding": False,
        "dropout": 0.4,
        "head_channels": (128, 32),
        "aggregate": True,
        "input_norm": False,
        "residual": False,
        "pool": "all",
        "score_gain": 1.0,
        "pair_features": False,
        "conv": "mgff",
        "regression": "pooled",
        "context": 0.0,
    }
    assert preset.pairing == Pairing(num_steps=40, fit="pad", nodes="features", context=0.0)
    assert preset.pairing.mirror_index == ()
    assert preset.sampler == TripletSampler(SlidingWindows(), positive_jitter=0, same_reference_negative=0)
    assert preset.augmentation is None
    assert preset.refine
    training = asdict(preset.training)
    assert training.pop("epochs") * training.pop("steps_per_epoch") == 10_000
    unused = {"overlap_temperature", "score_scale"}  # of the listwise loss
    assert {key: value for key, value in training.items() if key not in unused} == {
        "loss": "triplet",
        "margin": 0.5,
        "reduction": "sum",
        "l2_weight": 5e-3,
        "learning_rate": 1e-4,
        "regression_learning_rate": 0.1,
        "weight_decay": 0.0,
        "schedule": "constant",
        "regression_overlap": 0.0,
        "batch_size": 32,
        "validation_pairs": None,
        "patience": None,
        "gradient_clip": None,
        "crop": 0.0,
        "ema_decay": None,
        "seed": 0,
    }


def test_the_network_knows_the_context_of_its_pairs():
    assert make_preset("recommended", POSE, skeleton=SKELETON).model.context == 0.2
    assert make_preset("recommended", POSE, skeleton=SKELETON, pairing={"context": 0.5}).model.context == 0.5


def test_the_papers_network():
    """Two one-layer unidirectional LSTMs of their own weights, and 7.6 million parameters at d = 500."""
    model = MGFFNet(**make_preset("paper", 500).model.to_dict())
    for encoder in (model.query_encoder, model.proposal_encoder):
        assert encoder.lstm.num_layers == 1
        assert not encoder.lstm.bidirectional
        assert encoder.lstm.hidden_size == 500
        assert encoder.dropout.p == 0.4
    assert model.query_encoder is not model.proposal_encoder
    pairs = zip(model.query_encoder.parameters(), model.proposal_encoder.parameters(), strict=True)
    assert not any(own is other for own, other in pairs)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(7.6e6, rel=0.01)


def test_recommended_is_told_by_named_arguments():
    preset = make_preset("recommended", 12)
    assert preset.model.weight == "row"
    assert preset.model.mask_padding
    assert preset.training.loss == "listwise"
    assert preset.training.l2_weight == 0
    assert preset.training.regression_learning_rate == 1e-3
    assert preset.training.ema_decay is not None
    assert isinstance(preset.sampler, GradedSampler)
    assert preset.pairing.feature_groups == ((0, 12),)
    assert preset.pairing.mirror_index == ()
    assert preset.augmentation is not None
    assert preset.augmentation.joints == 0
    assert preset.augmentation.rotation == 0


def test_recommended_knows_the_skeleton():
    preset = make_preset("recommended", POSE, skeleton=SKELETON)
    assert preset.pairing.feature_groups == SKELETON.feature_groups()
    assert (preset.pairing.mirror_index, preset.pairing.mirror_sign) == SKELETON.mirror_features()
    plain = make_preset("recommended", POSE).augmentation
    assert preset.augmentation == replace(
        plain, rotation=15.0, joints=SKELETON.num_joints, dims=SKELETON.num_dims
    )
    with pytest.raises(SettingsError, match=rf"^Expected {POSE} pose features \(got 12\)$"):
        make_preset("recommended", 12, skeleton=SKELETON)


def test_paper_does_not_use_the_skeleton():
    assert make_preset("paper", POSE, skeleton=SKELETON) == make_preset("paper", POSE)


@pytest.mark.parametrize("name", ["paper", "recommended"])
@pytest.mark.parametrize("skeleton", [None, SKELETON])
def test_model_and_pairing_agree(name, skeleton):
    preset = make_preset(name, POSE, skeleton=skeleton)
    assert preset.name == name
    assert preset.model.in_channels == preset.pairing.node_channels(POSE)
    assert preset.model.pair_features == preset.pairing.pair_features
    if name == "recommended":
        assert preset.model.in_channels == 5 * len(preset.pairing.feature_groups)


def test_windows_are_handed_to_whoever_needs_them():
    windows = SlidingWindows(shortest=7, longest=30)
    paper, recommended = (make_preset(name, 8, windows) for name in ("paper", "recommended"))
    assert paper.proposals == recommended.proposals == windows
    assert paper.sampler == TripletSampler(windows)
    assert recommended.sampler == GradedSampler(num_candidates=24, shortest=7)


@pytest.mark.parametrize("name", ["paper", "recommended"])
def test_single_settings_are_replaced(name):
    plain = make_preset(name, 8)
    preset = make_preset(
        name,
        8,
        model={"hidden_channels": 16, "scales": [1, 4]},
        pairing={"num_steps": 10},
        training={"epochs": 3, "seed": 7},
    )
    assert preset.model == replace(plain.model, hidden_channels=16, scales=(1, 4))
    assert preset.pairing == replace(plain.pairing, num_steps=10)
    assert preset.training == replace(plain.training, epochs=3, seed=7)


def test_the_model_follows_the_pairing():
    preset = make_preset("recommended", 8, pairing={"nodes": "features", "pair_features": False})
    assert preset.model.in_channels == 8
    assert not preset.model.pair_features
    preset = make_preset("recommended", 8, pairing={"feature_groups": [[0, 4], [4, 8]]})
    assert preset.model.in_channels == 10
    paper = make_preset("paper", 8, pairing={"pair_features": True})
    assert paper.model.pair_features


def test_unknown_presets_are_named_beside_the_known():
    with pytest.raises(SettingsError, match=r"^Unknown preset 'small'; known are paper, recommended$"):
        make_preset("small", 8)


@pytest.mark.parametrize(
    ("part", "settings"), [("model", MGFFSettings), ("pairing", Pairing), ("training", TrainingSettings)]
)
def test_unknown_settings_are_named_beside_the_known(part, settings):
    known = ", ".join(settings.__dataclass_fields__)
    with pytest.raises(
        SettingsError, match=f"^Unknown setting 'depth' of {settings.__name__}; known are {known}$"
    ):
        make_preset("paper", 8, **{part: {"depth": 3}})


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("model", {"num_layers": 0}),
        ("model", {"weight": "gaussian"}),
        ("pairing", {"num_steps": 0}),
        ("pairing", {"fit": "stretch"}),
        ("training", {"loss": "hinge"}),
        ("training", {"batch_size": 0}),
    ],
)
def test_impossible_settings_are_refused(part, values):
    ((key, value),) = values.items()
    with pytest.raises(SettingsError, match=rf"{key}.*got .*{value}"):
        make_preset("paper", 8, **{part: values})


def test_presets_are_values():
    assert make_preset("recommended", 8) == make_preset("recommended", 8)
    assert make_preset("recommended", 8).augmentation == Augmentation(
        feature_dropout=0.1, speed=0.25, scale=0.1
    )
