import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.datasets.folds import ClassFold, class_folds, class_split
from vreloc_pyg.datasets.penn_action import CLASSES as PENN_CLASSES
from vreloc_pyg.datasets.penn_action import penn_folds
from vreloc_pyg.datasets.utkinect import CLASSES as KINECT_CLASSES
from vreloc_pyg.datasets.utkinect import utkinect_folds
from vreloc_pyg.errors import DataError, SettingsError


@st.composite
def divisions(draw):
    """Folds, classes and validation classes that leave something to train on."""
    num_folds = draw(st.integers(2, 6))
    num_classes = draw(st.integers(num_folds, 4 * num_folds))
    num_validation = draw(st.integers(0, num_classes + -num_classes // num_folds - 1))
    return num_folds, num_classes, num_validation


@given(divisions(), st.integers(0, 99))
def test_every_class_is_tested_exactly_once(division, seed):
    num_folds, num_classes, num_validation = division
    classes = [f"class {i}" for i in range(num_classes)]
    folds = class_folds(classes, num_folds, num_validation, seed)
    assert len(folds) == num_folds
    assert Counter(label for fold in folds for label in fold.test) == dict.fromkeys(classes, 1)
    for fold in folds:
        assert len(fold.test) in (num_classes // num_folds, -(-num_classes // num_folds))
        assert len(fold.validation) == num_validation
        assert sorted(fold.train + fold.validation + fold.test) == sorted(classes)
        assert list(fold.train) == sorted(fold.train)


@pytest.mark.parametrize(
    ("folds", "classes", "sizes"),
    [(penn_folds(), PENN_CLASSES, [10, 2, 3]), (utkinect_folds(), KINECT_CLASSES, [6, 2, 2])],
    ids=["penn", "utkinect"],
)
def test_folds_of_the_pose_data(folds, classes, sizes):
    assert Counter(label for fold in folds for label in fold.test) == dict.fromkeys(classes, 1)
    for fold in folds:
        assert [len(fold.train), len(fold.validation), len(fold.test)] == sizes
        assert {*fold.train, *fold.validation, *fold.test} == set(classes)


def test_every_class_is_a_validation_class_equally_often():
    folds = class_folds("abcdefghij", num_folds=5, num_validation=2, seed=3)
    assert Counter(label for fold in folds for label in fold.validation) == dict.fromkeys("abcdefghij", 1)


def test_the_seed_decides():
    assert class_folds("abcdefgh", 4, 1, seed=0) == class_folds("abcdefgh", 4, 1, seed=0)
    assert class_folds("abcdefgh", 4, 1, seed=0) != class_folds("abcdefgh", 4, 1, seed=1)


@pytest.mark.parametrize(
    ("num_classes", "num_folds", "num_validation"),
    [(3, 4, 0), (6, 3, 4), (6, 1, 0), (6, 3, -1), (6, 0, 1), (6, -3, 1), (0, 3, 0)],
)
def test_refuses_classes_that_cannot_be_divided(num_classes, num_folds, num_validation):
    with pytest.raises(SettingsError, match=f"Cannot divide {num_classes} classes into {num_folds} folds"):
        class_folds("abcdefgh"[:num_classes], num_folds, num_validation, seed=0)


# Splits


@given(st.integers(3, 40), st.integers(0, 9))
def test_a_split_covers_every_class_once(count, seed):
    names = [f"c{i}" for i in range(count)]
    chosen = class_split(names, seed=seed)
    assert sorted([*chosen.train, *chosen.validation, *chosen.test]) == sorted(names)
    held_out = max(1, round(count / 5))
    assert (len(chosen.validation), len(chosen.test)) == (held_out, held_out)
    assert chosen == class_split(names[::-1] + names, seed=seed)


@given(st.integers(0, 50))
def test_what_belongs_together_stays_together(seed):
    names = [f"c{i}" for i in range(10)]
    groups = (("c1", "c2"), ("c7", "c8", "c9"), ("c3", "absent"))
    chosen = class_split(names, (4, 3, 3), seed, groups)
    for group in (("c1", "c2"), ("c7", "c8", "c9")):
        assert any(set(group) <= set(side) for side in (chosen.train, chosen.validation, chosen.test))
    assert (len(chosen.train), len(chosen.validation), len(chosen.test)) == (4, 3, 3)


def test_seeds_give_different_splits():
    names = [f"c{i}" for i in range(20)]
    assert len({class_split(names, seed=seed) for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("count", "sizes", "problem"),
    [
        *((3, sizes, "Cannot split 3 classes") for sizes in ((2, 1, 1), (3, 0, 0), (0, 2, 1))),
        (2, None, "Cannot split 2 classes"),
        (3, (1, 1, 1), "has room for a, b together"),
    ],
)
def test_impossible_sizes(count, sizes, problem):
    with pytest.raises(DataError, match=problem):
        class_split("abc"[:count], sizes, together=[("a", "b")])


def test_a_saved_split_comes_back(tmp_path):
    chosen = class_split([f"classé {i}" for i in range(9)])
    path = chosen.save(tmp_path / "deep" / "classes.json", "mine", 3)
    assert ClassFold.load(path) == chosen
    assert "classé 0" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1: "),
        ("[]", "Expected the keys train, validation, test"),
        ('{"train": [], "test": []}', "Expected the keys"),
        ('{"train": ["a"], "validation": ["b"], "test": ["c"], "dev": []}', "Expected the keys"),
        ('{"train": ["a"], "validation": ["b"], "test": "c"}', "Expected test in .* as a list of class"),
        ('{"train": ["a"], "validation": ["b"], "test": [3]}', "Expected test in"),
        ('{"train": ["a"], "validation": ["b"], "test": ["a"]}', "the class 'a' twice, in train and test"),
        ('{"train": ["a", "a"], "validation": ["b"], "test": ["c"]}', "the class 'a' twice"),
    ],
)
def test_damaged_splits(tmp_path, text, problem):
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(DataError, match=problem):
        ClassFold.load(path)
    with pytest.raises(DataError, match="Cannot read"):
        ClassFold.load(tmp_path / "nowhere.json")
