import numpy as np
import pandas as pd
import pytest

from tests.report.pictures import count
from tests.results import frame_of
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.report import choose_queries, qualitative_figure
from vreloc_pyg.report.plots import COLOURS, TRUTH
from vreloc_pyg.report.qualitative import OTHER


@pytest.fixture
def frame():
    parts = [frame_of(name, [0.5, 0.5], fold) for name in ("a", "b") for fold in (0, 1)]
    parts += [frame_of("chance", [0.1, 0.1], fold, kind="expected") for fold in (0, 1)]
    return pd.concat(parts, ignore_index=True)


def test_queries_are_the_quantiles_of_our_overlap():
    tious = [0.9, 0.1, 0.3, 0.7, 0.5]
    frame = pd.concat([frame_of("ours", tious), frame_of("b", [0.0] * 5)])
    assert choose_queries(frame, 5, "ours") == [(0, 1), (0, 2), (0, 4), (0, 3), (0, 0)]
    assert choose_queries(frame, 3, "ours") == [(0, 1), (0, 4), (0, 0)]
    assert choose_queries(frame, 1, "ours") == [(0, 4)]
    assert len(choose_queries(frame, 50, "ours")) == 5


@pytest.mark.parametrize("number", [2, 3, 7, 10, 19, 20])
def test_no_query_is_chosen_twice(number):
    frame = frame_of("ours", np.linspace(0, 1, 20))
    assert len(set(choose_queries(frame, number, "ours"))) == number


def test_the_seed_draws_among_equals_and_the_order_of_rows_does_not():
    frame = frame_of("ours", [0.0] * 30)
    drawn = [choose_queries(frame, 3, "ours", seed) for seed in range(5)]
    assert len({tuple(queries) for queries in drawn}) > 1
    assert choose_queries(frame.sample(frac=1, random_state=0), 3, "ours", 2) == drawn[2]


def test_choosing_refuses_what_is_not_there(frame):
    with pytest.raises(SettingsError, match=r"1 or more \(got 0\)"):
        choose_queries(frame, 0, "a")
    with pytest.raises(DataError, match=r"one of \['a', 'b', 'chance'\] \(got 'c'\)"):
        choose_queries(frame, 1, "c")


def test_panels_show_truth_and_answers(frame, pairs, tmp_path):
    one = qualitative_figure(frame, pairs, [(0, 1)], tmp_path / "new" / "one.png")
    two = qualitative_figure(frame, pairs, [(0, 1), (1, 0)], tmp_path / "two.png")
    assert [path.name for path in one.parent.iterdir()] == ["one.png"]
    areas = {colour: count(one, colour) for colour in (TRUTH, OTHER, *COLOURS[:3])}
    # 6 s of another class and, besides, 2 s of each answer to 4 s of truth; chance is not drawn.
    assert areas[OTHER] / areas[TRUTH] == pytest.approx(1.5, rel=0.2)
    assert areas[COLOURS[0]] == pytest.approx(areas[COLOURS[1]], rel=0.1)
    assert areas[COLOURS[0]] / areas[OTHER] == pytest.approx(1 / 3, rel=0.3)
    assert areas[COLOURS[2]] == 0
    # Both panels use the same colours.
    assert count(two, COLOURS[0]) == pytest.approx(2 * areas[COLOURS[0]], rel=0.25)


def test_systems_are_chosen_and_no_answer_is_no_bar(frame, pairs, tmp_path):
    frame.loc[frame["system"] == "b", "start_s"] = np.nan
    path = qualitative_figure(frame, pairs, [(0, 0)], tmp_path / "b.png", systems=["b"])
    assert count(path, COLOURS[0]) == 0
    assert count(path, TRUTH) > 100


def test_refuses_what_does_not_fit(frame, pairs, tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(DataError, match="systems and queries to draw"):
        qualitative_figure(frame, pairs, [], path)
    with pytest.raises(DataError, match="Pair 0 of fold 7 is not among the pairs"):
        qualitative_figure(frame, pairs, [(7, 0)], path)
    with pytest.raises(DataError, match=r"Pair 0 of fold 0 was not answered by \['chance'\]"):
        qualitative_figure(frame, pairs, [(0, 0)], path, systems=["a", "chance"])
    assert not path.exists()
