"""What is said of sources before they are read, and which folder a model's name means."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.videos import Levels, grey, write_video
from vreloc_pyg.errors import DataError, FeatureError, SettingsError, VideoError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store.writer import write_store
from vreloc_pyg.localization import locate
from vreloc_pyg.localization.shipped import model_folder
from vreloc_pyg.localization.sources import Sources
from vreloc_pyg.video.feature_cache import FeatureCache


@pytest.fixture
def store(tmp_path):
    features = {name: torch.rand(6, 3) for name in ("jump", "jumps")}
    return write_store(tmp_path / "features.h5", features.items(), FeatureMetadata("c3d", 3, 16.0, 25.0))


def test_one_name_that_is_near_is_offered(tmp_path, store):
    sources = Sources(Levels, FeatureCache(tmp_path / "cache"), store=store)
    with pytest.raises(DataError, match=r"holds no such video; did you mean jumps\?$"):
        sources.lasting("jumpss")
    with pytest.raises(DataError, match=r"holds no such video$"):
        sources.lasting("swim")


def test_what_is_stored_lasts_nobody_knows_how_long_and_a_video_its_frames(tmp_path, store):
    sources = Sources(Levels, FeatureCache(tmp_path / "cache"), store=store)
    np.save(tmp_path / "a.npy", np.zeros((3, 2), np.float32))
    assert sources.lasting("jump") is sources.lasting(tmp_path / "a.npy") is None
    path = write_video(tmp_path / "a.mp4", [grey(9)] * 20)
    assert sources.lasting(path) == pytest.approx(2)


def test_an_unknown_system_is_refused_before_anything_is_read():
    with pytest.raises(SettingsError, match="'cgbm' needs training"):
        locate("no such query.mp4", "no such reference.mp4", system="cgbm", extractor=Levels())


def test_a_folder_goes_before_a_shipped_model_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (model_folder("mgffnet") / "model.safetensors").is_file()
    assert model_folder("runs/mgffnet") == Path("runs/mgffnet")
    Path("mgffnet").mkdir()
    assert model_folder("mgffnet") == Path("mgffnet")


def test_a_part_of_features_is_that_of_its_seconds(tmp_path):
    features = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", features)
    sources = Sources(Levels, FeatureCache(tmp_path / "cache"), seconds_per_step=0.5)
    part = sources.read(tmp_path / "a.npy", 1.0, 2.5)
    np.testing.assert_array_equal(part.features, features[2:5])
    assert (part.seconds_per_step, part.duration_s) == (0.5, 1.5)
    assert sources.read(tmp_path / "a.npy", 4.0).duration_s == 2
    whole = sources.read(tmp_path / "a.npy")
    assert (len(whole.features), whole.duration_s) == (12, 6)
    for start_s, end_s in [(6.0, None), (2.0, 2.0), (-1.0, 2.0)]:
        with pytest.raises(VideoError, match="lasts 6 s: it has no part from"):
            sources.read(tmp_path / "a.npy", start_s, end_s)


def test_a_store_says_how_long_steps_last_if_it_knows_frames_and_rate(tmp_path, store):
    cache = FeatureCache(tmp_path / "cache")
    assert Sources(Levels, cache, store=store).read("jump").seconds_per_step == pytest.approx(16 / 25)
    for number, (frames, rate) in enumerate([(None, 25.0), (16.0, None)]):
        about = FeatureMetadata("c3d", 3, frames, rate)
        other = write_store(tmp_path / f"{number}.h5", {"jump": torch.rand(6, 3)}.items(), about)
        assert Sources(Levels, cache, store=other, seconds_per_step=0.5).read("jump").duration_s == 3
        with pytest.raises(DataError, match="Nobody says how long a step"):
            Sources(Levels, cache, store=other).read("jump")


def test_features_that_a_model_was_not_trained_on_are_refused(tmp_path, store):
    cache = FeatureCache(tmp_path / "cache")
    known = Sources(Levels, cache, FeatureMetadata("c3d", 3, 16.0, 25.0), store)
    assert known.read("jump").seconds_per_step == pytest.approx(16 / 25)
    other = Sources(Levels, cache, FeatureMetadata("i3d", 3, 16.0, 25.0), store)
    with pytest.raises(FeatureError, match="extractor"):
        other.read("jump")
