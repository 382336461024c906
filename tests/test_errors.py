import inspect
import re

import pytest

from vreloc_pyg import errors

CLASSES = {
    name: cls
    for name, cls in vars(errors).items()
    if inspect.isclass(cls) and cls.__module__ == errors.__name__
}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_one_except_clause_catches_every_error(name):
    with pytest.raises(errors.VrelocError, match="what went wrong"):
        raise CLASSES[name]("what went wrong")


@pytest.mark.parametrize("name", ["FeatureError", "SegmentError", "GraphError", "SettingsError", "DataError"])
def test_bad_values_are_value_errors_too(name):
    assert issubclass(CLASSES[name], ValueError)


def test_a_missing_extra_is_an_import_error_too():
    assert issubclass(errors.MissingExtraError, ImportError)
    assert not issubclass(errors.CheckpointError, (ValueError, ImportError))


def test_the_tree_in_the_documentation_is_complete():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert sorted(drawn) == sorted(set(CLASSES) - {"VrelocError"})
    assert all(cls.__doc__ for cls in CLASSES.values())
