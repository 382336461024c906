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
    class_means,
    difference_table,
    evaluate,
    fold_table,
    format_intervals,
    recall,
    result_table,
    save_table,
    t_interval,
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
def test_curves_never_rise_with_the_threshold_and_bounds_are_shares(tious):
    table = result_table(frame_of("a", tious))
    curve = table[[f"R@1({t:g})" for t in THRESHOLDS]].iloc[0].to_numpy(dtype=float)
    assert (np.diff(curve) <= 1e-9).all()
    bounds = table.filter(regex=r"^R@1.*(low|high)$").dropna(axis=1)
    assert ((bounds >= 0) & (bounds <= 100)).all(axis=None)


def test_intervals_are_t_intervals_over_folds():
    rng = np.random.default_rng(0)
    parts = [frame_of(name, rng.random(n), fold) for fold, n in ((0, 7), (1, 12), (2, 9)) for name in "ab"]
    table = result_table(parts, [recall(0.5)])
    whole = pd.concat(parts)
    for row, name in enumerate("ab"):
        own = whole[whole["system"] == name]
        interval = t_interval(class_means(own["R@1(0.5)"], own))
        expected = 100 * np.clip(np.concatenate(interval), 0, 1)
        assert [table[f"R@1(0.5){side}"][row] for side in ("", " low", " high")] == pytest.approx(expected)
    by_fold = fold_table(parts, recall(0.5)).set_index("system")
    for (name, fold), own in whole.groupby(["system", "fold"]):
        assert by_fold.loc[name, f"fold {fold}"] == pytest.approx(100 * own["R@1(0.5)"].mean())
    assert table["R@1(0.5)"].tolist() == pytest.approx(by_fold.mean(axis=1).tolist())


def test_pairs_of_one_query_count_as_one():
    frame = frame_of("a", [0.6, 0.6, 0.6, 0.1], queries=[0, 0, 0, 1])
    table = result_table(frame, [recall(0.5)])
    assert (table["R@1(0.5)"][0], table["N"][0]) == (50.0, 2)


def test_seeds_are_averaged_and_rules_have_none():
    seeds = [frame_of("a", tious).assign(seed=seed) for seed, tious in enumerate(([0.6, 0.1], [0.6, 0.6]))]
    table = result_table([*seeds, frame_of("rule", [0.6, 0.1])], [recall(0.5)])
    assert table["R@1(0.5)"].tolist() == [75.0, 50.0]
    assert table["N"].tolist() == [2, 2]
    ahead = difference_table([*seeds, frame_of("rule", [0.6, 0.1])], "rule", [recall(0.5)])
    assert ahead["R@1(0.5)"].tolist() == [25.0]
    with pytest.raises(DataError, match="seeds of 'a' did not answer the same pairs"):
        result_table([seeds[0], seeds[1][:1]], [recall(0.5)])


def test_rows_of_chance_carry_the_deviation_of_a_run(split):
    frame = evaluate(
        [WholeReference(), Chance("uniform_length")], split, [recall(0.3), recall(0.5)], progress=False
    )
    table = result_table(frame, [recall(0.5)])
    p = frame.loc[frame["kind"] == "expected", "R@1(0.5)"].to_numpy()
    assert np.isnan(table["R@1(0.5) sd"][0])
    assert table["R@1(0.5) sd"][1] == pytest.approx(100 * np.sqrt((p * (1 - p)).sum()) / 5)
    assert "R@1(0.5) sd" not in result_table(frame[:5], [recall(0.5)])


def test_rows_keep_the_order_of_systems_and_ignore_that_of_pairs():
    tious = [0.1, 0.95, 0.6, 0.7]
    parts = [frame_of("z", tious), frame_of("a", tious[::-1])]
    table = result_table(parts)
    assert table["system"].tolist() == ["z", "a"]
    shuffled = [parts[0].sample(frac=1, random_state=0), parts[1].sample(frac=1, random_state=1)]
    pd.testing.assert_frame_equal(result_table(shuffled), table)


def test_difference_table_is_paired():
    rng = np.random.default_rng(0)
    tious = {name: rng.random(40) for name in "abc"}
    parts = [frame_of(name, values) for name, values in tious.items()]
    table = difference_table(parts, "b", [recall(0.5)])
    assert table["system"].tolist() == ["a − b", "c − b"]
    interval = t_interval(class_means(1.0 * (tious["c"] > 0.5) - (tious["b"] > 0.5), parts[0]))
    got = [table[f"R@1(0.5){side}"][1] / 100 for side in ("", " low", " high")]
    assert got == pytest.approx(np.concatenate(interval))
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
    with pytest.raises(
        DataError, match=r"lacks \['kin', 'kind', 'label', 'pair', 'query', 'seconds', 'tiou'\]"
    ):
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


def test_the_first_of_a_column_is_bold_whoever_it_is_but_for_audit_rows():
    table = pd.DataFrame({"system": ["ours", "rule", "join oracle"], "kin": ["own", "rule", "audit"]})
    table["R@1(0.5)"], table["start error"], table["N"] = [50.0, 60.04, 99.0], [1.0, np.nan, 0.5], 3
    shown = format_intervals(table, bold=True)
    assert shown["R@1(0.5)"].tolist() == ["50.0", "**60.0**", "99.0"]
    assert shown["start error"].tolist() == ["**1.0** s", "–", "0.5 s"]
    assert shown["N"].tolist() == [3, 3, 3]
    same = table.assign(**{"R@1(0.5)": [60.04, 60.01, 60.04]})
    assert format_intervals(same, bold=True)["R@1(0.5)"].tolist() == ["**60.0**", "**60.0**", "60.0"]


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
    audited = pd.concat([table, table.assign(system="join oracle", kin="audit")], ignore_index=True)
    markdown, csv, tex = save_table(audited, tmp_path / "made" / "table.v1", latex=True)
    assert pd.read_csv(csv)["kin"].tolist() == ["rival", "audit"]
    assert markdown.read_text(encoding="utf-8") == to_markdown(format_intervals(table))
    assert tex.name == "table.v1.tex"
    assert tex.read_text(encoding="utf-8") == to_latex(table, intervals=True)
