"""What every learned rival keeps to, whichever there are."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import TrainingPool
from vreloc_pyg.errors import CheckpointError, FeatureError, SettingsError
from vreloc_pyg.localization import Localizer, RivalLocalizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.catalog import RIVALS

WINDOWS = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
each_rival = pytest.mark.parametrize("rival", RIVALS.values(), ids=list(RIVALS))


def network(rival, num_features=8, longest=40):
    torch.manual_seed(0)
    return rival.build(num_features, rival.suit(longest, None)).eval()


def test_names_are_those_of_a_command_line():
    for name, rival in RIVALS.items():
        assert name == rival.name
        assert name == name.lower()
        assert " " not in name
        assert rival.source


@each_rival
@settings(max_examples=8)
@given(num_query=st.integers(1, 12), num_reference=st.integers(1, 60), seed=st.integers(0, 99))
def test_segments_lie_in_the_reference_whatever_the_lengths(rival, num_query, num_reference, seed):
    noise = torch.Generator().manual_seed(seed)
    query = torch.randn(num_query, 8, generator=noise)
    reference = torch.randn(num_reference, 8, generator=noise)
    with torch.no_grad():
        ranked = network(rival).rank(query, reference, WINDOWS(num_reference))
    assert len(ranked.windows) == len(ranked.scores) > 0
    assert ranked.windows.dtype == torch.int64
    assert torch.isfinite(ranked.scores).all()
    answers = ranked.windows.double() if ranked.answers is None else ranked.answers
    for bounds in (ranked.windows, answers):
        assert (bounds[:, 0] >= 0).all()
        assert (bounds[:, 1] <= num_reference).all()
        assert (bounds[:, 1] > bounds[:, 0]).all()


@each_rival
@pytest.mark.parametrize("augmentation", [None, Augmentation(feature_dropout=0.2, scale=0.1)])
def test_an_example_is_a_function_of_the_random_state(rival, augmentation, small_splits):
    pool = TrainingPool(small_splits["train"])
    first, second = (rival.draw(pool, np.random.default_rng(5), augmentation) for _ in range(2))
    assert str(first) == str(second)
    assert str(first) != str(rival.draw(pool, np.random.default_rng(6), augmentation))


@each_rival
def test_the_loss_is_a_number_that_moves_the_network(rival, small_splits):
    pool, rng = TrainingPool(small_splits["train"]), np.random.default_rng(0)
    trained = network(rival).train()
    loss = rival.loss(trained, [rival.draw(pool, rng, None) for _ in range(4)])
    assert loss.shape == ()
    assert torch.isfinite(loss)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.parameters())


@each_rival
def test_groups_of_parameters_hold_each_once(rival):
    trained = network(rival)
    grouped = [id(p) for group in trained.parameter_groups(1e-3) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in trained.parameters())


@each_rival
def test_a_saved_rival_answers_as_before(rival, small_splits, tmp_path):
    query, reference = small_splits["test"][0]
    localizer = RivalLocalizer(rival, network(rival), WINDOWS)
    expected = localizer.localize(query, reference, top_n=3)
    localizer.save_pretrained(tmp_path)
    read = Localizer.from_pretrained(tmp_path)
    assert isinstance(read, RivalLocalizer)
    assert asdict(read.network.settings) == asdict(localizer.network.settings)
    assert read.proposals == WINDOWS
    found = read.localize(query, reference, top_n=3)
    assert torch.equal(found.bounds, expected.bounds)
    assert torch.equal(found.scores, expected.scores)


@each_rival
def test_features_of_another_width_are_refused(rival, small_splits):
    query, reference = small_splits["test"][0]
    with pytest.raises(FeatureError, match="F = 9"):
        RivalLocalizer(rival, network(rival, 9), WINDOWS).localize(query, reference)


@each_rival
def test_unknown_settings_are_refused(rival):
    with pytest.raises(SettingsError, match="'wheels'"):
        rival.build(8, {"wheels": 4})


def test_a_checkpoint_of_an_unknown_rival_names_the_file(tmp_path):
    rival = next(iter(RIVALS.values()))
    RivalLocalizer(rival, network(rival), WINDOWS).save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace(f'"rival": "{rival.name}"', '"rival": "nobody"'))
    with pytest.raises(CheckpointError, match=r"config\.json.*nobody"):
        Localizer.from_pretrained(tmp_path)
