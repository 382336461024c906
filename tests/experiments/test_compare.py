import pandas as pd
import pytest
import torch

from tests.experiments.conftest import WINDOWS
from vreloc_pyg.datasets import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.evaluation import recall
from vreloc_pyg.experiments.compare import candidate_recall, evaluate_task, print_table
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.answering import choose_answers
from vreloc_pyg.systems.catalog import fitted_rules
from vreloc_pyg.systems.judging import PairDataset
from vreloc_pyg.systems.rules.query_blind import WholeReference
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE, WindowRule


def test_evaluation_of_a_split_at_thresholds(small_task, tmp_path, capsys):
    system = WholeReference()
    system.name = "mine"
    metrics = [recall(0.3), recall(0.5)]
    table = evaluate_task(small_task, [system], tmp_path / "out", "validation", metrics)
    assert table["system"].iloc[-1] == "mine"
    assert {"R@1(0.3)", "R@1(0.5)"} <= set(table)
    assert "R@1(0.7)" not in table
    frame = pd.read_csv(tmp_path / "out" / "per_query.csv")
    assert set(frame["query_id"]) == {query.video_id for query in small_task.splits["validation"].queries}
    found = candidate_recall(small_task.splits["validation"], small_task.proposals, (0.3, 0.5))
    assert f"{found['0.3']:.1f} at 0.3, {found['0.5']:.1f} at 0.5" in capsys.readouterr().out


def test_systems_of_one_name_are_refused(small_task, tmp_path):
    with pytest.raises(SettingsError, match="window rule"):
        evaluate_task(small_task, [WindowRule(WINDOWS)], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_tuned_rule_is_asked_as_suits_the_validation_classes(small_task):
    (tuned,) = (rule for rule in fitted_rules(small_task) if rule.name == BEST_WINDOW_RULE.row)
    pairs = PairDataset(small_task.splits["validation"], WINDOWS)
    assert tuned.answers == choose_answers(WindowRule(WINDOWS), pairs, None)


def test_candidate_recall_is_the_loop_over_windows(small_task):
    split, thresholds = small_task.splits["test"], (0.3, 0.5, 0.7, 0.75, 0.9)
    best = []
    for query, reference in (split[index] for index in range(len(split))):
        step, overlaps = reference.seconds_per_step, []
        for start, end in WINDOWS(reference.num_steps).tolist():
            for low, high in reference.segments_of(query.label).tolist():
                shared = max(0.0, min(end * step, high) - max(start * step, low))
                overlaps.append(shared / ((end - start) * step + high - low - shared))
        best.append(max(overlaps))
    found = candidate_recall(split, small_task.proposals, thresholds)
    assert list(found) == ["0.3", "0.5", "0.7", "0.75", "0.9"]
    for threshold in thresholds:
        assert found[f"{threshold:g}"] == pytest.approx(100 * sum(b > threshold for b in best) / len(best))
    assert len(set(found.values())) > 1


def test_a_window_at_the_threshold_does_not_count():
    """Steps of a third of a second: half of an answer is exactly half of it, rounding or not."""
    step_s = 1 / 3
    query = Query(torch.zeros(4, 2), step_s, "run", "q")
    truth = torch.tensor([[1 * step_s, 11 * step_s]], dtype=torch.float64)
    reference = Reference(torch.zeros(13, 2), step_s, truth, ("run",), "r")
    split = RelocalizationSplit("test", [query], [reference], [(0, 0)])
    halves = SlidingWindows(shortest=5, longest=5, overlap=0.9)
    for threshold, expected in ((0.499, 100.0), (0.5, 0.0)):
        assert candidate_recall(split, halves, (threshold,)) == {f"{threshold:g}": expected}


def test_tables_are_printed_as_markdown(capsys):
    table = pd.DataFrame(
        {"system": ["a"], "R@1(0.5)": [50.0], "R@1(0.5) low": [40.0], "R@1(0.5) high": [60.0], "N": [4]}
    )
    print_table(table)
    assert capsys.readouterr().out.splitlines() == [
        "| system | R@1(0.5) | N |",
        "| --- | --- | ---: |",
        "| a | 50.0 [40.0, 60.0] | 4 |",
    ]
    print_table(table, ("N",))
    assert capsys.readouterr().out.splitlines()[0] == "| system | N |"
