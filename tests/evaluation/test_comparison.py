import numpy as np
import pandas as pd
import pytest

from tests.results import frame_of
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import best_rival, check_curves, choose_ours, difference_table, rivals
from vreloc_pyg.systems.rules.strongest_rule import StrongestRule


def test_the_best_rival_is_no_ablation_control_or_audit_row_whatever_its_name():
    kins = {
        "ours": "own",
        "d": "ablation",
        "e": "control",
        "a": "rival",
        "b": "rule",
        "c": "rival",
        "f": "audit",
    }
    table = pd.DataFrame(
        {"system": list(kins), "kin": list(kins.values()), "R@1(0.5)": [9.0, 8.0, 7.0, 1.0, 3.0, 3.0, 10.0]}
    )
    assert rivals(table, "ours") == ["a", "b", "c"]
    assert best_rival(table, "ours") == "b"
    assert best_rival(table, "b") == "c"
    assert choose_ours(table) == "ours"
    named = table.replace({"ours": "MGFFNet (recommended)", "b": "MGFFNet-plus (Smith 2024)"})
    assert best_rival(named, choose_ours(named)) == "MGFFNet-plus (Smith 2024)"
    assert choose_ours(table.iloc[1:]) == "c"
    with pytest.raises(DataError, match=r"rivals of 'a' \(got \['ours', 'a'\]\)"):
        best_rival(table.iloc[[0, 3]], "a")


def test_advantage_is_the_difference_turned_round():
    rng = np.random.default_rng(0)
    parts = [frame_of(name, rng.random(30)) for name in ("a", "us − them", "c")]
    ahead = difference_table(parts, "us − them", turned=True)
    behind = difference_table(parts, "us − them")
    assert ahead["system"].tolist() == ["us − them − a", "us − them − c"]
    assert list(ahead.columns) == list(behind.columns)
    assert ahead["R@1(0.5)"].tolist() == pytest.approx((-behind["R@1(0.5)"]).tolist())
    assert ahead["R@1(0.5) low"].tolist() == pytest.approx((-behind["R@1(0.5) high"]).tolist())
    assert (ahead["mean tIoU low"] < ahead["mean tIoU high"]).all()


def test_a_curve_that_rises_is_refused():
    table = pd.DataFrame({"system": ["a", "b"], "R@1(0.5)": [3.0, 2.0], "R@1(0.6)": [np.nan, 2.0]})
    table["R@1(0.7)"] = [3.0, 2.5]
    check_curves(table, (0.6, 0.5))
    check_curves(table.iloc[:1], (0.5, 0.6, 0.7))
    with pytest.raises(DataError, match=r"R@1 of 'b' rises from 2.00 at tIoU 0.6 to 2.50 at 0.7"):
        check_curves(table, (0.7, 0.5, 0.6))


def test_of_rules_only_the_one_that_validation_named_is_the_best_rival():
    strongest = StrongestRule.name
    kins = {"ours": "own", "a": "rule", strongest: "rule", "b": "rival"}
    table = pd.DataFrame({"system": list(kins), "kin": list(kins.values()), "R@1(0.5)": [1.0, 9.0, 5.0, 3.0]})
    assert best_rival(table, "ours") == strongest
    assert best_rival(table.assign(**{"R@1(0.5)": [1.0, 9.0, 5.0, 6.0]}), "ours") == "b"
    assert best_rival(table, strongest) == "a"
    assert best_rival(table[table["system"] != strongest], "ours") == "a"
    assert rivals(table, "ours") == ["a", strongest, "b"]
