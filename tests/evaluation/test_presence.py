import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.results import frame_of
from vreloc_pyg.evaluation import auroc, calibration_error, format_intervals, presence_table, result_table

scores = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


@given(scores, scores)
def test_auroc_is_the_share_of_pairs_in_order(present, absent):
    wins = [(p > a) + 0.5 * (p == a) for p in present for a in absent]
    assert auroc(present, absent) == pytest.approx(np.mean(wins))
    assert auroc(absent, present) == pytest.approx(1 - np.mean(wins))


def test_auroc_hand_worked():
    assert auroc([2.0, 0.0], [1.0, 0.0]) == (1 + 1 + 0 + 0.5) / 4
    assert auroc([1.0], [-np.inf]) == 1.0
    assert np.isnan([auroc([np.nan], [0.0]), auroc([], [0.0]), auroc([0.0], [])]).all()


def test_calibration_error_hand_worked():
    assert calibration_error([1.0] * 20, [0.0] * 20) == pytest.approx(0.0)
    assert calibration_error([0.0] * 20, [1.0] * 20) == pytest.approx(1.0)
    # Always .8, and there half of the time; kinds weigh the same, however many there are.
    assert calibration_error([0.8] * 3, [0.8] * 300) == pytest.approx(0.3)
    # At .2 and .8 it should be there in .2 and .8 of cases: it is in 1/4 and 3/4.
    assert calibration_error([0.2, 0.8, 0.8, 0.8], [0.2, 0.2, 0.2, 0.8]) == pytest.approx(0.05)
    assert np.isnan([calibration_error([], [0.5]), calibration_error([np.nan], [0.5])]).all()


def test_a_calibrated_probability_has_little_error():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    there = rng.random(20_000) < p
    assert calibration_error(p[there], p[~there]) < 0.02
    assert calibration_error(p[there] ** 2, p[~there] ** 2) > 0.1


def asked(system, fold, present, absent, kin="rival", **columns):
    """Rows of pairs with the action and of pairs without it, of given scores."""
    frame = frame_of(system, [0.6] * (len(present) + len(absent)), fold, kin=kin, labels="a")
    frame["score"] = [*present, *absent]
    frame.loc[len(present) :, "kind"] = "absent"
    unjudged = ["tiou", *(name for name in frame if name.startswith("R@1"))]
    frame.loc[len(present) :, unjudged] = np.nan
    return frame.assign(**columns)


def test_table_is_the_mean_over_folds_of_the_mean_over_seeds():
    parts = [
        asked("a", 0, [1.0, 2.0], [0.0, 1.5], seed=0),  # 3 of 4
        asked("a", 0, [1.0, 2.0], [3.0, 3.0], seed=1),  # 0
        asked("a", 1, [1.0, 2.0], [0.0], seed=0),  # 1
    ]
    (row,) = presence_table(parts).to_dict("records")
    by_fold = [37.5, 100.0]
    assert row["AUROC"] == pytest.approx(np.mean(by_fold))
    low, high = stats.ttest_1samp(by_fold, 0).confidence_interval()
    assert (row["AUROC low"], row["AUROC high"]) == (0, 100)  # bounds end where it does
    assert low < 0
    assert high > 100
    assert np.isnan([row[f"calibration error{side}"] for side in ("", " low", " high")]).all()


def test_beside_the_metrics_of_pairs_with_the_action():
    silent = asked("silent", 0, [1.0, 2.0], [0.0, np.nan], probability=[0.9, 0.9, 0.1, np.nan])
    silent.loc[3, ["start_s", "end_s"]] = np.nan
    scored = asked("scored", 0, [1.0, 0.0], [0.5, 1.0])
    unscored = asked("unscored", 0, [np.nan] * 2, [np.nan] * 2)
    chance = frame_of("chance", [0.3, 0.3], kind="expected", labels="a")
    table = result_table([silent, scored, unscored, chance])
    assert table["system"].tolist() == ["silent", "scored", "unscored", "chance"]
    assert table["AUROC"].tolist() == pytest.approx([100.0, 37.5, np.nan, np.nan], nan_ok=True)
    # Of ten bins of one twentieth: .9 said and always there; .1 and 0 said and never.
    assert table["calibration error"][0] == pytest.approx(100 * (0.5 * 0.1 + 0.25 * 0.1))
    assert table["calibration error"].isna()[1:].all()
    assert table["N"].tolist() == [2] * 4
    assert table["R@1(0.5)"].tolist() == [100.0, 100.0, 100.0, 0.0]
    shown = format_intervals(table, bold=True)
    assert shown["AUROC"].tolist() == ["**100.0**", "37.5", "–", "–"]
    assert shown["calibration error"].tolist() == ["**7.5**", "–", "–", "–"]
    assert "AUROC" not in result_table(scored[scored["kind"] != "absent"])
