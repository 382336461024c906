import pytest

from vreloc_pyg.errors import FeatureError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata, check_metadata
from vreloc_pyg.settings import settings_from_dict

C3D = FeatureMetadata("c3d", 500, 16.0, 25.0, "abc", "0.1.0")


def test_it_comes_back_from_plain_values():
    assert settings_from_dict(FeatureMetadata, C3D.to_dict()) == C3D
    assert settings_from_dict(FeatureMetadata, {}) == FeatureMetadata()
    assert FeatureMetadata().to_dict() == {}
    with pytest.raises(SettingsError, match="Unknown setting 'width' of FeatureMetadata"):
        settings_from_dict(FeatureMetadata, {"width": 3})
    with pytest.raises(SettingsError, match="Expected dim"):
        settings_from_dict(FeatureMetadata, {"dim": "many"})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (FeatureMetadata("i3d", 500, 16.0, 25.0, "abc"), "the extractor is i3d, expected c3d"),
        (FeatureMetadata("c3d", 4096, 16.0, 25.0, "abc"), "the width is 4096, expected 500"),
        (FeatureMetadata("c3d", 500, 8.0, 25.0, "abc"), "the frames per step is 8.0, expected 16.0"),
        (FeatureMetadata("c3d", 500, 16.0, 30.0, "abc"), "the frame rate is 30.0, expected 25.0"),
        (FeatureMetadata("c3d", 500, 16.0, 25.0, "xyz"), "the PCA basis is xyz, expected abc"),
    ],
)
def test_differences_are_named_in_words(found, words):
    with pytest.raises(FeatureError, match=f"The features of a.h5 do not fit the model: {words}"):
        check_metadata(C3D, found, "the features of a.h5")


def test_all_differences_are_named_and_what_nobody_knows_agrees():
    with pytest.raises(FeatureError, match=r"the extractor is .*; the width is "):
        check_metadata(C3D, FeatureMetadata("i3d", 1024), "these")
    check_metadata(C3D, FeatureMetadata(), "these")
    check_metadata(FeatureMetadata(), C3D, "these")
    check_metadata(C3D, FeatureMetadata("c3d", 500, 16.0, 25.0, "abc", "9.9.9"), "these")
