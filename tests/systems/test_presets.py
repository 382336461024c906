import math
from dataclasses import asdict, replace
from functools import partial

import pytest

from tests.small_runs import DATA, small_run
from vreloc_pyg.datasets.augmentation import Augmentation, usual_changes
from vreloc_pyg.datasets.penn_action import PennAction
from vreloc_pyg.datasets.sampling import GradedSampler, TripletSampler
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.mgffnet.presets import CNN, PAPER, PAPER_CNN, RECOMMENDED, make_sampler
from vreloc_pyg.systems.mgffnet.ranker_settings import RankerSettings
from vreloc_pyg.systems.mgffnet.ranker_training import RankerTraining
from vreloc_pyg.systems.spec import Traits

SKELETON = PennAction.skeleton
NETWORK, RUN = partial(PAPER.settings_for, Traits(8)), PAPER.training_for
POSE = Traits(SKELETON.num_features, skeleton=SKELETON)


def test_paper_is_the_literal_reading():
    """Paper sections 4.2 to 4.8 and 5.2.2, read literally."""
    settings = PAPER.settings_for(Traits(500))
    assert settings == RankerSettings()
    assert settings.network(500).to_dict() == {
        "in_channels": 500,
        "hidden_channels": 500,
        "num_layers": 2,
        "scales": (1, 2, 3),
        "weight": "binary",
        "bandwidth": None,
        "mask_padding": False,
        "dropout": 0.4,
        "head_channels": (128, 32),
        "conv": "sum",
        "heads": (),
        "aggregate": True,
        "input_norm": False,
        "residual": False,
        "pool": "all",
        "score_gain": 1.0,
        "pair_features": False,
        "regression": "pooled",
        "context": 0.0,
    }
    assert (settings.num_steps, settings.fit, settings.nodes) == (40, "pad", "features")
    assert settings.mirror_index == settings.mirror_sign == settings.feature_groups == ()
    assert settings.refine
    training = asdict(PAPER.training)
    assert training.pop("epochs") * training.pop("steps_per_epoch") == 10_000
    unused = {
        "overlap_temperature",
        "score_scale",
        "num_candidates",
        "own_parts",
    }  # of loss and sampler not used
    assert {key: value for key, value in training.items() if key not in unused} == {
        "loss": "triplet",
        "margin": 0.5,
        "reduction": "sum",
        "l2_weight": 5e-3,
        "regression_weight": 1.0,
        "joint": False,
        "learning_rate": 1e-4,
        "regression_learning_rate": 0.1,
        "weight_decay": 0.0,
        "schedule": "constant",
        "regression_overlap": 0.0,
        "sampler": "triplet",
        "augment": False,
        "batch_size": 32,
        "validation_pairs": None,
        "patience": None,
        "gradient_clip": None,
        "crop": 0.0,
        "ema_decay": None,
        "buckets": False,
        "mixed_precision": False,
        "seed": 0,
    }


def test_the_papers_network():
    """Two one-layer unidirectional LSTMs of their own weights, and 7.6 million parameters at d = 500."""
    ranker = PAPER.build(Traits(500))
    model = ranker.model
    for encoder in (model.query_encoder, model.proposal_encoder):
        assert encoder.lstm.num_layers == 1
        assert not encoder.lstm.bidirectional
        assert encoder.lstm.hidden_size == 500
        assert encoder.dropout.p == 0.4
    assert model.query_encoder is not model.proposal_encoder
    pairs = zip(model.query_encoder.parameters(), model.proposal_encoder.parameters(), strict=True)
    assert not any(own is other for own, other in pairs)
    assert ranker.num_parameters == pytest.approx(7.6e6, rel=0.01)


def test_recommended():
    settings, training = RECOMMENDED.settings_for(Traits(12)), RECOMMENDED.training
    assert settings.weight == "row"
    assert settings.mask_padding
    assert settings.feature_groups == ((0, 12),)
    assert settings.mirror_index == ()
    assert training.loss == "listwise"
    assert training.l2_weight == 0
    assert training.regression_learning_rate == 1e-3
    assert training.ema_decay is not None
    assert usual_changes(12, None) == Augmentation(feature_dropout=0.1, speed=0.25, scale=0.1)


def test_recommended_knows_the_skeleton():
    settings = RECOMMENDED.settings_for(POSE)
    assert settings.feature_groups == SKELETON.feature_groups()
    assert (settings.mirror_index, settings.mirror_sign) == SKELETON.mirror_features()
    plain = usual_changes(POSE.num_features, None)
    assert usual_changes(POSE.num_features, SKELETON) == replace(
        plain, rotation=15.0, joints=SKELETON.num_joints, dims=SKELETON.num_dims
    )
    with pytest.raises(SettingsError, match=rf"^Expected {POSE.num_features} pose features \(got 12\)$"):
        RECOMMENDED.settings_for(replace(POSE, num_features=12))


def test_paper_does_not_use_the_skeleton():
    assert PAPER.settings_for(POSE) == PAPER.settings_for(replace(POSE, skeleton=None))


def test_an_ablation_is_the_recommended_system_with_its_one_change():
    assert CNN.settings_for(POSE) == replace(RECOMMENDED.settings_for(POSE), aggregate=False)
    assert CNN.training == RECOMMENDED.training
    assert PAPER_CNN.settings_for(POSE) == replace(PAPER.settings_for(POSE), aggregate=False)
    assert PAPER_CNN.training == PAPER.training


@pytest.mark.parametrize(
    ("system", "replaced", "width"),
    [
        (PAPER, {}, POSE.num_features),
        (PAPER, {"pair_features": True}, POSE.num_features),
        (RECOMMENDED, {}, 5 * len(SKELETON.feature_groups())),
        (RECOMMENDED, {"feature_groups": [[0, 4], [4, 8]]}, 10),
        (RECOMMENDED, {"nodes": "features", "pair_features": False, "context": 0.5}, POSE.num_features),
    ],
)
def test_the_network_follows_the_pairs(system, replaced, width):
    settings = system.settings_for(POSE, replaced)
    network = settings.network(POSE.num_features)
    assert network.in_channels == width
    assert (network.pair_features, network.context) == (settings.pair_features, settings.context)
    with pytest.raises(SettingsError, match=rf"in_channels = {width}.*\(got 7\)"):
        system.build(POSE, {**replaced, "in_channels": 7})


def test_windows_are_handed_to_whoever_needs_them():
    data = replace(DATA, proposals=SlidingWindows(shortest=7, longest=30), shortest=7)
    assert make_sampler(PAPER.training, data) == TripletSampler(data.proposals, 0, 0)
    assert make_sampler(RECOMMENDED.training, data) == GradedSampler(num_candidates=24, shortest=7)
    other = RECOMMENDED.training_for({"num_candidates": 8, "own_parts": 0.3})
    assert make_sampler(other, data) == GradedSampler(num_candidates=8, shortest=7, own_parts=0.3)


@pytest.mark.parametrize(("name", "augmented"), [("mgffnet-paper", False), ("mgffnet", True)])
def test_examples_are_changed_where_the_settings_say_so(name, augmented):
    assert (small_run(name).recipe.draw.keywords["augmentation"] is not None) == augmented
    turned = small_run(name, augment=not augmented)
    assert (turned.recipe.draw.keywords["augmentation"] is None) == augmented


@pytest.mark.parametrize("system", [PAPER, RECOMMENDED])
def test_single_settings_are_replaced(system):
    replaced = {"hidden_channels": 16, "scales": [1, 4], "num_steps": 10}
    plain = system.settings_for(Traits(8))
    expected = replace(plain, hidden_channels=16, scales=(1, 4), num_steps=10)
    assert system.settings_for(Traits(8), replaced) == expected
    assert system.training_for({"epochs": 3, "seed": 7}) == replace(system.training, epochs=3, seed=7)


@pytest.mark.parametrize(("settings_of", "settings"), [(NETWORK, RankerSettings), (RUN, RankerTraining)])
def test_unknown_settings_are_named_beside_the_known(settings_of, settings):
    known = ", ".join(settings.__dataclass_fields__)
    message = f"^Unknown setting 'depth' of {settings.__name__}; known are {known}$"
    with pytest.raises(SettingsError, match=message):
        settings_of({"depth": 3})


IMPOSSIBLE = [
    (NETWORK, "num_layers num_steps", [0, -1]),
    (NETWORK, "weight fit nodes", ["stretch"]),
    (RUN, "loss reduction schedule sampler", ["contrastive"]),
    (RUN, "batch_size epochs steps_per_epoch num_candidates", [0, -1, 2.5, "ten"]),
    (RUN, "validation_pairs patience", [0, -1]),
    (RUN, "learning_rate regression_learning_rate", [0.0, -0.1, math.nan, math.inf, "fast"]),
    (RUN, "score_scale gradient_clip overlap_temperature", [0.0, -2.0]),
    (RUN, "l2_weight weight_decay margin regression_weight", [-1e-3]),
    (RUN, "ema_decay regression_overlap", [-0.1, 1.0]),
    (RUN, "crop", [-0.1, 1.1]),
    (RUN, "seed", [-1, "x"]),
    (RUN, "joint", ["x"]),
]


@pytest.mark.parametrize(
    ("settings_of", "name", "value"),
    [(of, name, value) for of, names, values in IMPOSSIBLE for name in names.split() for value in values],
)
def test_impossible_settings_are_refused_by_name_and_value(settings_of, name, value):
    with pytest.raises(SettingsError, match=rf"{name}.*got .*{value}"):
        settings_of({name: value})


def test_the_least_values_are_accepted():
    least = dict.fromkeys(("validation_pairs", "patience", "batch_size", "epochs", "steps_per_epoch"), 1)
    least |= dict.fromkeys(("l2_weight", "weight_decay", "ema_decay", "margin", "crop"), 0.0)
    chosen = PAPER.training_for(least)
    assert {name: getattr(chosen, name) for name in least} == least
