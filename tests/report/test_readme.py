import numpy as np
import pandas as pd
import pytest

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import metric_named, recall
from vreloc_pyg.report import readme_table, replace_between_markers

README = "# T\n\n<!-- table: a -->\nold\n<!-- end table -->\ntext\n<!-- table: b -->\n<!-- end table -->\n"


@pytest.fixture
def results():
    table = pd.DataFrame({"system": ["x", "y", "z"], "R@1(0.5)": [50.0, 60.04, 10.0]})
    for side in ("low", "high"):
        table[f"R@1(0.5) {side}"] = table["R@1(0.5)"] + (5 if side == "high" else -5)
    return table.assign(**{"R@1(0.95)": [1.0, 1.04, 0.0]})


def test_table_of_results(results):
    assert readme_table(results, ["y", "x"], [recall(0.5), recall(0.95)]) == (
        "| system | tIoU > .5 | tIoU > .95 |\n| --- | --- | --- |\n"
        "| y | **60.0** [55.0, 65.0] | **1.0** |\n"
        "| x | 50.0 [45.0, 55.0] | **1.0** |\n"
    )
    assert readme_table(results, ["z"], [recall(0.5)]).endswith("| z | **10.0** [5.0, 15.0] |\n")


def test_the_least_of_errors_is_bold_and_the_unknown_a_dash(results):
    results = results.assign(
        **{"start error": [11.5625, 20.0, np.nan], "start error low": [11.0, 19.0, np.nan]}
    )
    results["start error high"] = results["start error low"] + 2
    table = readme_table(results, ["x", "y", "z"], [metric_named("start error")])
    assert table.splitlines()[0] == "| system | start error |"
    assert table.splitlines()[2:] == [
        "| x | **11.6** s [11.0, 13.0] |", "| y | 20.0 s [19.0, 21.0] |", "| z | – |",
    ]  # fmt: skip


def test_a_rule_that_is_first_stands_first_and_audit_rows_are_left_out(results):
    results = results.assign(kin=["own", "rule", "audit"])
    results.loc[2, ["R@1(0.5)", "R@1(0.95)"]] = 99.0
    table = readme_table(results, ["x", "y", "z"], [recall(0.5), recall(0.95)])
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| y", "| x"]
    assert "| y | **60.0** [55.0, 65.0] | **1.0** |" in table


def test_table_refuses_what_is_missing(results):
    with pytest.raises(DataError, match=r"lacks \['w', 'R@1\(0.7\)'\]"):
        readme_table(results, ["x", "w"], [recall(0.5), recall(0.7)])
    with pytest.raises(DataError, match="lacks systems"):
        readme_table(results, [], [recall(0.5)])


def test_replaces_its_own_table_only_and_twice_is_once():
    once = replace_between_markers(README, "a", "| new |\n")
    assert once == README.replace("\nold\n", "\n\n| new |\n\n")
    assert replace_between_markers(once, "a", "| new |\n") == once
    assert replace_between_markers(README, "b", "x").startswith(README[: README.index("<!-- table: b")])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", r"<!-- table: a --> once in the text \(found 0\)"),
        (README + README, r"once in the text \(found 2\)"),
        ("<!-- table: a -->\n", "<!-- end table --> after"),
        ("<!-- end table -->\n<!-- table: a -->\n", "<!-- end table --> after"),
        ("<!-- table: a -->\n<!-- table: b -->\n<!-- end table -->", "none that belongs to it"),
    ],
)
def test_refuses_a_text_without_its_markers(text, problem):
    with pytest.raises(DataError, match=problem):
        replace_between_markers(text, "a", "new")
