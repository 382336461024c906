"""Questions to a library, one after the other."""

from dataclasses import replace

import pytest
import torch

from tests.library.test_search import ACTION, STEP, video
from vreloc_pyg.errors import DataError, FeatureError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.asking import LibrarySearch
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library
from vreloc_pyg.localization import Localizer
from vreloc_pyg.localization.training_free import training_free


@pytest.fixture
def searched(tmp_path):
    library = Library(tmp_path / "lib", create=True)
    index_features(library, ((f"v{i}", video(i), STEP) for i in range(6)), FeatureMetadata(dim=12))
    return LibrarySearch(tmp_path / "lib")


def test_a_moment_becomes_the_query(searched):
    """v0 and v5 show the action twice each, of which one is asked for."""
    whole = searched.ask(["v0"], part=(15.0, 27.0), top=4)
    first = whole.moments[0]
    assert (first.video, first.start_s, first.end_s) == ("v0", 15.0, 27.0)
    again = searched.ask_like(first, top=4)
    assert again.moments == whole.moments
    assert {one.video for one in again.moments} == {"v0", "v5"}
    assert (again.queries, again.part) == (("v0",), (15.0, 27.0))
    with pytest.raises(DataError, match="v9 is not in the library any more"):
        searched.ask_like(replace(first, video="v9"))


def test_what_is_indexed_in_the_meantime_is_searched_too(searched, tmp_path):
    assert "v10" not in {one.video for one in searched.ask(["v0"], part=(15.0, 27.0)).moments}
    before = searched.searchable()
    assert searched.searchable() is before  # nothing has changed: nothing is read
    index_features(Library(tmp_path / "lib"), [("v10", video(10), STEP)], FeatureMetadata(dim=12))
    found = searched.ask(["v0"], part=(15.0, 27.0), top=6).moments
    assert [one.video for one in found].count("v10") == 2


def test_scores_below_the_least_are_left_out(searched):
    every = searched.ask(["v0"], part=(15.0, 27.0)).moments
    bound = every[2].score
    assert searched.ask(["v0"], part=(15.0, 27.0), min_score=bound).moments == every[:3]


def test_a_model_of_other_features_and_another_network_are_refused(tmp_path, monkeypatch):
    made_with = FeatureMetadata(extractor="look", dim=12)
    index_features(Library(tmp_path, create=True), [("v", ACTION.repeat(3, 1), STEP)], made_with)
    model = training_free(None)
    model.features = FeatureMetadata(extractor="c3d", dim=12)
    monkeypatch.setattr(Localizer, "from_pretrained", lambda _: model)
    with pytest.raises(FeatureError, match="expected c3d"):
        LibrarySearch(tmp_path, checkpoint="model")
    with pytest.raises(FeatureError, match="--extractor i3d"):
        LibrarySearch(tmp_path, extractor="i3d")


def test_nobody_knows_the_network_of_features(searched):
    with pytest.raises(SettingsError, match="no known network made"):
        searched.network()
    assert torch.isfinite(torch.tensor([one.score for one in searched.ask(["v1"]).moments])).all()
