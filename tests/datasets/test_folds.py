from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.folds import class_folds
from vreloc_pyg.errors import SettingsError


@st.composite
def divisions(draw):
    """Folds, classes a fold and validation classes that leave something to train on."""
    num_folds, size = draw(st.integers(2, 6)), draw(st.integers(1, 4))
    num_validation = draw(st.integers(0, num_folds * size - size - 1))
    return num_folds, size, num_validation


@given(divisions(), st.integers(0, 99))
def test_every_class_is_tested_exactly_once(division, seed):
    num_folds, size, num_validation = division
    classes = [f"class {i}" for i in range(num_folds * size)]
    folds = class_folds(classes, num_folds, num_validation, seed)
    assert len(folds) == num_folds
    assert Counter(label for fold in folds for label in fold.test) == dict.fromkeys(classes, 1)
    for fold in folds:
        assert (len(fold.test), len(fold.validation)) == (size, num_validation)
        assert sorted(fold.train + fold.validation + fold.test) == sorted(classes)
        assert list(fold.train) == sorted(fold.train)


def test_every_class_is_a_validation_class_equally_often():
    folds = class_folds("abcdefghij", num_folds=5, num_validation=2, seed=3)
    assert Counter(label for fold in folds for label in fold.validation) == dict.fromkeys("abcdefghij", 1)


def test_the_seed_decides():
    assert class_folds("abcdefgh", 4, 1, seed=0) == class_folds("abcdefgh", 4, 1, seed=0)
    assert class_folds("abcdefgh", 4, 1, seed=0) != class_folds("abcdefgh", 4, 1, seed=1)


@pytest.mark.parametrize(
    ("num_classes", "num_folds", "num_validation"),
    [(7, 3, 1), (6, 3, 4), (6, 1, 0), (6, 3, -1), (6, 0, 1), (6, -3, 1), (0, 3, 0)],
)
def test_refuses_classes_that_cannot_be_divided(num_classes, num_folds, num_validation):
    with pytest.raises(SettingsError, match=f"Cannot divide {num_classes} classes into {num_folds} folds"):
        class_folds("abcdefgh"[:num_classes], num_folds, num_validation, seed=0)
