import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.evaluation import (
    METRICS,
    Metric,
    evaluate,
    format_intervals,
    metric_named,
    recall,
    result_table,
    save_table,
    to_latex,
)
from vreloc_pyg.evaluation.metrics import boundary_errors, with_curve
from vreloc_pyg.report import short_table
from vreloc_pyg.segments import Segments, temporal_iou
from vreloc_pyg.systems import Chance

segments = st.tuples(st.integers(0, 30), st.integers(1, 30)).map(lambda pair: [pair[0], pair[0] + pair[1]])


class Ranks:
    """Three answers, best first."""

    name, kin = "ranks", "rival"

    def localize(self, query, reference, top_n=1):
        self.asked = top_n
        return Segments([[1.0, 3.0], [0.0, 2.0], [4.0, 6.0]], [3.0, 2.0, 1.0])[:top_n]


def value(name, answers, truths):
    answers = torch.tensor(answers, dtype=torch.float64).reshape(-1, 2)
    return metric_named(name).of_answers(answers, torch.tensor(truths, dtype=torch.float64))


def test_hand_worked():
    answers, truths = [[10.0, 20.0], [42.0, 51.0]], [[0.0, 18.0], [40.0, 50.0]]
    assert value("R@1(0.4)", answers, truths) == 0.0  # exactly .4
    assert value("R@1(0.35)", answers, truths) == 1.0
    assert (value("R@1(0.7)", answers, truths), value("R@2(0.7)", answers, truths)) == (0.0, 1.0)
    assert value("mean tIoU", answers, truths) == pytest.approx(0.4)
    assert (value("start error", answers, truths), value("end error", answers, truths)) == (10.0, 2.0)
    assert value("R@1 avg", [[40.0, 48.5]], truths) == pytest.approx(0.8)


def test_without_an_answer_shares_are_0_and_errors_unknown():
    assert [value(f"R@{n}(0.5)", [], [[0.0, 1.0]]) for n in (1, 5)] == [0.0, 0.0]
    assert (value("mean tIoU", [], [[0.0, 1.0]]), value("R@1 avg", [], [[0.0, 1.0]])) == (0.0, 0.0)
    assert math.isnan(value("start error", [], [[0.0, 1.0]]))


@given(st.lists(segments, min_size=1, max_size=4), st.lists(segments, min_size=1, max_size=4))
def test_boundary_errors_are_those_of_the_best_and_then_nearest_instance(found, truths):
    expected = []
    for start, end in found:
        overlap = temporal_iou(torch.tensor([[start, end]]).double(), torch.tensor(truths).double())[0]
        errors = [
            (-float(o), abs(s - start) + abs(e - end)) for o, (s, e) in zip(overlap, truths, strict=True)
        ]
        s, e = truths[errors.index(min(errors))]
        expected.append([abs(s - start), abs(e - end)])
    assert boundary_errors(torch.tensor(found), torch.tensor(truths)).tolist() == expected


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_expectations_are_the_mean_over_what_can_be_drawn(split, metric):
    chance = Chance("uniform_length")
    query, reference = split[4]
    drawn, weights = chance.placements(query, reference)
    truths = reference.segments_of("run")
    each = [w * metric.of_answers(one[None], truths) for one, w in zip(drawn, weights.tolist(), strict=True)]
    assert metric.expectation(drawn, weights, truths) == pytest.approx(sum(each))


def test_the_widest_metric_decides_how_many_answers_are_asked_for(split):
    system = Ranks()
    frame = evaluate([system], split, [recall(0.3), recall(0.3, n=3)], progress=False)
    assert system.asked == 3
    pairs = [split[i] for i in range(5)]
    best = [
        temporal_iou(system.localize(*pair, 3).bounds, pair[1].segments_of("run")).amax(1) for pair in pairs
    ]
    assert frame["R@1(0.3)"].tolist() == [float(tiou[0] > 0.3) for tiou in best]
    assert frame["R@3(0.3)"].tolist() == [float(tiou.max() > 0.3) for tiou in best]
    assert frame["R@3(0.3)"].sum() > frame["R@1(0.3)"].sum()
    frame = evaluate([system, Chance("uniform_length")], split, [recall(0.3, 3)], progress=False)
    table = result_table(frame, [recall(0.3, 3)])
    assert format_intervals(table)["R@3(0.3)"].tolist()[1] == "–"


def test_a_new_metric_is_one_entry(split, tmp_path):
    """Found in frame, table, files and LaTeX; the best is the least, chance has a dash."""

    def error(answers, truths):
        return 11.5625 if len(answers) == 1 else math.nan

    centre = Metric("centre error", "s", error, higher_is_better=False)
    METRICS.append(centre)
    try:
        worse = Ranks()
        worse.name = "worse"
        frame = evaluate([Ranks(), worse, Chance("uniform_length")], split, progress=False)
        assert frame["centre error"].tolist()[:5] == [11.5625] * 5
        frame.loc[frame["system"] == "worse", "centre error"] = 20.0
        table = result_table(frame)
        assert table["centre error"].tolist()[:2] == [11.5625, 20.0]
        save_table(table, tmp_path / "t", latex=True)
        assert "11.5625" in (tmp_path / "t.csv").read_text()
        header, _, *rows = (tmp_path / "t.md").read_text().splitlines()
        place = header.split(" | ").index("centre error")
        assert [row.split(" | ")[place] for row in rows] == [
            "11.6 s",  # one class: no interval
            "20.0 s",
            "–",
        ]
        tex = to_latex(table)
        assert "centre error (s)" in tex
        assert r"\textbf{11.6} \\" in tex
        assert "| **11.6** s |" in short_table(table, ["ranks", "worse"], [centre])
        assert metric_named("centre error") is centre
    finally:
        METRICS.remove(centre)


def test_by_name():
    assert [metric_named(metric.name) for metric in METRICS] == METRICS
    assert (metric_named("R@5(0.7)").top_n, metric_named("R@5(0.7)").threshold) == (5, 0.7)
    with pytest.raises(SettingsError, match=r"'R@1'; known are R@1\(0.5\), .*, end error.*, and R@n\(t\)"):
        metric_named("R@1")
    for wrong in ("R@0(0.5)", "R@1(1)"):
        with pytest.raises(SettingsError, match="n >= 1 and 0 <= t < 1"):
            metric_named(wrong)
    with pytest.raises(SettingsError, match=r"unit 'm' of 'x'; known are \('%', 's', ''\)"):
        Metric("x", "m", lambda answers, truths: 0.0)


def test_the_curve_comes_before_the_other_metrics():
    names = [metric.name for metric in with_curve(METRICS)]
    assert names[:5] == ["R@1(0.1)", "R@1(0.2)", "R@1(0.3)", "R@1(0.4)", "R@1(0.5)"]
    assert names[4:] == [metric.name for metric in METRICS]
