import pandas as pd
import pytest

from tests.results import frame_of
from vreloc_pyg.report.cost import choice_table, time_sentence, time_table


@pytest.fixture
def frame():
    """Two folds; ours has two seeds; every answer takes 30 s."""
    runs = [("rule", "rule", fold, 0, 60.0) for fold in (0, 1)] + [
        ("peep", "audit", fold, 0, 0.0) for fold in (0, 1)
    ]
    runs += [("ours", "own", fold, seed, 3600.0) for fold in (0, 1) for seed in (0, 1)]
    parts = [
        frame_of(name, [0.5, 0.6], fold, kin=kin).assign(seed=seed, train_s=train_s, seconds=30.0, about="")
        for name, kin, fold, seed, train_s in runs
    ]
    return pd.concat(parts, ignore_index=True)


def test_every_run_counts_once_and_every_answer(frame):
    times = time_table(frame)
    assert len(times) == 8
    assert set(times["answer_s"]) == {60.0}
    # Rules: 2 x 60 s to fit and 4 x 60 s to answer, twice; ours: 4 hours, and 4 x 60 s, twice.
    assert time_sentence([frame, frame]) == (
        "Rules and audit rows took 12.0 minutes in all: to fit, in processor time, and to answer. Everything "
        "else was trained for 8.0 hours of processor time and answered for 8.0 minutes."
    )
    rules = frame[frame["kin"] == "audit"].assign(seconds=0.5)
    assert time_sentence([rules]).startswith("Rules and audit rows took 2.0 seconds in all")
    assert "trained" not in time_sentence([rules])


def test_choices_are_shown_by_fold_of_rules_that_chose(frame):
    assert len(choice_table(frame)) == len(choice_table(frame[frame["kin"] == "own"])) == 0
    frame.loc[(frame["system"] == "rule") & (frame["fold"] == 1), "about"] = "mirror"
    table = choice_table(frame)
    assert table.to_dict("list") == {"system": ["rule"], "fold 0": ["as by default"], "fold 1": ["mirror"]}
