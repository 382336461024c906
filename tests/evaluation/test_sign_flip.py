import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.results import frame_of as frame_of_overlaps
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import ClassMeans, format_sign_flip, holm, sign_flip, sign_flip_table


def classes(values, groups):
    """Classes that count alike within folds that do."""
    groups = np.asarray(groups)
    sizes = np.bincount(groups)
    values = np.asarray(values, dtype=float).reshape(len(groups), -1)
    return ClassMeans(values, 1 / (len(sizes) * sizes[groups]), groups)


def by_trying_all(values, groups):
    """The share of all signs for which |t| over folds is as large."""
    values, groups = np.asarray(values, dtype=float), np.asarray(groups)

    def statistic(signs):
        folds = np.array([(signs * values)[groups == group].mean() for group in np.unique(groups)])
        spread = folds.std(ddof=1) / np.sqrt(len(folds))
        if spread < 1e-12:
            return np.inf if abs(folds.mean()) > 1e-12 else 0.0
        return abs(folds.mean()) / spread

    seen = statistic(np.ones(len(values)))
    signs = itertools.product([1, -1], repeat=len(values))
    return np.mean([statistic(np.array(one)) >= seen * (1 - 1e-6) for one in signs])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6), st.sampled_from(["001122", "012345", "000111"]))
def test_is_the_share_of_all_signs(values, groups):
    values, groups = np.round(values, 3), [int(group) for group in groups]
    (p,) = sign_flip(classes(values, groups))
    assert p == pytest.approx(by_trying_all(values, groups))
    assert sign_flip(classes(-values, groups)) == p


def test_hand_worked():
    # A lead on each of ten classes that are as good as alike: only it and its opposite are as large.
    groups = np.repeat(np.arange(5), 2)
    assert sign_flip(classes([0.2] * 10, groups)) == pytest.approx([2 / 2**10])
    assert sign_flip(classes([0.0] * 10, groups)) == [1.0]
    assert sign_flip(classes([0.1, -0.1], [0, 1])) == [1.0]
    both = classes(np.array([[0.2, 0.0]] * 10), groups)
    assert sign_flip(both) == pytest.approx([2 / 2**10, 1.0])


def test_of_many_classes_signs_are_drawn():
    rng = np.random.default_rng(0)
    values = rng.normal(0.1, 0.3, size=(60, 3))
    p = sign_flip(classes(values, np.arange(60)))
    assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert (sign_flip(classes(values, np.arange(60))) == p).all()


def test_holm_hand_worked():
    # Sorted: .01 * 4, .02 * 3, .03 * 2, .04 * 1; the last two are not below the second.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == pytest.approx([0.2])
    assert len(holm([])) == 0


def test_holm_does_not_count_what_was_not_tested():
    corrected = holm([np.nan, 0.01, 0.03])
    assert np.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.02, 0.03])


@pytest.mark.parametrize("values", [[1.2], [-0.1], [[0.5]]])
def test_holm_refuses_what_is_no_p_value(values):
    with pytest.raises(DataError, match="p-values"):
        holm(values)


def frame_of(system, hits, **about):
    """Results of hits at .5 and none at .9, each of its own class unless told."""
    return frame_of_overlaps(system, 0.6 * np.asarray(hits), thresholds=(0.5, 0.9), **about)


def test_table_counts_classes_and_corrects_over_systems():
    labels = ["a", "a", "b", "b", "c", "c"]
    parts = [
        frame_of("rival", [1, 0, 0, 0, 1, 0], labels=labels),
        frame_of("rival", [1, 0], fold=1),
        frame_of("ours", [1, 1, 1, 1, 0, 1], labels=labels),
        frame_of("ours", [1, 1], fold=1),
        frame_of("same", [1, 0, 0, 0, 1, 0], labels=labels),
        frame_of("same", [1, 0], fold=1),
    ]
    table = sign_flip_table(parts, "rival", (0.5, 0.9)).set_index("system")
    assert list(table.index) == ["ours", "same"]
    assert table.loc["ours", ["R@1(0.5) ahead", "R@1(0.5) behind"]].tolist() == [3, 0]
    expected = by_trying_all([0.5, 1, 0, 0, 1], [0, 0, 0, 1, 1])
    assert table.loc["ours", "R@1(0.5) p"] == pytest.approx(expected)
    assert table.loc["ours", "R@1(0.5) p Holm"] == pytest.approx(min(2 * expected, 1))
    assert table.loc["same", "R@1(0.5) p"] == table.loc["ours", "R@1(0.9) p"] == 1.0


def test_what_is_not_known_of_each_query_is_not_tested():
    parts = [frame_of("a", [1, 0]), frame_of("b", [1, 1])]
    parts[1].loc[0, "R@1(0.5)"] = np.nan
    table = sign_flip_table(parts, "a", (0.5, 0.9))
    assert table.filter(like="R@1(0.5)").isna().all(axis=None)
    assert table["R@1(0.9) p"].tolist() == [1.0]
    assert format_sign_flip(table)["R@1(0.5)"].tolist() == ["–"]


def test_table_for_reading():
    parts = [frame_of("rival", [0] * 12), frame_of("a", [1] * 12), frame_of("b", [1] * 3 + [0] * 9)]
    shown = format_sign_flip(sign_flip_table(parts, "rival", (0.5,)))
    assert shown["R@1(0.5)"].tolist() == ["12:0, p < 0.001 (< 0.001)", "3:0, p = 0.250 (0.250)"]


def test_refuses_another_frame():
    with pytest.raises(DataError, match=r"'rival' to be one of \['a'\] \(got 'b'\)"):
        sign_flip_table(frame_of("a", [1]), "b", (0.5,))
    with pytest.raises(DataError, match=r"lacks \['R@1\(0.3\)'\]"):
        sign_flip_table(frame_of("a", [1]), "a", (0.3,))
