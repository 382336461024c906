"""One MGFFNet on several data sets, and put on one that it has not seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.datasets.own_set import write_own_set
from tests.small_runs import DATA
from vreloc_pyg.datasets import load_task
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.experiments.compare import load_localizer
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.localization import Calibration, Localizer
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.judging import PairDataset, judge
from vreloc_pyg.systems.pooled import pooled_recipe
from vreloc_pyg.systems.spec import Traits

SYSTEM = find_learned("mgffnet")
SMALL = {"hidden_channels": 8}
RUN = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 4, "validation_pairs": 2}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Poses in the plane and in space: 20 and 30 numbers a step."""
    place = tmp_path_factory.mktemp("sets")
    return [load_task("folder", write_own_set(place / f"in{dims}", dims)) for dims in (2, 3)]


def test_an_episode_is_of_one_data_set_as_that_set_alone_would_draw_it(sets):
    training = SYSTEM.training_for(RUN)
    network = SYSTEM.build(Traits.of(sets[0]), SMALL)
    pooled = pooled_recipe(SYSTEM, network, training, sets)
    alone = [SYSTEM.recipe(SYSTEM.build(Traits.of(data), SMALL), training, data) for data in sets]
    drawn = set()
    for seed in range(12):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        number = int(other.integers(2))
        episode, expected = pooled.draw(rng), alone[number].draw(other)
        drawn.add(number)
        assert torch.equal(episode.pairs[0].proposals, expected.pairs[0].proposals)
        assert torch.equal(episode.overlaps, expected.overlaps)
    assert drawn == {0, 1}
    batch = pooled.collate([pooled.draw(np.random.default_rng(seed)) for seed in range(4)])
    loss = sum(pooled.loss(network, batch).values())
    assert torch.isfinite(loss)


def test_every_validation_pair_is_judged_with_the_settings_of_its_set(sets):
    training = SYSTEM.training_for(RUN)
    network = SYSTEM.build(Traits.of(sets[0]), SMALL).eval()
    pooled = pooled_recipe(SYSTEM, network, training, sets)
    assert len(pooled.validation) == 4
    expected = []
    for data in sets:
        alone = SYSTEM.build(Traits.of(data), SMALL).eval()
        alone.load_state_dict(network.state_dict())
        pairs = PairDataset(data.splits["validation"], data.proposals, 2)
        expected += [judge(alone, pairs[index]) for index in range(2)]
    with torch.no_grad():
        found = [pooled.judge(network, pooled.validation[index]) for index in range(4)]
    assert found == expected


def test_a_pooled_model_answers_on_a_third_set(sets, tmp_path):
    localizer = train_system("mgffnet", sets, tmp_path, SMALL, RUN, progress=False)
    assert (localizer.features, localizer.calibration) == (None, None)
    third = load_task("folder", write_own_set(tmp_path / "third", 3), fold=1)
    with pytest.raises(ValueError, match="F = 20"):
        Localizer.from_pretrained(tmp_path / "model").localize(*third.splits["test"][0])
    adapted = load_localizer(tmp_path / "model", third, adapt=True)
    assert adapted.proposals == third.proposals
    assert adapted.ranker.settings == SYSTEM.settings_for(Traits.of(third), SMALL)
    assert len(adapted.localize(*third.splits["test"][0])) == 1
    for name, value in localizer.ranker.state_dict().items():
        assert torch.equal(adapted.ranker.state_dict()[name], value)
    # What is adapted can be saved, and answers as before.
    adapted.save_pretrained(tmp_path / "again")
    again = Localizer.from_pretrained(tmp_path / "again")
    query, reference = third.splits["test"][1]
    assert torch.equal(again.localize(query, reference).bounds, adapted.localize(query, reference).bounds)


def test_on_the_features_it_was_trained_on_nothing_changes_but_what_is_known_of_them(sets, tmp_path):
    network = SYSTEM.build(Traits.of(sets[0]), SMALL)
    about = FeatureMetadata("mine"), Calibration(1.0, 0.0)
    localizer = Localizer(SYSTEM, network, sets[0].proposals, 0.5, *about)
    localizer.save_pretrained(tmp_path)
    adapted = Localizer.from_pretrained(tmp_path, adapt_to=Traits.of(sets[0]))
    assert (adapted.features, adapted.calibration) == (None, None)
    for index in range(3):
        pair = sets[0].splits["test"][index]
        assert torch.equal(adapted.localize(*pair).bounds, localizer.localize(*pair).bounds)


@pytest.mark.parametrize("groups", [((0, 12), (12, 15), (15, 30)), ((0, 12), (12, 30)), ((0, 30),)])
def test_positions_and_velocities_of_poses_whose_skeleton_names_other_groups(groups, sets):
    """What a network was trained on decides: of two groups, one may not be the arms and one the legs."""
    traits = Traits.of(sets[1])
    named = replace(traits, skeleton=replace(traits.skeleton, groups=groups))
    adapted = SYSTEM.adapted(SYSTEM.build(Traits.of(sets[0]), SMALL), named)
    assert adapted.settings == SYSTEM.settings_for(traits, SMALL)
    # One that was trained on such groups needs as many of them.
    trained = SYSTEM.build(named, SMALL)
    assert SYSTEM.adapted(trained, named).settings.feature_groups == groups
    if len(groups) == 3:
        with pytest.raises(SettingsError, match="its weights depend on them"):
            SYSTEM.adapted(trained, traits)


def test_a_network_of_poses_answers_on_any_features(sets, tmp_path):
    """As values and changes in the units of poses: neither offset nor factor of the features matter."""
    network = SYSTEM.build(Traits.of(sets[0]), SMALL)
    Localizer(SYSTEM, network).save_pretrained(tmp_path)
    adapted = Localizer.from_pretrained(tmp_path, DATA.proposals, adapt_to=Traits.of(DATA))
    width = Traits.of(DATA).num_features
    settings = adapted.ranker.settings
    assert (settings.units, settings.feature_groups) == ("reference", ((0, width), (width, 2 * width)))
    query, reference = DATA.splits["test"][0]
    expected = adapted.localize(query, reference, 3)
    again = adapted.localize(
        replace(query, features=64 * query.features + 8),
        replace(reference, features=64 * reference.features + 8),
        3,
    )
    torch.testing.assert_close(again.bounds, expected.bounds)
    torch.testing.assert_close(again.scores, expected.scores, atol=1e-4, rtol=1e-4)
    # And back on poses, as it was.
    back = SYSTEM.adapted(adapted.ranker, Traits.of(sets[0]))
    assert back.settings == network.settings
    # It trains on both at once, too.
    train_system("mgffnet", [sets[0], DATA], tmp_path / "both", SMALL, RUN, progress=False)


@pytest.mark.parametrize("name", ["mgffnet-paper", "cgbm"])
def test_weights_that_depend_on_the_features_are_refused(name, sets, tmp_path):
    system = find_learned(name)
    network = system.build(Traits.of(sets[0]), SMALL)
    Localizer(system, network).save_pretrained(tmp_path)
    message = f"'{name}' trained on features of width 20 cannot be put on others, here of width "
    with pytest.raises(SettingsError, match=message):
        Localizer.from_pretrained(tmp_path, adapt_to=Traits.of(sets[1]))
    if not system.pools:
        message = f"'{name}' trains on one data set only"
    with pytest.raises(SettingsError, match=message):
        train_system(name, sets, tmp_path, SMALL, RUN, progress=False)


def test_a_network_of_other_features_is_not_put_on_poses(sets):
    with pytest.raises(SettingsError, match="its weights depend on them"):
        SYSTEM.adapted(SYSTEM.build(Traits.of(DATA), SMALL), Traits.of(sets[0]))
