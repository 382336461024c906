import pytest

import vreloc_pyg.proposals as proposals


def test_every_name_can_be_imported():
    assert "temporal_actionness_grouping" in dir(proposals)
    for name in dir(proposals):
        assert getattr(proposals, name).__name__ == name


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = proposals.nothing
