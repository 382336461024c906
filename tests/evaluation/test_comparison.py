import numpy as np
import pandas as pd
import pytest

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import (
    advantage_table,
    best_rival,
    check_curves,
    curve_table,
    difference_table,
    result_table,
    rivals,
)


def frame_of(system, tious, fold=0, kind="answer"):
    """What evaluate() returns for answers of the given overlaps, at .5 and .7."""
    frame = pd.DataFrame({"system": system, "kind": kind, "pair": range(len(tious)), "fold": fold})
    frame["tiou"], frame["seconds"] = np.asarray(tious, dtype=float), 0.002
    for threshold in (0.5, 0.7):
        frame[f"R@1({threshold:g})"] = (frame["tiou"] > threshold).astype(float)
    return frame


def test_the_best_rival_is_neither_ours_nor_an_ablation_nor_asked_wrongly():
    names = [
        "MGFFNet (recommended)",
        "MGFFNet (CNN)",
        "CNN (x)",
        "cgbm, query of another class",
        "b",
        "c",
        "d",
    ]
    table = pd.DataFrame({"system": names, "R@1(0.5)": [9.0, 8.0, 7.0, 6.0, 1.0, 3.0, 3.0]})
    assert rivals(table, names[0]) == ["b", "c", "d"]
    assert best_rival(table, names[0]) == "c"
    assert best_rival(table, "c") == "d"
    with pytest.raises(DataError, match=r"rivals of 'b' \(got \['MGFFNet \(recommended\)', 'b'\]\)"):
        best_rival(table.iloc[[0, 4]], "b")


def test_advantage_is_the_difference_turned_round():
    rng = np.random.default_rng(0)
    parts = [frame_of(name, rng.random(30)) for name in ("a", "us − them", "c")]
    ahead = advantage_table(parts, "us − them", (0.5,))
    behind = difference_table(parts, "us − them", (0.5,))
    assert ahead["system"].tolist() == ["us − them − a", "us − them − c"]
    assert list(ahead.columns) == list(behind.columns)
    assert ahead["R@1(0.5)"].tolist() == pytest.approx((-behind["R@1(0.5)"]).tolist())
    assert ahead["R@1(0.5) low"].tolist() == pytest.approx((-behind["R@1(0.5) high"]).tolist())
    assert (ahead["mean tIoU low"] < ahead["mean tIoU high"]).all()


def test_curves_go_beyond_the_thresholds_that_were_evaluated():
    chance = frame_of("chance", [0.3] * 4, kind="expected").assign(**{"R@1(0.5)": 0.2, "R@1(0.7)": 0.1})
    frame = pd.concat([frame_of("a", [0.1, 0.15, 0.6, 0.9]), chance])
    table = curve_table(frame, (0.1, 0.5, 0.85), num_resamples=50).set_index("system")
    # .1 is not above .1.
    assert table.loc["a", ["R@1(0.1)", "R@1(0.5)", "R@1(0.85)"]].tolist() == [75.0, 50.0, 25.0]
    assert table.loc["chance", "R@1(0.5)"] == pytest.approx(20.0)
    assert table.loc["chance", ["R@1(0.1)", "R@1(0.1) low", "R@1(0.85)"]].isna().all()
    expected = result_table(frame, (0.5,), num_resamples=50).set_index("system").loc["a", "R@1(0.5) low"]
    assert table.loc["a", "R@1(0.5) low"] == pytest.approx(expected)


def test_a_curve_that_rises_is_refused():
    table = pd.DataFrame({"system": ["a", "b"], "R@1(0.5)": [3.0, 2.0], "R@1(0.6)": [np.nan, 2.0]})
    table["R@1(0.7)"] = [3.0, 2.5]
    check_curves(table, (0.6, 0.5))
    check_curves(table.iloc[:1], (0.5, 0.6, 0.7))
    with pytest.raises(DataError, match=r"R@1 of 'b' rises from 2.00 at tIoU 0.6 to 2.50 at 0.7"):
        check_curves(table, (0.7, 0.5, 0.6))
