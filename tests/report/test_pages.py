import numpy as np
import pandas as pd
import pytest

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import metric_named, recall
from vreloc_pyg.report import replace_blocks, short_table, suite_table
from vreloc_pyg.report.pages import shown_rows

PAGE = "# T\n\n<!-- generated: a -->\nold\n<!-- end -->\ntext\n<!-- generated: b --><!-- end -->\n"


@pytest.fixture
def results():
    table = pd.DataFrame({"system": ["x", "y", "z"], "R@1(0.5)": [50.0, 60.04, 10.0]})
    for side in ("low", "high"):
        table[f"R@1(0.5) {side}"] = table["R@1(0.5)"] + (5 if side == "high" else -5)
    return table.assign(**{"R@1(0.95)": [1.0, 1.04, 0.0]})


def test_table_of_results(results):
    assert short_table(results, ["y", "x"], [recall(0.5), recall(0.95)]) == (
        "| system | tIoU > .5 | tIoU > .95 |\n| --- | --- | --- |\n"
        "| y | **60.0** [55.0, 65.0] | **1.0** |\n"
        "| x | 50.0 [45.0, 55.0] | **1.0** |\n"
    )
    assert short_table(results, ["z"], [recall(0.5)]).endswith("| z | **10.0** [5.0, 15.0] |\n")


def test_the_least_of_errors_is_bold_and_the_unknown_a_dash(results):
    results = results.assign(
        **{"start error": [11.5625, 20.0, np.nan], "start error low": [11.0, 19.0, np.nan]}
    )
    results["start error high"] = results["start error low"] + 2
    table = short_table(results, ["x", "y", "z"], [metric_named("start error")])
    assert table.splitlines()[0] == "| system | start error |"
    assert table.splitlines()[2:] == [
        "| x | **11.6** s [11.0, 13.0] |", "| y | 20.0 s [19.0, 21.0] |", "| z | – |",
    ]  # fmt: skip


def test_a_rule_that_is_first_stands_first_and_audit_rows_are_left_out(results):
    results = results.assign(kin=["own", "rule", "audit"])
    results.loc[2, ["R@1(0.5)", "R@1(0.95)"]] = 99.0
    table = short_table(results, ["x", "y", "z"], [recall(0.5), recall(0.95)])
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| y", "| x"]
    assert "| y | **60.0** [55.0, 65.0] | **1.0** |" in table


def test_table_refuses_what_is_missing(results):
    with pytest.raises(DataError, match=r"lacks \['w', 'R@1\(0.7\)'\]"):
        short_table(results, ["x", "w"], [recall(0.5), recall(0.7)])
    with pytest.raises(DataError, match="lacks systems"):
        short_table(results, [], [recall(0.5)])


def test_a_hidden_row_is_shown_where_it_is_the_best(results):
    metrics = [recall(0.5), recall(0.95)]
    assert shown_rows(results, {"y"}, metrics) == ["x", "y", "z"]
    assert shown_rows(results, {"x", "z"}, metrics) == ["x", "y"]  # x shows the digits of the best at .95
    assert shown_rows(results.assign(kin=["rule", "audit", "rule"]), {"z"}, metrics) == ["x"]


def test_a_suite_has_columns_of_every_data_set_and_the_best_on_average_first(results):
    other = results.iloc[:2].assign(**{"R@1(0.5)": [90.0, 10.0]})
    table = suite_table({"one": results, "two": other}, {"z"}, [recall(0.5), recall(0.95)])
    assert table.splitlines() == [
        "| system | one<br>.5 | one<br>.95 | two<br>.5 | two<br>.95 |", "| --- | --- | --- | --- | --- |",
        "| x | 50.0<br>[45.0, 55.0] | **1.0** | **90.0**<br>[45.0, 55.0] | **1.0** |",
        "| y | **60.0**<br>[55.0, 65.0] | **1.0** | 10.0<br>[55.0, 65.0] | **1.0** |",
    ]  # fmt: skip
    lacking = suite_table({"one": results, "two": other}, set(), [recall(0.5)])
    assert lacking.splitlines()[-1] == "| z | 10.0<br>[5.0, 15.0] | – |"


def test_blocks_are_replaced_and_twice_is_once():
    blocks = {"a": "| new |\n", "b": "more", "unused": "x"}
    once = replace_blocks(PAGE, blocks)
    assert once == (
        "# T\n\n<!-- generated: a -->\n| new |\n<!-- end -->\ntext\n"
        "<!-- generated: b -->\nmore\n<!-- end -->\n"
    )
    assert replace_blocks(once, blocks) == once


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "a marker such as <!-- generated: a --> in README.md"),
        ("<!-- generated: a -->\n", "<!-- end --> after <!-- generated: a --> in line 1 of README.md"),
        ("\n<!-- generated: a -->\n<!-- generated: b -->\n<!-- end -->", "generated: a --> in line 2"),
        ("<!-- generated: c --><!-- end -->", "for <!-- generated: c --> in line 1 .*; known are a, b"),
    ],
)
def test_refuses_a_page_without_its_markers(text, problem):
    with pytest.raises(DataError, match=problem):
        replace_blocks(text, {"a": "new", "b": "new"}, "README.md")
