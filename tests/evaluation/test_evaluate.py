import math
from dataclasses import replace

import pytest
import torch

from vreloc_pyg.datasets.splits import Reference, RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import METRICS, evaluate, format_intervals, recall, result_table
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.segments import Segments, temporal_iou
from vreloc_pyg.systems import Chance, WholeReference, WindowRule


class Spy:
    """Answers the first second, without a score, and remembers what it was shown."""

    name, kin = "spy", "rival"

    def __init__(self):
        self.seen = []

    def localize(self, query, reference, top_n=1):
        self.seen.append((query, reference))
        return Segments([[0.0, 1.0], [1.0, 2.0]])


class Silent:
    name, kin = "silent", "rule"

    def localize(self, query, reference, top_n=1):
        return Segments(torch.zeros(0, 2), torch.zeros(0))


def test_rows_of_answers(split):
    frame = evaluate([WholeReference(), Spy()], split, [recall(0.3), recall(0.5)], progress=False)
    assert list(frame.columns) == [
        "system", "kin", "kind", "pair", "query", "query_id", "reference_id", "label", "start_s", "end_s",
        "score", "probability", "tiou", "seconds", "R@1(0.3)", "R@1(0.5)",
    ]  # fmt: skip
    assert frame["system"].tolist() == ["whole reference"] * 5 + ["spy"] * 5
    assert frame["pair"].tolist() == [0, 1, 2, 3, 4] * 2
    assert frame["query_id"].tolist() == ["q0", "q1", "q2", "q3", "q4"] * 2
    assert set(frame["kind"]) == {"answer"}
    assert frame["kin"].tolist() == ["rule"] * 5 + ["rival"] * 5
    assert set(frame["label"]) == {"run"}
    assert (frame["seconds"] > 0).all()
    whole = frame[frame["system"] == "whole reference"]
    assert whole["tiou"].tolist() == pytest.approx([7 / 30, 12 / 30, 10 / 30, 1 / 30, 9 / 30])
    # The last is exactly .3, which is no hit.
    assert whole["R@1(0.3)"].tolist() == [0, 1, 1, 0, 0]
    assert (whole["start_s"].tolist(), whole["end_s"].tolist()) == ([0.0] * 5, pytest.approx([6.0] * 5))
    spy = frame[frame["system"] == "spy"]
    assert spy["end_s"].tolist() == [1.0] * 5
    assert spy["score"].isna().all()


def test_columns_of_the_default_metrics(split):
    frame = evaluate([WindowRule()], split, progress=False)
    assert list(frame.columns[14:25]) == [
        "R@1(0.5)", "R@1(0.6)", "R@1(0.7)", "R@1(0.75)", "R@1(0.8)", "R@1(0.85)", "R@1(0.9)", "R@1(0.95)",
        "R@1 avg", "start error", "end error",
    ]  # fmt: skip
    for index, (query, reference) in enumerate(map(split.__getitem__, range(5))):
        answer = WindowRule().localize(query, reference).bounds
        for metric in METRICS:
            expected = metric.of_answers(answer, reference.segments_of("run"))
            assert frame[metric.column][index] == expected


def test_systems_see_no_label_and_no_annotation(split):
    spy = Spy()
    evaluate([spy], split, progress=False)
    assert len(spy.seen) == 5
    for index, (query, reference) in enumerate(spy.seen):
        assert query.label == ""
        assert reference.labels == ()
        assert reference.segments.shape == (0, 2)
        assert torch.equal(query.features, split[index][0].features)
        assert torch.equal(reference.features, split[index][1].features)
        assert (query.video_id, reference.video_id) == (f"q{index}", f"r{index}")


def test_rows_of_chance_are_expectations(split):
    chance = Chance("uniform_length")
    frame = evaluate([chance], split, [recall(0.5), recall(0.9)], progress=False)
    assert set(frame["kind"]) == {"expected"}
    assert frame[["start_s", "end_s", "score"]].isna().all(axis=None)
    for index in range(5):
        query, reference = split[index]
        bounds, probabilities = chance.placements(query, reference)
        best = temporal_iou(bounds, reference.segments_of("run")).amax(1)
        assert frame["tiou"][index] == pytest.approx(float((best * probabilities).sum()))
        assert frame["R@1(0.5)"][index] == pytest.approx(float(probabilities[best > 0.5 + 1e-9].sum()))
    assert 0 < frame["R@1(0.5)"].mean() < 1


def test_no_answer_is_a_miss_without_an_error(split):
    frame = evaluate([Silent(), Spy()], split, progress=False)
    silent = frame[frame["system"] == "silent"]
    assert silent["tiou"].tolist() == silent["R@1(0.5)"].tolist() == [0.0] * 5
    assert all(math.isnan(value) for value in silent["start_s"])
    shown = format_intervals(result_table(frame))
    # All queries are of one class: there is no interval.
    assert (shown["start error"][0], shown["R@1(0.5)"][0]) == ("–", "0.0")
    assert shown["start error"][1].endswith(" s")


def test_asked_in_the_others_place_and_judged_by_their_own(split):
    spy = Spy()
    asked = split.queries[::-1]
    frame = evaluate([spy], split, progress=False, ask=asked)
    assert [query.video_id for query, _ in spy.seen] == ["q4", "q3", "q2", "q1", "q0"]
    assert {query.label for query, _ in spy.seen} == {""}
    own = evaluate([Spy()], split, progress=False)
    assert frame.drop(columns="seconds").equals(own.drop(columns="seconds"))
    with pytest.raises(DataError, match=r"each of 5 pairs \(got 4\)"):
        evaluate([spy], split, ask=asked[1:])


class Scores:
    """Scores a reference by its length, and says how likely the action is there."""

    name, kin, calibration = "scores", "rival", Calibration(slope=1.0, intercept=-30.0)

    def localize(self, query, reference, top_n=1):
        return Segments([[0.0, 1.0]], [float(reference.num_steps)])


def test_references_without_the_action_are_asked_about_for_the_score(split):
    other = Reference(torch.randn(31, 4), 0.2, torch.tensor([[0.0, 1.0]]), ("jump",), "without")
    split = replace(
        split, references=[*split.references, other], pairs=[*split.pairs, (1, 2)], absent=[(1, 5), (4, 5)]
    )
    scores = Scores()
    frame = evaluate([scores, Chance("uniform_length"), Spy()], split, [recall(0.5)], progress=False)
    own = frame[frame["system"] == "scores"]
    assert own["pair"].tolist() == list(range(8))
    assert own["query"].tolist() == [0, 1, 2, 3, 4, 1, 1, 4]
    assert own["kind"].tolist() == ["answer"] * 6 + ["absent"] * 2
    assert own["query_id"].tolist()[-2:] == ["q1", "q4"]
    assert set(own["reference_id"][-2:]) == {"without"}
    assert own["score"].tolist() == [30.0] * 6 + [31.0] * 2
    assert own["probability"].tolist() == pytest.approx([0.5] * 6 + [1 / (1 + math.exp(-1))] * 2)
    unjudged = own[["tiou", "R@1(0.5)"]].isna()
    assert unjudged.all(axis=1).tolist() == unjudged.any(axis=1).tolist() == [False] * 6 + [True] * 2
    assert (own["seconds"] > 0).all()
    assert (frame["system"] == "chance (uniform length)").sum() == 6  # it has no score
    assert frame.loc[frame["system"] == "spy", ["score", "probability"]].isna().all(axis=None)
    table = result_table(frame)
    assert table["AUROC"].tolist() == pytest.approx([0.0, math.nan, math.nan], nan_ok=True)
    asked = evaluate([scores], split, progress=False, ask=[split.queries[0]] * 6)
    assert set(asked["kind"]) == {"answer"}


def test_shows_a_progress_bar_on_request(split, capfd):
    evaluate([Spy()], split)
    assert "5/5" in capfd.readouterr().err
    evaluate([Spy()], split, progress=False)
    assert capfd.readouterr().err == ""


def test_refuses_systems_of_the_same_name_and_a_split_without_pairs(split):
    with pytest.raises(SettingsError, match=r"different names \(got \['spy'\] more than once\)"):
        evaluate([Spy(), Silent(), Spy()], split)
    empty = RelocalizationSplit("empty", split.queries, split.references, [])
    with pytest.raises(DataError, match="'empty' has no pairs to evaluate"):
        evaluate([Spy()], empty)


def test_an_unknown_kin_names_the_known_ones(split):
    spy = Spy()
    spy.kin = "baseline"
    known = "own, ablation, rule, rival, control, audit"
    with pytest.raises(SettingsError, match=f"Unknown kin 'baseline' of 'spy'; known are {known}"):
        evaluate([spy], split)
    frame = evaluate([Spy()], split, progress=False)
    with pytest.raises(DataError, match=rf"one kin per system, of {known} \(got \['baseline'\]\)"):
        result_table(frame.assign(kin="baseline"))
    with pytest.raises(DataError, match=r"lacks \['kin'\]\); predictions without 'kin' or .* made anew"):
        result_table(frame.drop(columns="kin"))
