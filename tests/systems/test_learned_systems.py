"""What every learned system keeps to, whichever there are."""

import math
import re
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_runs import SPLITS, WINDOWS, small_run
from vreloc_pyg.errors import CheckpointError, FeatureError, SegmentError, SettingsError
from vreloc_pyg.localization import Localizer
from vreloc_pyg.systems.answering import Answering, AnswerSettings
from vreloc_pyg.systems.catalog import every_system, find_learned
from vreloc_pyg.systems.spec import LearnedSystem, Traits
from vreloc_pyg.training.recipe import make_optimizer

LEARNED = [system.name for system in every_system() if isinstance(system, LearnedSystem)]
each_system = pytest.mark.parametrize("name", LEARNED)


@cache
def ranker(name):
    return small_run(name).network.eval()


@each_system
@settings(max_examples=8)
@given(st.integers(1, 12), st.integers(1, 60), st.floats(0.01, 100), st.integers(0, 99))
def test_segments_lie_in_the_reference_whatever_the_clips(name, num_query, num_reference, scale, seed):
    noise = torch.Generator().manual_seed(seed)
    query = scale * torch.randn(num_query, 8, generator=noise)
    reference = torch.randn(num_reference, 8, generator=noise)
    everything = AnswerSettings(tuple(range(7, -1, -1)), (1.0,) * 8, search=2, length_weight=0.3)
    for asked in (ranker(name), Answering(ranker(name), everything)):
        with torch.no_grad():
            ranked = asked.rank(query, reference, WINDOWS(num_reference))
        assert len(ranked.windows) == len(ranked.scores) == len(ranked.segments) > 0
        assert ranked.windows.dtype == torch.int64
        assert ranked.segments.dtype == torch.float64
        assert torch.isfinite(ranked.scores).all()
        for bounds in (ranked.windows, ranked.segments):
            assert (bounds[:, 0] >= 0).all()
            assert (bounds[:, 1] <= num_reference).all()
            assert (bounds[:, 1] > bounds[:, 0]).all()


@each_system
def test_of_no_windows_there_are_no_answers_but_of_its_own(name):
    none = torch.zeros(0, 2, dtype=torch.int64)
    query, reference = torch.randn(5, 8), torch.randn(20, 8)
    everything = AnswerSettings(search=2, length_weight=0.3)
    for asked in (ranker(name), Answering(ranker(name), everything)):
        with torch.no_grad():
            ranked = asked.rank(query, reference, none)
            own = asked.rank(query, reference, WINDOWS(20)).windows
        assert len(ranked.scores) == len(ranked.segments) == len(ranked.windows)
        assert len(ranked.windows) == 0 or set(map(tuple, own.tolist())) <= set(
            map(tuple, ranked.windows.tolist())
        )


@each_system
@pytest.mark.parametrize("columns", [slice(0, 8), slice(0, 4)], ids=["nothing moves", "a group stands still"])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_features_that_stand_still_have_finite_scores(name, columns, value):
    query, reference = torch.randn(5, 8), torch.randn(20, 8)
    query[:, columns], reference[:, columns] = value, value
    with torch.no_grad():
        ranked = Answering(ranker(name), AnswerSettings(search=2)).rank(query, reference, WINDOWS(20))
    assert torch.isfinite(ranked.scores).all()
    assert torch.isfinite(ranked.segments).all()


def test_a_reference_without_candidates_is_named():
    class Nothing:
        def propose(self, video):
            return torch.zeros(0, 2, dtype=torch.int64)

        def fingerprint(self):
            return "nothing"

    query, reference = SPLITS["test"][0]
    localizer = Localizer(find_learned("mgffnet"), ranker("mgffnet"), Nothing())
    with pytest.raises(SegmentError, match=f"no candidate windows of the reference '{reference.video_id}'"):
        localizer.localize(query, reference)


@each_system
@pytest.mark.parametrize("augment", [False, True])
def test_an_example_is_a_function_of_the_random_state(name, augment):
    draw = small_run(name, augment=augment).recipe.draw
    first, second, other = (draw(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert str(first) == str(second)
    assert str(first) != str(other)


@each_system
def test_the_loss_is_a_number_that_moves_the_network(name):
    run = small_run(name)
    losses = run.recipe.loss(run.network.train(), run.batch(4))
    losses = losses.values() if isinstance(losses, dict) else [losses]
    for loss in losses:
        assert loss.shape == ()
        assert torch.isfinite(loss)
        loss.backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in run.network.parameters())


@each_system
def test_every_parameter_is_in_one_group(name):
    run = small_run(name)
    assert len(make_optimizer(run.network, run.recipe.groups).param_groups) == len(run.recipe.groups) > 0


@each_system
def test_a_saved_system_answers_as_before(name, tmp_path):
    query, reference = SPLITS["test"][0]
    answers = AnswerSettings(tuple(range(7, -1, -1)), (1.0,) * 8, length_weight=0.3)
    localizer = Localizer(find_learned(name), ranker(name), WINDOWS, answers=answers)
    expected = localizer.localize(query, reference, top_n=3)
    localizer.save_pretrained(tmp_path)
    read = Localizer.from_pretrained(tmp_path)
    assert (read.name, read.kin) == (localizer.name, localizer.kin)
    assert type(read.ranker) is type(localizer.ranker)
    assert asdict(read.ranker.settings) == asdict(localizer.ranker.settings)
    assert (read.proposals, read.answers) == (WINDOWS, localizer.answers)
    found = read.localize(query, reference, top_n=3)
    assert torch.equal(found.bounds, expected.bounds)
    assert torch.equal(found.scores, expected.scores)


@each_system
def test_features_of_another_width_are_refused(name):
    query, reference = SPLITS["test"][0]
    system = find_learned(name)
    localizer = Localizer(system, system.build(Traits(9), {"hidden_channels": 8}), WINDOWS)
    with pytest.raises(FeatureError, match="F = 9"):
        localizer.localize(query, reference)


@each_system
def test_unknown_settings_are_named_beside_the_known(name):
    system = find_learned(name)
    with pytest.raises(SettingsError, match=r"'wheels'.*known are .*hidden_channels"):
        system.build(Traits(8), {"wheels": 4})
    with pytest.raises(SettingsError, match=r"'wheels'.*known are .*learning_rate"):
        system.training_for({"wheels": 4})


IMPOSSIBLE = [
    ("aft-srm cgbm video-level matching-transformer sst", "hidden_channels", [0, 2.5]),
    ("aft-srm video-level matching-transformer sst", "dropout", [1.0, -0.1]),
    ("aft-srm", "channels", [(), (4, 0)]),
    ("aft-srm", "fit", ["cut"]),
    ("aft-srm mgffnet mgffnet-match", "num_steps", [10**7]),
    ("aft-srm", "regression_learning_rate", [0.0]),
    ("cgbm video-level", "longest", [0]),
    ("cgbm", "num_factors", [0]),
    ("cgbm", "aggregation_dropout matching_dropout", [1.0, -0.1]),
    ("cgbm", "boundary_weight", [0.0, math.nan]),
    ("matching-transformer", "num_layers num_kept", [0]),
    ("matching-transformer", "span_weight", [-1.0]),
    ("video-level", "margin negative_overlap", [-0.1]),
    ("video-level", "positive_overlap", [1.0]),
    ("video-level", "negative_overlap", [0.9]),  # greater than the positive one
]


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        (name, setting, value)
        for names, settings, values in IMPOSSIBLE
        for name in names.split()
        for setting in settings.split()
        for value in values
    ],
)
def test_impossible_settings_are_refused_by_name_and_value(name, setting, value):
    with pytest.raises(SettingsError, match=rf"{setting}.*\(got .*{re.escape(str(value))}"):
        find_learned(name).settings_for(Traits(8), {setting: value})


@pytest.mark.parametrize(
    ("name", "replaced", "message"),
    [
        ("aft-srm", {"num_steps": 8, "channels": (4, 4, 4, 4)}, r"num_steps >= 16.*and 8\)"),
        ("matching-transformer", {"hidden_channels": 18, "num_heads": 4}, r"multiple of .* = 8"),
        ("matching-transformer", {"mirror_index": (0,)}, "of one length"),
    ],
)
def test_settings_must_go_together(name, replaced, message):
    with pytest.raises(SettingsError, match=message):
        find_learned(name).settings_for(Traits(8), replaced)


def test_a_checkpoint_of_an_unknown_system_names_the_file_and_the_known(tmp_path):
    Localizer(find_learned("sst"), ranker("sst"), WINDOWS).save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"system": "sst"', '"system": "nobody"'))
    with pytest.raises(CheckpointError, match=r"config\.json.*'nobody'; known are .*cgbm"):
        Localizer.from_pretrained(tmp_path)
    mine = find_learned("sst")
    assert Localizer.from_pretrained(tmp_path, system=mine).system is mine
