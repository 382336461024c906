import numpy as np
import pandas as pd
import pytest

from tests.results import frame_of
from vreloc_pyg.evaluation import difference_table, recall, result_table
from vreloc_pyg.report.statements import Benchmark, claims, gist
from vreloc_pyg.systems.mgffnet.presets import CNN, ELSEWHERE, MATCHING, MATCHING_CNN
from vreloc_pyg.systems.rules.audit import BY_LOOK, BY_SPEED, KNOWN_JOINS
from vreloc_pyg.systems.rules.strongest_rule import StrongestRule
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE

STRONGEST = StrongestRule.name
KINS = {"ours": "own", "rival": "rival", "asked otherwise": "control"}


def benchmark(tious, about=()):
    """A set called x of as many folds as lists of overlaps by system."""
    parts = [
        frame_of(name, own, fold, kin=KINS.get(name, "rule")).assign(about="", seed=0)
        for name, folds in tious.items()
        for fold, own in enumerate(folds)
    ]
    frame = pd.concat(parts, ignore_index=True)
    for fold, words in enumerate(about):
        frame.loc[(frame["system"] == STRONGEST) & (frame["fold"] == fold), "about"] = words
    return Benchmark("x", frame, result_table(frame))


def test_who_is_first_by_how_much_and_whether_that_tells_them_apart():
    """At .5 ours leads by 50 +- 0, at .7 the two are equal on average, at .9 nobody finds anything."""
    one = benchmark({"ours": [[0.6, 0.8], [0.6, 0.1]], "rival": [[0.1, 0.8], [0.1, 0.0]]})
    assert claims([one]) == (
        "- *x*: at .5 **ours** is first with 75.0, by 50.0 [+50.0, +50.0] before rival; "
        "at .7 **ours** and **rival** are first with 25.0; "
        "at .9 **ours** and **rival** are first with 0.0. "
        "ours minus rival, the best trained rival: +50.0 [+50.0, +50.0], +0.0 [+0.0, +0.0] (not told apart), "
        "+0.0 [+0.0, +0.0] (not told apart) at .5, .7, .9."
    )


def test_the_gist_names_each_comparison_that_a_set_has():
    """Both sets tell what the graph is worth; the rule is a row of one only, and no set is without rows."""
    rows = {"ours": [[0.6, 0.6], [0.6, 0.6]], CNN.row: [[0.6, 0.1], [0.6, 0.1]]}
    full = {**rows, STRONGEST: [[0.1, 0.1]] * 2, ELSEWHERE.row: [[0.6, 0.1]] * 2}
    full |= {MATCHING.row: [[0.6, 0.6]] * 2, MATCHING_CNN.row: [[0.1, 0.1]] * 2}
    assert gist([benchmark(full), benchmark(rows)]).splitlines() == [
        f"- **What the graph is worth**: ours minus {CNN.row}, R@1 at .5: "
        "+50.0 [+50.0, +50.0] on *x*, +50.0 [+50.0, +50.0] on *x*; "
        f"{MATCHING.row} minus {MATCHING_CNN.row}, R@1 at .5: +100.0 [+100.0, +100.0] on *x*.",
        f"- **What training is worth**: ours minus {STRONGEST}, R@1 at .5: +100.0 [+100.0, +100.0] on *x*.",
        f"- **What carries over to another data set**: {ELSEWHERE.row} minus {STRONGEST}, R@1 at .5: "
        "+50.0 [+50.0, +50.0] on *x*.",
    ]
    assert gist([benchmark({"ours": [[0.6]]})]) == ""


def test_intervals_are_those_of_the_paired_difference_and_controls_are_no_competitors():
    rng = np.random.default_rng(0)
    names = ("ours", "rival", "window rule", STRONGEST, "asked otherwise")
    one = benchmark({name: rng.random((3, 8)).tolist() for name in names})
    line = difference_table(one.frame, "rival", [recall(0.5)]).set_index("system").loc["ours − rival"]
    said = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(line[f"R@1(0.5){side}"] for side in ("", " low", " high")))
    sentences = claims([one])
    assert f"ours minus rival, the best trained rival: {said} (not told apart)" in sentences
    assert f" ours minus {STRONGEST}: " in sentences
    assert "asked otherwise" not in sentences


def test_the_rule_that_validation_named_stands_beside_the_best_on_test_classes():
    about = ["alignment (no training): length_weight 0.1", "frame-level", "frame-level"]
    one = benchmark({"frame-level": [[0.6, 0.8]] * 3, STRONGEST: [[0.1, 0.8]] * 3}, about)
    lines = claims([one, benchmark({"ours": [[0.5]]})]).splitlines()
    # It answers as another rule does, and is no further competitor.
    assert lines[0].startswith("- *x*: at .5 **frame-level** is first with 100.0; at .7 ")
    line = lines[2]
    assert line == (
        "- The strongest rule, as validation classes name it: on *x* alignment (no training) (fold 0) and "
        "frame-level (folds 1, 2): 50.0 [50.0, 50.0], 50.0 [50.0, 50.0], 0.0 [0.0, 0.0] at .5, .7, .9 (the "
        "best on the test classes themselves: frame-level, 100.0 at .5)."
    )


def test_presence_is_told_of_the_best_and_of_ours():
    one = benchmark({"ours": [[0.6, 0.8]], "rival": [[0.6, 0.8]]})
    assert "AUROC" not in claims([one])
    absent = one.frame.assign(kind="absent", pair=one.frame["pair"] + 2)
    present = one.frame.assign(score=[1.0, 4.0, 2.0, 3.0])
    absent = absent.assign(score=[2.0, 3.0, 0.0, 1.0])
    both = pd.concat([present, absent])
    told = Benchmark("x", both, result_table(both))
    assert claims([told]).endswith(
        "- Whether the action is there at all, by AUROC: on *x* rival 100.0, ours 50.0."
    )


@pytest.mark.parametrize("known", [True, False])
def test_the_strongest_detector_is_named_beside_the_window_rule(known):
    tious = {BEST_WINDOW_RULE.row: [[0.8, 0.8]], BY_SPEED.row: [[0.8, 0.1]], BY_LOOK.row: [[0.95, 0.1]]}
    one = benchmark({**tious, **({KNOWN_JOINS.row: [[0.95, 0.1]]} if known else {})})
    beside = "by the window rule alone"
    assert claims([one, benchmark({"ours": [[0.5]]})]).splitlines()[2:] == [
        f"- What joins give away: on *x* at .7 50.0 by the strongest detector ({BY_SPEED.row}) and 100.0 "
        f"{beside}, at .9 50.0 by the strongest detector ({BY_LOOK.row}) and 0.0 {beside}"
        f"{', 50.0 and 50.0 with all joins known' * known}."
    ]
