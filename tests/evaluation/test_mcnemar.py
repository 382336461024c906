from math import comb

import numpy as np
import pytest

from tests.results import frame_of as frame_of_overlaps
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import format_mcnemar, holm, mcnemar, mcnemar_table


def test_hand_worked():
    # Nine coins, one tail: 2 (1 + 9) / 512. Three coins, all heads: 2 / 8. No coin is no evidence.
    assert mcnemar(8, 1) == pytest.approx(20 / 512)
    assert mcnemar(3, 0) == pytest.approx(0.25)
    assert mcnemar(0, 0) == 1.0


@pytest.mark.parametrize(("wins", "losses"), [(0, 1), (2, 7), (5, 5), (6, 5), (12, 30), (0, 40)])
def test_is_the_sum_of_binomial_probabilities(wins, losses):
    n = wins + losses
    as_likely = [comb(n, i) for i in range(n + 1) if comb(n, i) <= comb(n, wins)]
    assert mcnemar(wins, losses) == pytest.approx(sum(as_likely) / 2**n)
    assert mcnemar(losses, wins) == mcnemar(wins, losses)


def test_refuses_negative_numbers():
    with pytest.raises(DataError, match=r"0 or more \(got -1 and 2\)"):
        mcnemar(-1, 2)


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
    """Results of hits at .5 and none at .9."""
    return frame_of_overlaps(system, 0.6 * np.asarray(hits), thresholds=(0.5, 0.9), **about)


def test_table_pairs_queries_within_their_folds():
    parts = [
        frame_of("rival", [1, 0, 0, 0, 0, 0]),
        frame_of("rival", [1, 1, 0], fold=1),
        frame_of("ours", [1, 1, 1, 1, 1, 1]),
        frame_of("ours", [0, 1, 1], fold=1),
        frame_of("same", [1, 0, 0, 0, 0, 0]),
        frame_of("same", [1, 1, 0], fold=1),
        frame_of("chance", [0.9] * 6, kind="expected"),
        frame_of("chance", [0.1] * 3, fold=1, kind="expected"),
    ]
    table = mcnemar_table(parts, "rival", (0.5, 0.9)).set_index("system")
    assert list(table.index) == ["ours", "same", "chance"]
    assert table.loc["ours", ["R@1(0.5) wins", "R@1(0.5) losses"]].tolist() == [6, 1]
    assert table.loc["ours", "R@1(0.5) p"] == pytest.approx(2 * (1 + 7) / 2**7)
    assert table.loc["ours", "R@1(0.5) p Holm"] == pytest.approx(4 * (1 + 7) / 2**7)
    assert table.loc["same", "R@1(0.5) p"] == 1.0
    assert table.loc["ours", "R@1(0.9) p"] == 1.0
    assert table.loc["chance"].drop("kin").isna().all()


def test_chance_as_the_rival_tests_nothing():
    parts = [frame_of("a", [1, 0]), frame_of("chance", [0.3, 0.4], kind="expected")]
    assert mcnemar_table(parts, "chance", (0.5,)).drop(columns=["system", "kin"]).isna().all(axis=None)


def test_table_for_reading():
    parts = [frame_of("rival", [0] * 12), frame_of("a", [1] * 12), frame_of("b", [1] * 3 + [0] * 9)]
    parts.append(frame_of("chance", [0.1] * 12, kind="expected"))
    shown = format_mcnemar(mcnemar_table(parts, "rival", (0.5,)))
    assert shown["R@1(0.5)"].tolist() == ["12:0, p < 0.001 (< 0.001)", "3:0, p = 0.250 (0.250)", "–"]


def test_refuses_another_frame():
    with pytest.raises(DataError, match=r"'rival' to be one of \['a'\] \(got 'b'\)"):
        mcnemar_table(frame_of("a", [1]), "b")
    with pytest.raises(DataError, match=r"lacks \['R@1\(0.3\)'\]"):
        mcnemar_table(frame_of("a", [1]), "a", (0.3,))
