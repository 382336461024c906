import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.results import frame_of
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import (
    METRICS,
    THRESHOLDS,
    bootstrap_interval,
    difference_table,
    evaluate,
    format_intervals,
    recall,
    result_table,
    save_table,
    to_latex,
    to_markdown,
)
from vreloc_pyg.systems import Chance, WholeReference


def test_hand_worked():
    table = result_table(
        frame_of("a", [1.0, 0.55, 0.72, 0.2]), metrics=[recall(0.5), recall(0.7), *METRICS[8:10]]
    )
    row = table.iloc[0]
    assert row["system"] == "a"
    assert (row["R@1(0.5)"], row["R@1(0.7)"]) == (75.0, 50.0)
    # .5: 3/4, .6: 2/4, .7: 2/4, .8: 1/4, .9: 1/4
    assert row["R@1 avg"] == pytest.approx(45.0)
    assert row["mean tIoU"] == pytest.approx(61.75)
    assert row["N"] == 4
    assert row["ms/query"] == pytest.approx(2.0)


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_curves_never_rise_with_the_threshold(tious):
    table = result_table(frame_of("a", tious), num_resamples=50)
    for side in ("", " low", " high"):
        curve = table[[f"R@1({t:g}){side}" for t in THRESHOLDS]].iloc[0].to_numpy(dtype=float)
        assert (np.diff(curve) <= 1e-9).all()


def test_intervals_are_the_bootstraps_over_all_folds():
    rng = np.random.default_rng(0)
    parts = [frame_of(name, rng.random(n), fold) for fold, n in ((0, 7), (1, 12)) for name in "ab"]
    for level in ("queries", "folds"):
        table = result_table(parts, [recall(0.5)], level=level)
        whole = pd.concat(parts)
        for row, name in enumerate("ab"):
            own = whole[whole["system"] == name]
            interval = bootstrap_interval(own["R@1(0.5)"], own["fold"], level)
            got = [table[f"R@1(0.5){side}"][row] / 100 for side in ("", " low", " high")]
            assert got == pytest.approx([interval.estimate, interval.low, interval.high])


def test_rows_of_chance_carry_the_deviation_of_a_run(split):
    frame = evaluate(
        [WholeReference(), Chance("uniform_length")], split, [recall(0.3), recall(0.5)], progress=False
    )
    table = result_table(frame, [recall(0.5)], num_resamples=10)
    p = frame.loc[frame["kind"] == "expected", "R@1(0.5)"].to_numpy()
    assert np.isnan(table["R@1(0.5) sd"][0])
    assert table["R@1(0.5) sd"][1] == pytest.approx(100 * np.sqrt((p * (1 - p)).sum()) / 5)
    assert "R@1(0.5) sd" not in result_table(frame[:5], [recall(0.5)], num_resamples=10)


def test_rows_keep_the_order_of_systems_and_ignore_that_of_pairs():
    tious = [0.1, 0.95, 0.6, 0.7]
    parts = [frame_of("z", tious), frame_of("a", tious[::-1])]
    table = result_table(parts, num_resamples=50)
    assert table["system"].tolist() == ["z", "a"]
    shuffled = [parts[0].sample(frac=1, random_state=0), parts[1].sample(frac=1, random_state=1)]
    pd.testing.assert_frame_equal(result_table(shuffled, num_resamples=50), table)


def test_difference_table_is_paired():
    rng = np.random.default_rng(0)
    tious = {name: rng.random(40) for name in "abc"}
    parts = [frame_of(name, values) for name, values in tious.items()]
    table = difference_table(parts, "b", [recall(0.5)])
    assert table["system"].tolist() == ["a − b", "c − b"]
    interval = bootstrap_interval(1.0 * (tious["c"] > 0.5) - (tious["b"] > 0.5))
    got = [table[f"R@1(0.5){side}"][1] / 100 for side in ("", " low", " high")]
    assert got == pytest.approx([interval.estimate, interval.low, interval.high])
    twice = difference_table([parts[0], parts[0].assign(system="copy")], "a", [recall(0.5)])
    assert (twice[["R@1(0.5)", "R@1(0.5) low", "R@1(0.5) high"]] == 0).all(axis=None)
    with pytest.raises(DataError, match=r"'rival' to be one of \['a', 'b', 'c'\] \(got 'd'\)"):
        difference_table(parts, "d")


def test_refuses_systems_that_answered_other_pairs():
    with pytest.raises(DataError, match="same pairs: 'a' has 3 rows, 'b' has 2"):
        result_table([frame_of("a", [0.1, 0.2, 0.3]), frame_of("b", [0.1, 0.2])])
    with pytest.raises(DataError, match="'a' answered a pair of a fold more than once"):
        result_table([frame_of("a", [0.1]), frame_of("a", [0.1])])


def test_refuses_other_frames():
    with pytest.raises(DataError, match=r"lacks \['kin', 'kind', 'pair', 'seconds', 'tiou'\]"):
        result_table(pd.DataFrame({"system": ["a"]}))
    with pytest.raises(DataError, match="lacks rows"):
        result_table(frame_of("a", []))
    with pytest.raises(DataError, match=r"lacks \['R@1\(0.4\)'\]"):
        result_table(frame_of("a", [0.5]), [recall(0.4), recall(0.5)])


def test_format_intervals():
    table = pd.DataFrame(
        {"system": ["a", "chance"], "R@1(0.5)": [49.28, 16.2], "R@1(0.5) sd": [np.nan, 1.13]}
    )
    table["R@1(0.5) low"], table["R@1(0.5) high"], table["N"] = [46.0, 15.0], [52.5, 17.4], 10
    shown = format_intervals(table)
    assert list(shown.columns) == ["system", "R@1(0.5)", "N"]
    assert shown["R@1(0.5)"].tolist() == ["49.3 [46.0, 52.5]", "16.2 ± 1.1 [15.0, 17.4]"]


def test_to_markdown():
    table = pd.DataFrame({"name": ["a|b", "c"], "x": [1.25, np.nan], "N": [3, 4]})
    assert to_markdown(table, digits=2) == (
        "| name | x | N |\n| --- | ---: | ---: |\n| a\\|b | 1.25 | 3 |\n| c | – | 4 |\n"
    )
    counts = pd.DataFrame({"N": pd.array([1, None], dtype="Int64")})
    assert to_markdown(counts) == "| N |\n| ---: |\n| 1 |\n| – |\n"


def test_save_table_writes_both_files_whole(tmp_path):
    table = result_table(frame_of("a", [0.1, 0.8, 0.9]), [recall(0.5)])
    markdown, csv = save_table(table, tmp_path / "made" / "table.v1")
    assert (markdown.name, csv.name) == ("table.v1.md", "table.v1.csv")
    pd.testing.assert_frame_equal(pd.read_csv(csv), table)
    assert markdown.read_text(encoding="utf-8") == to_markdown(format_intervals(table))
    assert sorted(path.name for path in csv.parent.iterdir()) == ["table.v1.csv", "table.v1.md"]
    *_, tex = save_table(table, tmp_path / "made" / "table.v1", latex=True)
    assert tex.name == "table.v1.tex"
    assert tex.read_text(encoding="utf-8") == to_latex(table, intervals=True)
