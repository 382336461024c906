import math

import pytest
import torch

from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.evaluation import THRESHOLDS, evaluate, recall_at_1
from vreloc_pyg.segments import Segments, temporal_iou
from vreloc_pyg.systems.catalog import Chance, WholeReference, WindowRule


class Spy:
    """Answers the first second, without a score, and remembers what it was shown."""

    name = "spy"

    def __init__(self):
        self.seen = []

    def localize(self, query, reference, top_n=1):
        self.seen.append((query, reference))
        return Segments([[0.0, 1.0], [1.0, 2.0]])


class Silent:
    name = "silent"

    def localize(self, query, reference, top_n=1):
        return Segments(torch.zeros(0, 2), torch.zeros(0))


def test_rows_of_answers(split):
    frame = evaluate([WholeReference(), Spy()], split, (0.3, 0.5), progress=False)
    assert list(frame.columns) == [
        "system", "kind", "pair", "query_id", "reference_id", "label",
        "start_s", "end_s", "score", "tiou", "seconds", "R@1(0.3)", "R@1(0.5)",
    ]  # fmt: skip
    assert frame["system"].tolist() == ["whole reference"] * 5 + ["spy"] * 5
    assert frame["pair"].tolist() == [0, 1, 2, 3, 4] * 2
    assert frame["query_id"].tolist() == ["q0", "q1", "q2", "q3", "q4"] * 2
    assert set(frame["kind"]) == {"answer"}
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


def test_agrees_with_the_metric(split):
    rule = WindowRule()
    frame = evaluate([rule], split, progress=False)
    pairs = [split[i] for i in range(5)]
    answers = torch.cat([rule.localize(query, reference).bounds for query, reference in pairs])
    truths = [reference.segments_of("run") for _, reference in pairs]
    columns = [f"R@1({t:g})" for t in THRESHOLDS]
    assert frame[columns].mean().tolist() == pytest.approx(recall_at_1(answers, truths).tolist())


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
    frame = evaluate([chance], split, (0.5, 0.9), progress=False)
    assert set(frame["kind"]) == {"expected"}
    assert frame[["start_s", "end_s", "score"]].isna().all(axis=None)
    for index in range(5):
        query, reference = split[index]
        bounds, probabilities = chance.placements(query, reference)
        best = temporal_iou(bounds, reference.segments_of("run")).amax(1)
        assert frame["tiou"][index] == pytest.approx(float((best * probabilities).sum()))
        assert frame["R@1(0.5)"][index] == pytest.approx(float(probabilities[best > 0.5 + 1e-9].sum()))
    assert 0 < frame["R@1(0.5)"].mean() < 1


def test_chance_averages_to_its_draws(split):
    expected = evaluate([Chance("uniform_segment")], split, (0.3,), progress=False)["R@1(0.3)"].mean()
    runs = []
    for seed in range(400):
        chance = Chance("uniform_segment", seed=seed)
        answers = torch.cat([chance.localize(*split[i]).bounds for i in range(5)])
        truths = [split[i][1].segments_of("run") for i in range(5)]
        runs.append(float(recall_at_1(answers, truths, (0.3,))))
    assert sum(runs) / 400 == pytest.approx(expected, abs=0.04)


def test_no_answer_is_a_miss(split):
    frame = evaluate([Silent()], split, (0.0,), progress=False)
    assert frame["tiou"].tolist() == [0.0] * 5
    assert frame["R@1(0)"].tolist() == [0.0] * 5
    assert all(math.isnan(value) for value in frame["start_s"])


def test_shows_a_progress_bar_on_request(split, capfd):
    evaluate([Spy()], split)
    assert "5/5" in capfd.readouterr().err
    evaluate([Spy()], split, progress=False)
    assert capfd.readouterr().err == ""


def test_refuses_systems_of_the_same_name(split):
    with pytest.raises(SettingsError, match=r"different names \(got \['spy'\] more than once\)"):
        evaluate([Spy(), Silent(), Spy()], split)


def test_refuses_a_split_without_pairs(split):
    empty = RelocalizationSplit("empty", split.queries, split.references, [])
    with pytest.raises(DataError, match="'empty' has no pairs to evaluate"):
        evaluate([Spy()], empty)
