import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

from tests.report.pictures import count, pixels, where
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import DataError, MissingExtraError
from vreloc_pyg.evaluation import published_numbers
from vreloc_pyg.report import recall_curves, timeline_picture, training_curves
from vreloc_pyg.report.plots import COLOURS, TRUTH
from vreloc_pyg.segments import Segments


@pytest.fixture
def pair():
    truths = torch.tensor([[3.0, 6.0]], dtype=torch.float64)
    return Query(torch.randn(8, 4), 0.2, "run", "q"), Reference(
        torch.randn(60, 4), 0.2, truths, ("run",), "r"
    )


def test_timeline_draws_truth_answers_and_curve(pair, tmp_path):
    query, reference = pair
    answers = {"a": Segments([[3.0, 5.0]]), "b": Segments([[0.0, 12.0]]), "c": Segments(torch.zeros(0, 2))}
    path = timeline_picture(
        query, reference, answers, reference.segments, tmp_path / "new" / "timeline.png", torch.randn(60)
    )
    assert path == tmp_path / "new" / "timeline.png"
    areas = {colour: count(path, colour) for colour in (TRUTH, *COLOURS[:3])}
    # 3 s of truth, 2 s of the first answer, 12 s of the second (less its label), none of the third.
    assert areas[COLOURS[0]] / areas[TRUTH] == pytest.approx(2 / 3, rel=0.05)
    assert areas[COLOURS[1]] / areas[TRUTH] == pytest.approx(4, rel=0.1)
    assert areas[COLOURS[2]] == 0
    rows, columns = zip(*(where(path, colour) for colour in (TRUTH, *COLOURS[:2])), strict=True)
    assert rows[0].max() < rows[1].min() < rows[1].max() < rows[2].min()
    assert columns[0].min() == pytest.approx(columns[1].min(), abs=2)
    assert columns[2].min() < columns[0].min() < columns[1].max() < columns[0].max() < columns[2].max()


@pytest.mark.parametrize("truths", [None, torch.zeros(0, 2)])
def test_timeline_without_truth(pair, tmp_path, truths):
    query, reference = pair
    path = timeline_picture(query, reference, {"truth": Segments([[3.0, 5.0]])}, truths, tmp_path / "t.png")
    assert count(path, TRUTH) == 0
    assert count(path, COLOURS[0]) > 100


def test_timeline_of_one_step_and_no_answers(tmp_path):
    query = Query(torch.zeros(1, 2), 0.04, "", "q")
    reference = Reference(torch.zeros(1, 2), 0.04, torch.zeros(0, 2), (), "r")
    pixels(timeline_picture(query, reference, {}, None, tmp_path / "t.png", curve=torch.zeros(1)))


def test_timeline_refuses_a_curve_of_another_length(pair, tmp_path):
    with pytest.raises(DataError, match=r"\[60\] \(got \(59,\)\)"):
        timeline_picture(*pair, {}, None, tmp_path / "t.png", torch.zeros(59))


def test_recall_curves_with_and_without_intervals(tmp_path):
    table = pd.DataFrame({"system": ["a", "b"], "R@1(0.5)": [30.0, 50.0], "R@1(0.9)": [10.0, 20.0]})
    plain = recall_curves(table, tmp_path / "plain.png")
    for name in ("R@1(0.5)", "R@1(0.9)"):
        table[f"{name} low"], table[f"{name} high"] = table[name] - 5, table[name] + 5
    banded = recall_curves(table, tmp_path / "banded.png")
    # The better system has the first colour; a band tints pixels that were white.
    assert count(plain, COLOURS[0]) > 100
    assert count(plain, COLOURS[1]) > 100
    assert count(banded, "white") < count(plain, "white") - 5000
    one = recall_curves(table, tmp_path / "one.png", emphasis=["b"])
    assert count(banded, "white") < count(one, "white") < count(plain, "white")
    assert count(one, COLOURS[0]) > count(plain, COLOURS[0])
    assert count(one, COLOURS[1]) < count(plain, COLOURS[1])


def test_recall_curves_of_published_numbers(tmp_path):
    pixels(recall_curves(published_numbers(), tmp_path / "published.png"))


def test_recall_curves_refuse_another_table(tmp_path):
    with pytest.raises(DataError, match=r"columns 'R@1\(t\)' \(got \['x'\]\)"):
        recall_curves(pd.DataFrame({"x": [1]}), tmp_path / "c.png")


def write_log(path, num_steps=200, **columns):
    log = pd.DataFrame({"step": range(num_steps), "epoch": 0, **columns})
    log.to_csv(path, index=False)
    return path


def test_training_curves_draw_losses_above_recalls(tmp_path):
    loss = 1 / np.arange(1, 201)
    recall = np.where(np.arange(200) % 50 == 49, 0.4, np.nan)
    log = write_log(tmp_path / "metrics.csv", train_loss=loss, **{"val_R@1(0.5)": recall})
    both = pixels(training_curves(log, tmp_path / "both.png"))
    only = pixels(training_curves(write_log(tmp_path / "loss.csv", train_loss=loss), tmp_path / "only.png"))
    assert both.shape[0] > 1.5 * only.shape[0]
    assert count(tmp_path / "only.png", COLOURS[0]) > 100


def test_training_curves_refuse_what_is_no_log(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read the training log .*missing.csv"):
        training_curves(tmp_path / "missing.csv", tmp_path / "t.png")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"Cannot read the training log .*empty.csv"):
        training_curves(tmp_path / "empty.csv", tmp_path / "t.png")
    with pytest.raises(DataError, match=r"columns of losses or R@1 \(got \['step', 'epoch'\]\)"):
        training_curves(write_log(tmp_path / "bare.csv"), tmp_path / "t.png")


def test_global_state_is_left_alone(pair, tmp_path):
    before, settings = mpl.get_backend(auto_select=False), mpl.rcParams.copy()
    timeline_picture(*pair, {"a": Segments([[3.0, 5.0]])}, None, tmp_path / "t.png")
    assert mpl.get_backend(auto_select=False) == before
    assert mpl.rcParams.copy() == settings


def test_a_missing_matplotlib_names_the_command(pair, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vreloc_pyg\[demo\]'"):
        timeline_picture(*pair, {}, None, tmp_path / "t.png")
